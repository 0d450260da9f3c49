"""Processes that are killed in the middle of money: what they did is done whole or not at all, and whoever comes after loses and
doubles nothing."""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from bookings.billing import provider_calls
from bookings.billing.provider_calls import CLAIM, tell_provider
from bookings.models import Booking, BookingPayment, Payment, PrepaidEntry
from bookings.operations import cancel_booking
from bookings.payments import booking_payments, prepaid
from bookings.rules.credit import lock_account
from tests.bookings.billing.billed import make_buyer, make_seller
from tests.bookings.billing.test_payment_use import NEXT_MONTH, bill_month, over
from tests.bookings.billing.test_provider_calls import SOON, Till, TillPayments, till  # noqa: F401
from tests.bookings.payments_made import (
    answer_waiting,
    available,
    book,
    make_prepaid_site,
    pay_in,
    payment_of,
)
from tests.factories import DISPATCHER, book_slot, make_vehicle, option_of, slot
from tests.races.processes import all_at_once, at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]
DIED = "ERROR the process died"


def killed_after(owner: Any, name: str, times: int = 1) -> None:
    """In this process: what is called so does its work, and the process is gone."""
    real, left = getattr(owner, name), [times]

    def killed(*args: Any, **options: Any) -> Any:
        answer, left[0] = real(*args, **options), left[0] - 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, killed)


@pytest.mark.parametrize(("owner", "name"), [(prepaid.Prepaid, "_move"), (booking_payments, "keep")])
def test_bookings_that_are_killed_reserve_nothing_and_those_beside_them_lose_nothing(owner, name):
    operator, customer = make_seller(), make_buyer()
    evses = [make_prepaid_site(operator) for _ in range(6)]
    vehicles = [make_vehicle(customer) for _ in range(6)]
    depot = evses[0].depot
    pay_in(depot, customer, "60.00")

    def work(number: int, *, dies: bool) -> str:
        if dies:
            killed_after(owner, name)
        return book_slot(
            fleet=customer, option=option_of(evses[number]), vehicle=vehicles[number], period=slot(10, 11)
        ).status

    answers = at_once(lambda number: work(number, dies=number < 2), 6)
    between = available(depot, customer), Booking.objects.count()
    again = at_once(lambda number: work(number, dies=False), 2)

    assert Counter(answers) == {"confirmed": 4, DIED: 2}
    assert between == (Decimal(20), 4)
    assert again == ["confirmed", "confirmed"]
    assert_reserved(6)
    assert available(depot, customer) == 0


def test_a_worker_that_is_killed_while_it_answers_leaves_the_rest_to_another():
    customer, evse = make_buyer(), make_prepaid_site()
    for hour in (9, 10, 11, 12):
        book(evse, customer, hour)
    pay_in(evse.depot, customer, "30.00")

    def die() -> None:
        killed_after(prepaid.Prepaid, "_move", times=2)
        answer_waiting(evse.depot, customer)

    answers = all_at_once([die])
    answered = BookingPayment.objects.filter(status="secured").count()
    with transaction.atomic():  # the killed one is over once the server has seen that it is gone
        lock_account(evse.depot.operator_id, customer.pk)
    at_once(lambda _: len(answer_waiting(evse.depot, customer)), 3)

    assert (answers, answered) == ([DIED], 1)
    assert_reserved(3)
    assert available(evse.depot, customer) == 0


class TestAProvider:
    """It is told at least once and by one key, whoever dies while telling it."""

    @pytest.fixture
    def booking(self, till: Till) -> Booking:  # noqa: F811
        return book(make_prepaid_site(provider="till"), make_buyer())

    @pytest.mark.parametrize(
        ("owner", "name", "calls"), [(TillPayments, "_call", 2), (provider_calls, "take_answer", 1)]
    )
    def test_a_yes_whose_hearer_was_killed_is_heard_once(self, till, booking, owner, name, calls):  # noqa: F811
        assert tell_and_die(booking, SOON, owner, name) == DIED
        too_soon = tell_by_three(booking, SOON + timedelta(seconds=1), till)

        tell_by_three(booking, SOON + CLAIM, till)

        assert too_soon == 1
        assert till.calls == ["secure"] * calls
        assert len({key for _, key, _ in till.heard}) == 1
        assert Booking.objects.get(pk=booking.pk).status == "confirmed"
        assert (payment_of(booking).status, payment_of(booking).owed) == ("secured", "")

    def test_what_it_secured_for_a_booking_given_up_meanwhile_is_given_back_once(self, till, booking):  # noqa: F811
        assert tell_and_die(booking, SOON, TillPayments, "_call") == DIED
        cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=SOON)

        tell_by_three(booking, SOON + CLAIM, till)

        assert till.calls == ["secure", "release"]
        assert (payment_of(booking).status, payment_of(booking).owed) == ("released", "")

    @pytest.mark.parametrize(("owner", "name"), [(TillPayments, "_call"), (provider_calls, "record_payment")])
    def test_an_invoice_is_paid_once_through_it(self, till, booking, owner, name):  # noqa: F811
        tell_provider(booking_id=booking.pk, clock=lambda: SOON)
        over(booking, "8.00")
        bill_month(booking.evse)
        assert tell_and_die(booking, NEXT_MONTH, owner, name) == DIED
        unpaid = Payment.objects.count()

        tell_by_three(booking, NEXT_MONTH + CLAIM, till)

        assert unpaid == 0
        assert till.calls == ["secure", "settle", "settle"]
        assert len({key for _, key, _ in till.heard}) == 1
        assert Payment.objects.get().amount == Decimal("8.00")
        assert payment_of(booking).status == "used"


def tell_and_die(booking: Booking, now: datetime, owner: Any, name: str) -> str:
    def die() -> None:
        killed_after(owner, name)
        tell_provider(booking_id=booking.pk, clock=lambda: now)

    [answer] = all_at_once([die])
    return str(answer)


def tell_by_three(booking: Booking, now: datetime, till: Till) -> int:  # noqa: F811
    """How often it has been told anything by then."""
    answers = at_once(lambda _: tell_provider(booking_id=booking.pk, clock=lambda: now), 3)
    assert answers == [None] * 3
    return len(till.heard)


def assert_reserved(bookings: int) -> None:
    """Ten euros for each that is confirmed, by one movement; nothing for others."""
    confirmed = Booking.objects.filter(status="confirmed").values_list("pk", flat=True)
    assert sorted(PrepaidEntry.objects.filter(kind="reserved").values_list("booking", flat=True)) == sorted(
        confirmed
    )
    payments = BookingPayment.objects.filter(reserved__gt=0)
    assert sorted(payments.values_list("pk", "status", "reserved")) == sorted(
        (pk, "secured", Decimal(10)) for pk in confirmed
    )
    assert len(confirmed) == bookings
