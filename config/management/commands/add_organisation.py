"""Add a fleet, a depot operator, or an organisation that is both; again: an update."""

from argparse import ArgumentParser
from typing import Any

from bookings.billing.particulars import PARTICULARS, register_organisation
from config.management.operator_command import OperatorCommand

PARTIES = {
    "country_code": ("CC", "two letters, of its OCPI parties"),
    "cpo_party_id": ("PID", "three characters, as depot operator"),
    "emsp_party_id": ("PID", "three characters, as fleet"),
}


class Command(OperatorCommand):
    help = (
        "Add a fleet (eMSP party), a depot operator (CPO party), or both, with what an invoice must say of it. "
        "For a name that is there already, an update of what is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, metavar="N")
        for name, (metavar, words) in PARTIES.items():
            parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=words)
        for name, words in PARTICULARS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", help=words)

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        organisation = register_organisation(
            name=name,
            parties={party: options[party] for party in PARTIES},
            particulars={field: options[field] for field in PARTICULARS if options[field] is not None},
        )
        told = {field: getattr(organisation, field) for field in PARTICULARS}
        self.say(
            {
                "organisation": organisation.name,
                "id": organisation.pk,
                "country_code": organisation.country_code,
                "cpo_party": organisation.cpo_party,
                "emsp_party": organisation.emsp_party,
                **{field: kept for field, kept in told.items() if kept},
            }
        )
