"""Suspend a partner network, or lift that."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from roaming.party_roles import RegistrationError
from roaming.queries import partner_named
from roaming.suspension import lift_suspension, suspend


class Command(OperatorCommand):
    help = "Send nothing to a partner network, read nothing of it and refuse all it asks, until --lift."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="its name, or a party of it (SE*ABC)")
        parser.add_argument(
            "--lift", action="store_true", help="end the suspension: all is told and read again"
        )

    def handle(self, *args: Any, partner: str, lift: bool, **options: Any) -> None:
        found = partner_named(partner)
        if found is None:
            raise CommandError(f"There is no partner {partner!r}.")
        try:
            done = lift_suspension(partner=found, now=timezone.now()) if lift else suspend(partner=found)
        except RegistrationError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(json.dumps({"partner": str(done), "state": done.state}))
