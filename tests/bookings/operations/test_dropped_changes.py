"""Whatever ends a change that waits for its depot: what its dearer price had secured is given back at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bookings.actors import COMMAND
from bookings.billing.payment_use import follow
from bookings.errors import PaymentMissing
from bookings.models import Booking, TermsOverride
from bookings.operations import ask_to_change, complete, decide, mark_no_show
from bookings.operations.change_request import ChangeRequest
from bookings.payments.prepaid import Movement, top_up
from bookings.pricing.tariff_content import Dimension, ElementUse, PriceComponent, TariffElement
from bookings.scheduler import run_tick
from tests.bookings.billing.billed import make_buyer
from tests.bookings.operations.test_changing import charging
from tests.bookings.payments_made import account, available, book, make_prepaid_site, pay_in, payment_of
from tests.factories import CHARGER, MANAGER, NOW, PARTNER, at, change_slot, option_of, slot
from tests.money_factories import add_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking() -> Booking:
    """One hour for ten euros, of thirty that are paid in; what its fleet changes waits for the depot."""
    evse, customer = make_prepaid_site(), make_buyer()
    TermsOverride.objects.create(option=option_of(evse), approval=True, decision_min=90)
    pay_in(evse.depot, customer, "30.00")
    made = book(evse, customer)
    return decide(booking_id=made.pk, accept=True, actor=MANAGER, now=NOW)


def starts(booking: Booking) -> None:
    charging(booking, at=at(10))


def does_not_come(booking: Booking) -> None:
    mark_no_show(booking_id=booking.pk, now=at(11))


def is_moved(booking: Booking) -> None:
    change_slot(booking_id=booking.pk, period=slot(13, 14), by="depot", actor=MANAGER)


def is_not_answered(booking: Booking) -> None:
    run_tick(now=at(9, 31))


def asks_for_what_it_has(booking: Booking) -> None:
    ask_to_change(booking.pk, ChangeRequest(period=slot(10, 11)), actor=PARTNER, now=NOW)


def is_declined(booking: Booking) -> None:
    decide(booking_id=booking.pk, accept=False, actor=MANAGER, now=NOW)


@pytest.mark.parametrize(
    "end", [starts, does_not_come, is_moved, is_not_answered, asks_for_what_it_has, is_declined]
)
def test_whatever_ends_it_the_difference_is_free_again(booking, end):
    change_slot(booking_id=booking.pk, period=slot(10, 12))
    waiting = available(booking.depot, booking.fleet)

    end(booking)

    assert waiting == Decimal(10)
    assert Booking.objects.get(pk=booking.pk).pending_request is None
    assert (payment_of(booking).status, payment_of(booking).reserved) == ("secured", Decimal(10))
    assert available(booking.depot, booking.fleet) == Decimal(20)


def test_an_extension_that_waits_while_it_charges_ends_with_the_session(booking):
    charging(booking, at=at(10))
    change_slot(booking_id=booking.pk, ends_at=at(12), now=at(10, 30))
    waiting = available(booking.depot, booking.fleet)

    complete(booking_id=booking.pk, at=at(10, 50), actor=CHARGER, now=at(10, 50))
    follow(Booking.objects.get(pk=booking.pk), now=at(10, 51))  # what the job does

    assert (waiting, available(booking.depot, booking.fleet)) == (Decimal(10), Decimal(20))


def test_a_change_into_another_currency_does_not_wait(booking):
    """Declined, it would have to find the old amount again."""
    poland = account(booking.depot, booking.fleet, "PLN")
    top_up(poland, Movement(Decimal(500)), actor=COMMAND, now=NOW)
    hour = TariffElement((PriceComponent(Dimension.TIME, Decimal(90)),), use=ElementUse.BOOKING)
    add_version(booking.booking_tariff.tariff, hour, number=2, currency="PLN")

    with pytest.raises(PaymentMissing):
        change_slot(booking_id=booking.pk, period=slot(10, 12))

    assert (available(booking.depot, booking.fleet), poland.available()) == (Decimal(20), Decimal(500))
