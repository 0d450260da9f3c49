"""Rows of money with working defaults; a test states only what it is about."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

from bookings.imports.schemas import ShortTariffRow
from bookings.imports.short_tariffs import short_tariffs
from bookings.models import (
    BankOrder,
    Booking,
    BookingPayment,
    ChargeDetailRecord,
    IncomingInvoice,
    Invoice,
    InvoiceReconciliationRecord,
    Payment,
    PaymentReturn,
    PrepaidEntry,
    RemoteSession,
    Tariff,
    TariffBinding,
    TariffVersion,
)
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    Restrictions,
    TariffContent,
    TariffElement,
)
from bookings.rules.tariff_bindings import FIRST_MOMENT, LAST_MOMENT, TariffInForce, versions_of
from depots.models import Depot, Organisation
from depots.periods import Period
from tests.factories import NOW, make_depot, make_fleet

MONTH = date(2026, 11, 1)
ALWAYS = Period(FIRST_MOMENT, LAST_MOMENT)
_next = count(1)


def make_tariff(operator: Organisation, **fields: Any) -> Tariff:
    return Tariff.objects.create(
        **{"operator": operator, "code": f"T-{next(_next)}", "kind": "charging", **fields}
    )


def flat(amount: float | str, use: ElementUse = ElementUse.BOOKING) -> TariffElement:
    """An element that costs so much once."""
    return TariffElement((PriceComponent(Dimension.FLAT, Decimal(amount)),), use=use)


def per_kwh(price: float | str, **restrictions: Any) -> TariffElement:
    return TariffElement((PriceComponent(Dimension.ENERGY, Decimal(price)),), Restrictions(**restrictions))


def make_bound(
    *elements: TariffElement, currency: str = "EUR", valid: Period = ALWAYS, name: str = "", **owner: Any
) -> TariffInForce:
    """A tariff with one version of these elements, bound to one owner (`depot=…`, `option=…`, `evse=…`, `agreement=…`)."""
    [holder] = owner.values()
    depot = getattr(holder, "depot", holder)
    kind = "booking" if elements[0].use.is_of_bookings else "charging"
    tariff = make_tariff(depot.operator, kind=kind, name=name)
    add_version(tariff, *elements, currency=currency)
    TariffBinding.objects.create(tariff=tariff, kind=kind, valid=valid, **owner)
    return versions_of([tariff])[tariff.pk][0]


def make_prices(depot: Depot, **row: Any) -> None:
    """A depot's prices as its file writes them short, such as `energy_per_kwh=0.4, booking_fee=5, vat_percent=19`."""
    for code, content in short_tariffs(ShortTariffRow(**row), "D", depot.code):
        kind = "booking" if content.elements[0].use.is_of_bookings else "charging"
        tariff = make_tariff(depot.operator, code=code, kind=kind)
        add_version(tariff, *content.elements, currency=content.currency)
        TariffBinding.objects.create(tariff=tariff, kind=kind, valid=ALWAYS, depot=depot)


def add_version(
    tariff: Tariff, *elements: TariffElement, currency: str = "EUR", **fields: Any
) -> TariffVersion:
    content = TariffContent(currency, elements).to_json()
    version = new_version(tariff, content=content, currency=currency, **fields)
    version.save(force_insert=True)
    return version


def new_version(tariff: Tariff, **fields: Any) -> TariffVersion:
    """Not saved."""
    made: dict[str, Any] = {
        "tariff": tariff, "number": 1, "currency": "EUR", "content": {}, "made_at": NOW, "made_by_kind": "command",
    }  # fmt: skip
    return TariffVersion(**{**made, **fields})


def new_cdr(**fields: Any) -> ChargeDetailRecord:
    """Not saved; a no-show without a booking behind it."""
    depot = fields.pop("depot", None) or make_depot()
    number = next(_next)
    made: dict[str, Any] = {
        "operator": depot.operator, "depot": depot, "number": number, "code": f"CDR-{number}", "kind": "no_show",
        "starts_at": NOW, "ends_at": NOW, "currency": "EUR", "before_taxes": Decimal("30.00"), "taxes": Decimal("5.70"),
        "net_by_rate": [["19", "30.00"]], "issued_at": NOW, "issued_by_kind": "berth",
    }  # fmt: skip
    if "customer" not in fields:
        made["customer"] = make_fleet()
    if fields.get("received") is not None:
        operator = fields.get("operator") or depot.operator
        made["place"] = {
            "country_code": operator.country_code,
            "party_id": operator.cpo_party_id or operator.emsp_party_id,
        }
    return ChargeDetailRecord(**{**made, **fields})


def make_cdr(**fields: Any) -> ChargeDetailRecord:
    cdr = new_cdr(**fields)
    cdr.save(force_insert=True)
    return cdr


