"""How the partner networks get on: a JSON object a line."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from roaming.console.overview import all_partners, describe_partner, states


class Command(OperatorCommand):
    help = (
        "Print each partner: parties, state, how calls fared, what waits since when, its switches, what it sent otherwise than "
        "OCPI has it or was refused, depots without a known zone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="only the partner of this name or party (SE*ABC)")

    def handle(self, *args: Any, name: str | None = None, **options: Any) -> None:
        found = states(list(all_partners().order_by("organisation__name", "pk")), now=timezone.now())
        if name:
            wanted = name.upper()
            found = [state for state in found if wanted in (str(state.partner).upper(), *state.parties)]
            if not found:
                raise CommandError(f"There is no partner {name!r}.")
        for state in found:
            self.stdout.write(json.dumps(describe_partner(state)))
