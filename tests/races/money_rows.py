"""Rows of money for test_rows.py: two that may be there once, and those that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Model

from bookings.models import (
    AcceptedFinding,
    BankOrderLine,
    BookingPayment,
    Dispute,
    NumberSequence,
    PaymentTerms,
    PrepaidBalance,
    Reminder,
    ScheduledBilling,
    Tariff,
    TariffBinding,
)
from depots.models import Agreement, Organisation
from depots.periods import Period
from tests.factories import (
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import (
    make_cdr,
    make_invoice,
    make_tariff,
    new_bank_order,
    new_booking_payment,
    new_cdr,
    new_incoming_invoice,
    new_invoice,
    new_payment,
    new_payment_return,
    new_prepaid_entry,
    new_reconciliation_record,
    new_remote_session,
    new_version,
)

ALWAYS = Period(NOW, NOW + timedelta(days=1000))


def case(text: str, number: int) -> str:
    return text.upper() if number else text.lower()


def money() -> dict[str, Callable[[int], Model]]:
    operator, fleet, depot = make_operator(), make_fleet(), make_depot()
    mirror = make_depot(is_mirror=True)
    tariff = make_tariff(operator)
    cdr = make_cdr(depot=depot)
    invoice = make_invoice(operator, fleet)
    payment = new_payment(invoice, reference="E2E-0")
    payment.save()
    order = new_bank_order(operator, message_id="DD-0")
    order.save()
    agreement = Agreement.objects.create(depot=depot, guest=fleet, starts_at=NOW)
    return {
        "tariff_code_once": lambda n: Tariff(operator=operator, code=case("t-1", n), kind="charging"),
        "tariff_version_once": lambda _: new_version(tariff, number=7),
        "cdr_code_once": lambda n: new_cdr(depot=depot, code=case("c-1", n)),
        "remote_session_once": lambda n: new_remote_session(
            depot=mirror, fleet=fleet, remote_id=case("s-1", n)
        ),
        "cdr_number_once": lambda n: new_cdr(depot=depot, number=7_000, code=f"N{n}"),
        "bookings_chargedetailrecord.credits_id": lambda _: new_cdr(
            depot=depot, credits=cdr, before_taxes=Decimal(-30), taxes=Decimal(-5)
        ),
        "bookings_chargedetailrecord.replaces_id": lambda _: new_cdr(depot=depot, replaces=cdr),
        "dispute_open_once": lambda _: Dispute(
            cdr=cdr, reason="Not ours", raised_at=NOW, raised_by_kind="dispatcher"
        ),
        "number_sequence_once": lambda _: NumberSequence(organisation=operator, series="cdr-x"),
        "invoice_number_once": lambda n: new_invoice(operator, fleet, number=case("r-1", n)),
        "invoice_sequence_once": lambda _: new_invoice(operator, fleet, sequence=7_000),
        "payment_once": lambda _: new_payment(invoice, reference="E2E-1"),
        "payment_return_once": lambda _: new_payment_return(invoice),
        "bookings_paymentreturn.payment_id": lambda n: new_payment_return(
            invoice, payment=payment, reference=f"bank R{n + 2}"
        ),
        "scheduled_billing_once": lambda _: ScheduledBilling(
            operator=operator, month=date(2029, 11, 1), asked_at=NOW
        ),
        "reminder_once": lambda _: Reminder(invoice=invoice, level=1, sent_at=NOW),
        "bookings_paymentterms.agreement_id": lambda _: PaymentTerms(agreement=agreement),
        "prepaid_balance_once": lambda _: PrepaidBalance(operator=operator, customer=fleet, currency="EUR"),
        "top_up_once": lambda _: new_prepaid_entry(operator, fleet, reference="E2E-2"),
        "bank_order_once": lambda _: new_bank_order(operator, message_id="DD-1"),
        "bank_order_line_once": lambda _: BankOrderLine(order=order, invoice=invoice, amount=Decimal(1)),
        "incoming_invoice_once": lambda n: new_incoming_invoice(fleet, number=case("r-2", n)),
        "accepted_finding_once": lambda _: AcceptedFinding(
            organisation=fleet,
            key="recorded_twice:1",
            reason="X",
            accepted_at=NOW,
            accepted_by_kind="manager",
        ),
        "reconciliation_record_once": lambda n: new_reconciliation_record(
            operator, fleet, code=case("i-1", n)
        ),
    }


def _payment(**fields: Any) -> BookingPayment:
    """Of a booking that is saved; not saved."""
    evse = make_evse()
    booking = book_slot(
        fleet=evse.depot.operator,
        option=option_of(evse),
        vehicle=make_vehicle(evse.depot.operator),
        period=slot(10, 11),
    )
    return new_booking_payment(booking, **fields)


def binding(**owner: Model) -> TariffBinding:
    """Not saved."""
    return TariffBinding(tariff=make_tariff(make_operator()), kind="charging", valid=ALWAYS, **owner)


NONSENSE: dict[str, Callable[[], Model]] = {
    "tariff_kind_known": lambda: Tariff(operator=make_operator(), code="X", kind="parking"),
    "tariff_version_ends_after_start": lambda: new_version(
        make_tariff(make_operator()), starts_at=NOW, ends_at=NOW
    ),
    "tariff_binding_of_one_owner": lambda: binding(depot=make_depot(), option=option_of(make_evse())),
    "remote_session_status_known": lambda: new_remote_session(status="parked"),
    "cdr_kind_known": lambda: new_cdr(kind="walk"),
    "cdr_negative_only_as_credit": lambda: new_cdr(before_taxes=Decimal(-1)),
    "cdr_ends_after_start": lambda: new_cdr(ends_at=NOW - timedelta(seconds=1)),
    "dispute_answered": lambda: Dispute(
        cdr=make_cdr(), reason="X", raised_at=NOW, raised_by_kind="dispatcher", outcome="accepted"
    ),
    "invoice_kind_known": lambda: new_invoice(make_operator(), make_fleet(), kind="letter"),
    "invoice_adds_up": lambda: new_invoice(make_operator(), make_fleet(), total=Decimal(1)),
    "incoming_invoice_paid_on": lambda: new_incoming_invoice(make_fleet(), state="paid"),
    "incoming_invoice_not_negative": lambda: new_incoming_invoice(make_fleet(), before_taxes=Decimal(-1)),
    "payment_positive": lambda: new_payment(make_invoice(make_operator(), make_fleet()), amount=Decimal(0)),
    "payment_return_positive": lambda: new_payment_return(
        make_invoice(make_operator(), make_fleet()), amount=Decimal(0)
    ),
    "prepaid_entry_signed": lambda: new_prepaid_entry(make_operator(), make_fleet(), kind="paid_out"),
    "prepaid_entry_about": lambda: new_prepaid_entry(
        operator := make_operator(), fleet := make_fleet(), invoice=make_invoice(operator, fleet)
    ),
    "prepaid_balance_not_negative": lambda: PrepaidBalance(
        operator=make_operator(), customer=make_fleet(), currency="EUR", available=Decimal(-1)
    ),
    "booking_payment_status_known": lambda: _payment(status="maybe"),
    "booking_payment_not_negative": lambda: _payment(amount=Decimal(-1)),
    "booking_payment_reserved_once": lambda: _payment(status="secured", reserved=Decimal(11)),
    "booking_payment_has_deadline": lambda: _payment(status="asked"),
    "booking_payment_owed_has_time": lambda: _payment(owed="secure"),
    "payment_min_positive": lambda: PaymentTerms(
        agreement=Agreement.objects.create(depot=make_depot(), guest=make_fleet(), starts_at=NOW),
        payment_min=0,
    ),
    "billing_day_of_every_month": lambda: Organisation(name="Ladepark", billing_day=31),
    "credit_limit_not_negative": lambda: PaymentTerms(
        agreement=Agreement.objects.create(depot=make_depot(), guest=make_fleet(), starts_at=NOW),
        credit_limit=Decimal(-1),
    ),
}
