"""Agreements that ask for something before a promise, and what customers have paid in."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from bookings.actors import COMMAND
from bookings.models import Booking, BookingPayment, PaymentTerms, PrepaidEntry
from bookings.operations import secure_from_balance
from bookings.operations.payment_answers import waiting_for_payment
from bookings.payments.prepaid import Account, Movement, top_up
from bookings.pricing.tariff_content import Dimension, ElementUse, PriceComponent, TariffElement
from depots.models import Agreement, Depot, Evse, Organisation
from tests.bookings.billing.billed import make_site
from tests.factories import NOW, book_slot, make_evse, make_vehicle, option_of, slot
from tests.money_factories import make_bound

BY_HOUR = TariffElement((PriceComponent(Dimension.TIME, Decimal(10)),), use=ElementUse.BOOKING)
NO_SHOW_FEE = TariffElement((PriceComponent(Dimension.FLAT, Decimal("7.00")),), use=ElementUse.NO_SHOW)


def make_prepaid_site(operator: Organisation | None = None, **terms: Any) -> Evse:
    """Ten euros an hour, no VAT, to be paid by everybody before the promise."""
    evse = make_evse(make_site(operator))
    make_bound(BY_HOUR, NO_SHOW_FEE, depot=evse.depot)
    ask_before(evse.depot, **terms)
    return evse


def ask_before(depot: Depot, before: str = "prepayment", **fields: Any) -> PaymentTerms:
    terms, _ = PaymentTerms.objects.update_or_create(
        agreement=Agreement.objects.get(depot=depot, guest=None), defaults={"before": before, **fields}
    )
    return terms


def account(depot: Depot, customer: Organisation, currency: str = "EUR") -> Account:
    return Account(depot.operator_id, customer.pk, currency)


def pay_in(
    depot: Depot, customer: Organisation, amount: str, reference: str = "", *, now: datetime = NOW
) -> PrepaidEntry:
    paid, _ = top_up(account(depot, customer), Movement(Decimal(amount), reference), actor=COMMAND, now=now)
    return paid


def answer_waiting(depot: Depot, customer: Organisation, *, now: datetime = NOW) -> list[int]:
    """What the job does with a balance that rose."""
    from bookings.errors import BookingError

    secured = []
    for booking_id in waiting_for_payment(account(depot, customer)):
        try:
            secure_from_balance(booking_id=booking_id, now=now)
        except BookingError:
            continue
        secured.append(booking_id)
    return secured


def book(evse: Evse, fleet: Organisation, hour: int = 10, hours: int = 1, **asked: Any) -> Booking:
    return book_slot(
        fleet=fleet,
        option=option_of(evse),
        vehicle=make_vehicle(fleet),
        period=slot(hour, hour + hours),
        **asked,
    )


def payment_of(booking: Booking) -> BookingPayment:
    return BookingPayment.objects.select_related("booking", "customer").get(pk=booking.pk)


def available(depot: Depot, customer: Organisation) -> Decimal:
    """As the database keeps it, which is what the movements come to."""
    there = account(depot, customer)
    assert there.available() == sum((entry.amount for entry in there.entries()), Decimal(0))
    return there.available()
