"""Bill a month: an operator's records into invoices and credit notes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.billing.months import Month
from bookings.billing.run import BilledDocument, bill
from config.management.operator_command import OperatorCommand
from depots.parties import organisation_called


class Command(OperatorCommand):
    help = (
        "Put what ended in a month at an operator's depots on invoices, one for each customer and currency, and what was "
        "credited since on credit notes. Again: the same lines, with what came since."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--operator", required=True, metavar="O", help="name or party")
        parser.add_argument("--month", required=True, metavar="YYYY-MM")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="print what would be issued, also of a month that is not over",
        )

    def handle(self, *args: Any, operator: str, month: str, dry_run: bool, **options: Any) -> None:
        run = bill(
            operator=organisation_called(operator), month=Month.read(month), dry_run=dry_run, actor=COMMAND,
            now=timezone.now(),
        )  # fmt: skip
        for document in run.documents:
            self.say(_line(document))
        if run.refused:
            said = (f"{customer} is not billed. {why}" for customer, why in run.refused.items())
            raise CommandError("\n".join(said))


def _line(document: BilledDocument) -> dict[str, Any]:
    invoice = document.invoice
    return {
        "number": invoice.number or None,
        "customer": invoice.customer.name,
        "currency": invoice.currency,
        "before_taxes": float(invoice.before_taxes),
        "taxes": float(invoice.taxes),
        "total": float(invoice.total),
        "cdrs": invoice.cdr_count,
        "kind": invoice.kind,
        "created": document.created,
    }
