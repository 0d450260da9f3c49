"""What a charger can do, what is armed on it and what it was last asked."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.pages.uptime import as_json, histories
from config.management.operator_command import OperatorCommand
from depots.queries import describe_charger, find_charger


class Command(OperatorCommand):
    help = "Print a charger: online, capabilities, what is armed, its last commands with their answers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("identity", help="its OCPP identity, as in DEMO-1")

    def handle(self, *args: Any, identity: str, **options: Any) -> None:
        charger = find_charger(identity)
        if charger is None:
            raise CommandError(f"There is no charger {identity!r}.")
        now = timezone.now()
        evses = list(charger.evses.order_by("number"))
        told = describe_charger(charger, now=now)
        self.stdout.write(json.dumps({**told, "availability": as_json(histories(evses, now=now))}))
