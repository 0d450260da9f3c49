"""Show a charge detail record as partners get it."""

from argparse import ArgumentParser
from typing import Any

from bookings.billing.cdr_lookup import record_called
from bookings.rules.tariff_contents import contents
from config.management.operator_command import OperatorCommand
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.style import NEWEST


class Command(OperatorCommand):
    help = "Print a charge detail record in the shape of OCPI 2.3.0, with the tariffs it was priced by."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", metavar="ID", help="its id, or the number of its row")

    def handle(self, *args: Any, id: str, **options: Any) -> None:
        cdr = record_called(id.strip())
        versions = [pk for pk in (cdr.charging_tariff_id, cdr.booking_tariff_id) if pk is not None]
        self.say(DIALECTS["2.3.0"].cdrs.write(cdr, contents(versions), NEWEST))
