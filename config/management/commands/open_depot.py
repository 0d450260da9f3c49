"""Open a depot to a fleet, a partner network, or everybody."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.operations.open_depot import open_depot
from bookings.rules.agreements import guest_called
from config.management.operator_command import OperatorCommand
from depots.models import Depot
from depots.periods import utc_text


class Command(OperatorCommand):
    help = "An agreement under which a fleet or partner may book at a depot."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("depot", metavar="DEPOT", help="the depot's id")
        parser.add_argument(
            "--to",
            required=True,
            metavar="ORGANISATION_OR_PARTNER",
            help="a name, a party, or all for everybody",
        )

    def handle(self, *args: Any, depot: str, to: str, **options: Any) -> None:
        found = Depot.objects.filter(code__iexact=depot.strip()).first()
        if found is None:
            raise CommandError(f"There is no depot {depot}.")
        if found.is_mirror:
            raise CommandError(
                f"{found.code} is a depot of the partner {found.operator}; only the partner opens it."
            )
        guest = guest_called(to)
        agreement, is_new = open_depot(depot=found, guest=guest, now=timezone.now())
        self.say(
            {
                "depot": found.code,
                "open_to": guest.name if guest else "all",
                "since": utc_text(agreement.starts_at),
                "created": is_new,
            }
        )
