"""Change both tokens of a partner network, and with --to the version of OCPI."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from roaming.ocpi.call_failures import CallFailed
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.handshake import CannotAgree
from roaming.party_roles import RegistrationError
from roaming.queries import partner_named
from roaming.token_rotation import rotate


class Command(OperatorCommand):
    help = "PUT our credentials at a partner network: new tokens both ways, its endpoints read anew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="its name, or a party of it (SE*ABC)")
        parser.add_argument("--to", choices=list(DIALECTS), default="", help="change to this version of OCPI")

    def handle(self, *args: Any, partner: str, to: str, **options: Any) -> None:
        found = partner_named(partner)
        if found is None:
            raise CommandError(f"There is no partner {partner!r}.")
        try:
            done = rotate(partner=found, version=to, now=timezone.now())
        except (RegistrationError, CannotAgree, CallFailed) as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(json.dumps({"partner": str(done), "version": done.version}))
