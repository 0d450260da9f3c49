"""An operator and fleets that can be billed, and records to bill."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bookings.actors import COMMAND
from bookings.billing.months import Month
from bookings.billing.parties import Party
from bookings.billing.run import BillingRun, bill
from bookings.models import ChargeDetailRecord, Invoice, InvoicedCdr
from depots.models import Depot, Organisation
from tests.factories import make_depot, make_fleet, make_operator
from tests.money_factories import make_cdr, make_invoice

NOVEMBER = Month(2029, 11)
ISSUED = datetime(2029, 12, 3, 9, 0, tzinfo=UTC)
MIDDLE = datetime(2029, 11, 14, 12, 0, tzinfo=UTC)
DUE = date(2029, 12, 17)
SELLER = {
    "legal_name": "Ladepark B.V.", "address": "Kade 1", "postal_code": "5911", "city": "Venlo", "country": "NLD",
    "vat_id": "NL004495445B01", "iban": "NL91ABNA0417164300", "billing_email": "billing@ladepark.example",
}  # fmt: skip
BUYER = {
    "legal_name": "Nordfracht GmbH", "address": "Am Kai 1", "postal_code": "21129", "city": "Hamburg", "country": "DEU",
    "vat_id": "DE136695976", "iban": "DE89370400440532013000", "billing_email": "billing@nordfracht.example",
}  # fmt: skip


def make_seller(name: str = "Ladepark", **fields: Any) -> Organisation:
    return make_operator(name, **{**SELLER, **fields})


def make_buyer(name: str = "Nordfracht", **fields: Any) -> Organisation:
    return make_fleet(name, **{**BUYER, **fields})


def make_site(operator: Organisation | None = None, **fields: Any) -> Depot:
    return make_depot(
        operator or make_seller(), **{"country": "NLD", "time_zone": "Europe/Amsterdam", **fields}
    )


def record(depot: Depot, customer: Organisation, net: str = "30.00", **fields: Any) -> ChargeDetailRecord:
    """One of November with a VAT of 21 percent."""
    before = Decimal(net)
    told = {
        "before_taxes": before, "taxes": (before * Decimal("0.21")).quantize(Decimal("0.01")), "net_by_rate": [["21", net]],
        "starts_at": MIDDLE - timedelta(hours=1), "ends_at": MIDDLE,
    }  # fmt: skip
    return make_cdr(depot=depot, customer=customer, **{**told, **fields})


def credit_of(cdr: ChargeDetailRecord, **fields: Any) -> ChargeDetailRecord:
    """All of it taken back."""
    told = {
        "before_taxes": -cdr.before_taxes, "taxes": -cdr.taxes, "credits": cdr, "code": f"{cdr.code}-C", "currency": cdr.currency,
        "net_by_rate": [[rate, f"-{net}"] for rate, net in cdr.net_by_rate], "starts_at": cdr.starts_at,
        "ends_at": cdr.ends_at, "reason": "Not delivered",
    }  # fmt: skip
    return make_cdr(depot=cdr.depot, customer=cdr.customer, **{**told, **fields})


def bill_november(operator: Organisation, now: datetime = ISSUED, **options: Any) -> BillingRun:
    return bill(operator=operator, month=NOVEMBER, actor=COMMAND, now=now, **options)


def make_written_invoice(depot: Depot, customer: Organisation) -> Invoice:
    """One record on an invoice, as a run issues it."""
    cdr = record(depot, customer)
    parties = {"supplier": Party.of(depot.operator).to_json(), "customer": Party.of(customer).to_json()}
    part = {"category": "S", "rate": "21", "before_taxes": "30.00", "taxes": "6.30", "note": ""}
    invoice = make_invoice(
        depot.operator,
        customer,
        parties=parties,
        tax_breakdown=[part],
        taxes=Decimal("6.30"),
        total=Decimal("36.30"),
    )
    InvoicedCdr.objects.create(cdr=cdr, invoice=invoice)
    return invoice
