"""Give an organisation's own systems a token for the JSON API."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from config.management.operator_command import OperatorCommand
from depots.operations.api_tokens import make_api_token
from depots.parties import organisation_called


class Command(OperatorCommand):
    help = "Make a token for /api/v1; it is printed this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organisation", required=True, metavar="O", help="name or party")
        parser.add_argument("--name", required=True, metavar="N", help="which system is to use it")
        parser.add_argument("--read-only", action="store_true", help="it may look and change nothing")

    def handle(
        self, *args: Any, organisation: str, name: str, read_only: bool = False, **options: Any
    ) -> None:
        row, token = make_api_token(
            organisation=organisation_called(organisation),
            name=name,
            is_read_only=read_only,
            now=timezone.now(),
        )
        self.say(
            {
                "token": token,
                "organisation": row.organisation.name,
                "name": row.name,
                "read_only": row.is_read_only,
            }
        )
