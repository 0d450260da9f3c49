"""Add a fleet, a depot operator, or an organisation that is both."""

from argparse import ArgumentParser
from typing import Any

from config.management.operator_command import OperatorCommand
from depots.operations.organisations import add_organisation


class Command(OperatorCommand):
    help = "Add a fleet (eMSP party), a depot operator (CPO party), or both."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, metavar="N")
        parser.add_argument(
            "--country-code", default="", metavar="CC", help="two letters, of its OCPI parties"
        )
        parser.add_argument(
            "--cpo-party-id", default="", metavar="PID", help="three characters, as depot operator"
        )
        parser.add_argument("--emsp-party-id", default="", metavar="PID", help="three characters, as fleet")

    def handle(
        self, *args: Any, name: str, country_code: str, cpo_party_id: str, emsp_party_id: str, **options: Any
    ) -> None:
        organisation = add_organisation(
            name=name, country_code=country_code, cpo_party_id=cpo_party_id, emsp_party_id=emsp_party_id
        )
        self.say(
            {
                "organisation": organisation.name,
                "id": organisation.pk,
                "country_code": organisation.country_code,
                "cpo_party": organisation.cpo_party,
                "emsp_party": organisation.emsp_party,
            }
        )
