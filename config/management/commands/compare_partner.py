"""What differs between us and a partner network: a JSON object a line."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from roaming.ocpi.call_failures import CallFailed
from roaming.outbound import comparison
from roaming.party_roles import RegistrationError
from roaming.queries import partner_named


class Command(OperatorCommand):
    help = "Ask a partner network for what it keeps of ours and has for us, and print what differs from what we have."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="its name, or a party of it (SE*ABC)")
        parser.add_argument("--repair", action="store_true", help="send or read again whatever differs")

    def handle(self, *args: Any, partner: str, repair: bool, **options: Any) -> None:
        found = partner_named(partner)
        if found is None:
            raise CommandError(f"There is no partner {partner!r}.")
        now = timezone.now()
        try:
            differences = comparison.compare(partner_id=found.pk, now=now)
        except (RegistrationError, CallFailed) as refusal:
            raise CommandError(str(refusal)) from refusal
        for one in differences:
            self.stdout.write(json.dumps({**asdict(one), "repair": one.repair}))
        if repair and differences:
            comparison.repair(partner_id=found.pk, differences=differences, now=timezone.now())
