"""Give a person a role in an organisation, and a link to set a password."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from config.management.operator_command import OperatorCommand
from depots.accounts import set_password_url
from depots.models import Membership, User
from depots.operations.organisations import add_member
from depots.parties import organisation_called


class Command(OperatorCommand):
    help = (
        "Give a person a role in an organisation; prints a one-time link to the page that sets the password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", required=True, metavar="E")
        parser.add_argument("--organisation", required=True, metavar="O", help="name or party")
        parser.add_argument("--role", required=True, choices=Membership.Role.values)
        parser.add_argument(
            "--platform",
            action="store_true",
            help="also looks after the platform itself: the partner networks, what was said with them, what is set for them",
        )

    def handle(self, *args: Any, email: str, organisation: str, role: str, **options: Any) -> None:
        user, is_new = add_member(email=email, organisation=organisation_called(organisation), role=role)
        if options["platform"]:
            User.objects.filter(pk=user.pk).update(is_staff=True)
        self.say(
            {
                "email": user.email,
                "organisation": organisation_called(organisation).name,
                "role": role,
                "created": is_new,
                "url": settings.BERTH_BASE_URL + set_password_url(user),
            }
        )
