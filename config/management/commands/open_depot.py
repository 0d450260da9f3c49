"""Open a depot to a fleet, a partner network, or everybody."""

from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.models import PaymentTerms
from bookings.operations.open_depot import CreditLimit, open_depot
from bookings.rules.agreements import guest_called
from config.management.operator_command import OperatorCommand
from depots.models import Agreement, Depot
from depots.periods import utc_text


class Command(OperatorCommand):
    help = "An agreement under which a fleet or partner may book at a depot."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("depot", metavar="DEPOT", help="the depot's id")
        parser.add_argument(
            "--to",
            required=True,
            metavar="ORGANISATION_OR_PARTNER",
            help="a name, a party, or all for everybody",
        )

        parser.add_argument(
            "--credit-limit",
            type=_amount,
            metavar="AMOUNT",
            help="what they may owe in open invoices, charging not billed yet and live bookings, with taxes",
        )
        parser.add_argument(
            "--beyond",
            choices=PaymentTerms.Beyond.values,
            help="what becomes of a booking beyond the limit: the depot is asked, or it is refused (default)",
        )

    def handle(self, *args: Any, depot: str, to: str, **options: Any) -> None:
        found = Depot.objects.filter(code__iexact=depot.strip()).first()
        if found is None:
            raise CommandError(f"There is no depot {depot}.")
        if found.is_mirror:
            raise CommandError(
                f"{found.code} is a depot of the partner {found.operator}; only the partner opens it."
            )
        guest = guest_called(to)
        agreement, is_new = open_depot(depot=found, guest=guest, credit=_credit(options), now=timezone.now())
        self.say(
            {
                "depot": found.code,
                "open_to": guest.name if guest else "all",
                "since": utc_text(agreement.starts_at),
                "created": is_new,
                **_told(agreement),
            }
        )


def _amount(text: str) -> Decimal:
    """Raises ArgumentTypeError."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"{text} is no amount") from None
    return amount


def _credit(options: dict[str, Any]) -> CreditLimit | None:
    """Raises AmountInvalid, and CommandError for wrong usage."""
    amount, beyond = options["credit_limit"], options["beyond"]
    if amount is None:
        if beyond is not None:
            raise CommandError("--beyond goes with --credit-limit.", returncode=2)
        return None
    return CreditLimit(amount, PaymentTerms.Beyond(beyond or PaymentTerms.Beyond.REFUSE))


def _told(agreement: Agreement) -> dict[str, Any]:
    """The credit limit, where one was agreed."""
    terms = PaymentTerms.objects.filter(agreement=agreement, credit_limit__isnull=False).first()
    if terms is None:
        return {}
    return {
        "credit_limit": float(terms.credit_limit or 0),
        "currency": terms.currency,
        "beyond": terms.beyond,
    }
