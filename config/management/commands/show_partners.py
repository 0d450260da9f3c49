"""How the partner networks get on: a JSON object a line."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from config.management.operator_command import OperatorCommand
from roaming.queries import describe_partner, partner_states


class Command(OperatorCommand):
    help = "Print each partner: parties, state, what it sent otherwise than OCPI has it, depots without a known zone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="only the partner of this name or party (SE*ABC)")

    def handle(self, *args: Any, name: str | None = None, **options: Any) -> None:
        states = partner_states()
        if name:
            wanted = name.upper()
            states = [s for s in states if wanted in (str(s.partner).upper(), *s.parties)]
            if not states:
                raise CommandError(f"There is no partner {name!r}.")
        for state in states:
            self.stdout.write(json.dumps(describe_partner(state)))
