"""Several processes at one prepaid balance: no booking gets what another has, and nothing is lost between them."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from multiprocessing import Event
from threading import BrokenBarrierError

import pytest
from django.db import IntegrityError, connection, transaction

from bookings.errors import BookingError
from bookings.models import Booking, BookingPayment, Invoice
from bookings.operations import cancel_booking, fail_undecided
from bookings.payments import prepaid
from bookings.payments.prepaid import Account
from tests.bookings.billing.billed import make_buyer, make_seller
from tests.bookings.billing.test_bank import read, statement
from tests.bookings.billing.test_payment_use import bill_month, over
from tests.bookings.payments_made import (
    answer_waiting,
    ask_before,
    available,
    book,
    make_prepaid_site,
    pay_in,
    payment_of,
)
from tests.factories import DISPATCHER, NOW, book_slot, make_vehicle, option_of, slot
from tests.races.processes import all_at_once, at_once, rendezvous
from tests.scenarios.bed import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def answers_of_six() -> tuple[Counter[str], Decimal]:
    """Six processes, each at a depot of its own, ten euros a booking, forty paid in."""
    operator, customer = make_seller(), make_buyer()
    evses, vehicles = (
        [make_prepaid_site(operator) for _ in range(6)],
        [make_vehicle(customer) for _ in range(6)],
    )
    pay_in(evses[0].depot, customer, "40.00")

    def work(number: int) -> str:
        try:
            return book_slot(
                fleet=customer, option=option_of(evses[number]), vehicle=vehicles[number], period=slot(10, 11)
            ).status
        except (BookingError, IntegrityError) as refusal:
            return type(refusal).__name__

    answers = Counter(at_once(work, 6))
    return answers, available(evses[0].depot, customer)


def test_of_bookings_at_once_those_the_balance_covers_are_confirmed():
    assert answers_of_six() == ({"confirmed": 4, "requested": 2}, Decimal(0))


def test_without_the_accounts_lock_the_database_refuses_what_is_too_much(monkeypatch):
    monkeypatch.setattr(prepaid, "missing", lambda *_: Decimal(0))

    assert answers_of_six() == ({"confirmed": 4, "IntegrityError": 2}, Decimal(0))


def test_a_top_up_and_the_deadline_at_once_either_confirm_or_free_the_place():
    customer, evse = make_buyer(), make_prepaid_site()
    deadline = NOW + timedelta(minutes=60)
    bookings = [book(evse, customer, hour) for hour in (9, 10, 11, 12)]
    pay_in(evse.depot, customer, "20.00")

    def fail() -> None:
        for booking in bookings:
            with suppress(BookingError):
                fail_undecided(booking_id=booking.pk, now=deadline)

    all_at_once([lambda: answer_waiting(evse.depot, customer, now=deadline - timedelta(seconds=1)), fail])

    pairs = Counter((Booking.objects.get(pk=b.pk).status, payment_of(b).status) for b in bookings)
    confirmed = pairs[("confirmed", "secured")]
    assert pairs.keys() <= {("confirmed", "secured"), ("failed", "released")}
    assert available(evse.depot, customer) == Decimal(20) - 10 * confirmed


def test_a_cancellation_and_the_answer_at_once_leave_no_money_reserved():
    customer, evse = make_buyer(), make_prepaid_site()
    bookings = [book(evse, customer, hour) for hour in (9, 10, 11, 12)]
    pay_in(evse.depot, customer, "40.00")

    def cancel() -> None:
        for booking in bookings:
            with suppress(BookingError):
                cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)

    all_at_once([lambda: answer_waiting(evse.depot, customer), cancel])

    assert {Booking.objects.get(pk=b.pk).status for b in bookings} == {"cancelled"}
    assert set(BookingPayment.objects.values_list("status", "reserved")) == {("released", Decimal(0))}
    assert available(evse.depot, customer) == Decimal(40)


def test_the_same_top_up_told_by_several_at_once_is_one():
    customer, evse = make_buyer(), make_prepaid_site()

    told = at_once(lambda _: pay_in(evse.depot, customer, "10.00", "E2E-1").pk, 4)

    assert len(set(told)) == 1
    assert available(evse.depot, customer) == Decimal(10)


def test_who_finds_too_little_while_money_is_given_back_is_answered():
    """Who asks has seen the balance as it was, and is not seen by others before it commits."""
    operator, customer = make_seller(), make_buyer()
    evse, another = make_prepaid_site(operator), make_prepaid_site(operator)
    pay_in(evse.depot, customer, "10.00")
    first = book(evse, customer, 9)
    asked, is_given_back = rendezvous(2), Event()

    def ask() -> None:
        with transaction.atomic():
            book(another, customer, 9)
            asked.wait()
            assert eventually(lambda: is_given_back.is_set() or is_account_waited_for())

    def give_back() -> None:
        asked.wait()
        cancel_booking(booking_id=first.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)
        is_given_back.set()

    before = answers_queued()
    assert all_at_once([ask, give_back]) == [None, None]

    assert answers_queued() == before + 1
    assert answer_waiting(evse.depot, customer) != []


def answers_queued() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM dramatiq.queue WHERE message ->> 'actor_name' = 'answer_waiting'"
        )
        return int(cursor.fetchone()[0])


def is_account_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
        return bool(cursor.fetchone()[0])


def test_a_bank_statement_and_a_billing_run_take_the_accounts_of_several_customers_one_after_the_other(
    monkeypatch,
):
    """The statement gives guarantees back as its entries come, the run uses prepayments in another order."""
    evse = make_prepaid_site(before="guarantee")
    customers = [make_buyer(f"Fleet {number}") for number in range(2)]
    for customer in customers:
        pay_in(evse.depot, customer, "100.00")
        over(book(evse, customer, 9 + customers.index(customer)), "8.00")
    bill_month(evse)
    guaranteed = {invoice.customer_id: invoice.number for invoice in Invoice.objects.all()}
    ask_before(evse.depot)
    for customer in customers:
        over(book(evse, customer, 12 + customers.index(customer)), "8.00")
    entries = [(f"A{customer.pk}", "8.00", guaranteed[customer.pk]) for customer in reversed(customers)]
    file = statement(*entries, iban=evse.depot.operator.iban)
    met, lock, taken = rendezvous(2), Account.lock, []

    def lock_and_let_the_other_come(account: Account) -> None:
        lock(account)
        taken.append(account)
        if len(taken) == 1:
            with suppress(BrokenBarrierError):
                met.wait(1)

    monkeypatch.setattr(Account, "lock", lock_and_let_the_other_come)
    answers = all_at_once([lambda: bill_month(evse), lambda: len(read(evse.depot.operator, file).recorded)])

    assert [answer for answer in answers if str(answer).startswith("ERROR")] == []
    assert not Invoice.objects.filter(settled_at=None).exists()