def new_remote_session(**fields: Any) -> RemoteSession:
    """Not saved; at a partner's depot, of a fleet of ours."""
    depot = fields.pop("depot", None) or make_depot(is_mirror=True)
    made: dict[str, Any] = {
        "operator": depot.operator, "depot": depot, "country_code": "FR", "party_id": "CPO", "remote_id": f"S-{next(_next)}",
        "status": "charging", "remote_status": "ACTIVE", "started_at": NOW, "told_at": NOW, "received_at": NOW,
    }  # fmt: skip
    if "fleet" not in fields:
        made["fleet"] = make_fleet()
    return RemoteSession(**{**made, **fields})


def new_invoice(supplier: Organisation, customer: Organisation, **fields: Any) -> Invoice:
    """Not saved."""
    sequence = next(_next)
    made: dict[str, Any] = {
        "issuer": supplier, "supplier": supplier, "customer": customer, "kind": "invoice", "year": 2026, "sequence": sequence,
        "number": f"2026-{sequence}", "month": MONTH, "currency": "EUR", "issued_on": date(2026, 12, 1),
        "due_on": date(2026, 12, 15), "before_taxes": Decimal("30.00"), "taxes": Decimal("5.70"), "total": Decimal("35.70"),
        "cdr_count": 1, "made_at": NOW, "made_by_kind": "command",
    }  # fmt: skip
    return Invoice(**{**made, **fields})


def make_invoice(supplier: Organisation, customer: Organisation, **fields: Any) -> Invoice:
    invoice = new_invoice(supplier, customer, **fields)
    invoice.save(force_insert=True)
    return invoice


def new_payment(invoice: Invoice, **fields: Any) -> Payment:
    """Not saved."""
    made: dict[str, Any] = {
        "invoice": invoice, "amount": invoice.total, "paid_on": date(2026, 12, 10), "means": "transfer", "recorded_at": NOW,
        "recorded_by_kind": "manager",
    }  # fmt: skip
    return Payment(**{**made, **fields})


def new_payment_return(invoice: Invoice, **fields: Any) -> PaymentReturn:
    """Not saved; of no payment yet."""
    made: dict[str, Any] = {
        "invoice": invoice, "amount": invoice.total, "returned_on": date(2026, 12, 18), "reason": "AM04", "reference": "bank R1",
        "recorded_at": NOW, "recorded_by_kind": "manager",
    }  # fmt: skip
    return PaymentReturn(**{**made, **fields})


def new_prepaid_entry(operator: Organisation, customer: Organisation, **fields: Any) -> PrepaidEntry:
    """Not saved."""
    made: dict[str, Any] = {
        "operator": operator, "customer": customer, "currency": "EUR", "amount": Decimal("500.00"), "kind": "top_up", "at": NOW,
        "made_by_kind": "manager",
    }  # fmt: skip
    return PrepaidEntry(**{**made, **fields})


def new_booking_payment(booking: Booking, **fields: Any) -> BookingPayment:
    """Not saved."""
    made: dict[str, Any] = {
        "operator": booking.depot.operator, "customer": booking.fleet, "before": "prepayment", "provider": "prepaid",
        "payment_min": 60, "currency": "EUR", "amount": Decimal("10.00"), "changed_at": NOW,
    }  # fmt: skip
    return BookingPayment(booking=booking, **{**made, **fields})


def new_incoming_invoice(recipient: Organisation, **fields: Any) -> IncomingInvoice:
    """Not saved."""
    made: dict[str, Any] = {
        "recipient": recipient, "sender_name": "Sonnenhof", "number": f"R-{next(_next)}", "issued_on": date(2026, 12, 1),
        "month": MONTH, "currency": "EUR", "before_taxes": Decimal("30.00"), "taxes": Decimal("5.70"), "source": "typed",
        "entered_at": NOW, "entered_by_kind": "dispatcher",
    }  # fmt: skip
    return IncomingInvoice(**{**made, **fields})


def new_reconciliation_record(
    owner: Organisation, counterparty: Organisation, **fields: Any
) -> InvoiceReconciliationRecord:
    """Not saved."""
    made: dict[str, Any] = {
        "owner": owner, "counterparty": counterparty, "code": f"IR-{next(_next)}", "invoice_number": "2026-1",
        "last_updated": NOW,
    }  # fmt: skip
    return InvoiceReconciliationRecord(**{**made, **fields})


def new_bank_order(organisation: Organisation, **fields: Any) -> BankOrder:
    """Not saved."""
    made: dict[str, Any] = {
        "kind": "debit", "message_id": f"DD-{next(_next)}", "total": Decimal(1), "file": b"<x/>", "made_at": NOW,
        "made_by_kind": "manager",
    }  # fmt: skip
    return BankOrder(organisation=organisation, **{**made, **fields})
