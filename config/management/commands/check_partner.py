"""Try the connection to a registered partner network, step by step."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from roaming.connection_check import check_partner
from roaming.queries import partner_named


class Command(OperatorCommand):
    help = "Try a partner network's address, certificate, token, clock and every endpoint; changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="its name, or a party of it (SE*ABC)")

    def handle(self, *args: Any, partner: str, **options: Any) -> None:
        found = partner_named(partner)
        if found is None or not (found.is_registered or found.is_suspended):
            raise CommandError(f"There is no registered partner {partner!r}.")
        steps = check_partner(found, now=timezone.now())
        for step in steps:
            self.stdout.write(json.dumps(asdict(step), ensure_ascii=False))
        failed = sum(not step.is_ok for step in steps)
        if failed:
            raise CommandError(f"{failed} of {len(steps)} steps failed.")
