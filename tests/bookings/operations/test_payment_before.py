"""Where an agreement asks for something first, a booking is promised once that is there, and not before."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.errors import (
    AmountInvalid,
    BalanceTooLow,
    NothingToDecide,
    PaymentAwaited,
    PaymentMissing,
    TopUpReferenceInUse,
)
from bookings.models import Booking, BookingPayment, Occupancy, PrepaidBalance, PrepaidEntry
from bookings.operations import (
    cancel_booking,
    confirm_hold,
    decide,
    expire_hold,
    release_hold,
    secure_from_balance,
)
from bookings.payments.prepaid import Movement, pay_out
from bookings.scheduler import run_tick
from depots.models import Evse, Organisation
from tests.bookings.billing.billed import make_buyer, make_seller
from tests.bookings.payments_made import (
    account,
    answer_waiting,
    ask_before,
    available,
    book,
    make_prepaid_site,
    pay_in,
    payment_of,
)
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    change_slot,
    make_evse,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=20)


@pytest.fixture
def customer() -> Organisation:
    return make_buyer()


@pytest.fixture
def evse() -> Evse:
    return make_prepaid_site()


def reload(booking: Booking) -> Booking:
    return Booking.objects.get(pk=booking.pk)


def test_what_the_balance_covers_is_confirmed_at_once_and_reserved(evse, customer):
    pay_in(evse.depot, customer, "25.00")

    booking = book(evse, customer)

    payment = payment_of(booking)
    assert (booking.status, booking.decide_until, booking.pending_request) == ("confirmed", None, None)
    assert (payment.status, payment.amount, payment.reserved) == ("secured", Decimal(10), Decimal(10))
    assert available(evse.depot, customer) == Decimal("15.00")


def test_what_it_does_not_cover_waits_and_keeps_its_place(evse, customer):
    pay_in(evse.depot, customer, "9.99")

    booking = book(evse, customer)

    payment = payment_of(booking)
    assert (booking.status, booking.decide_until) == ("requested", NOW + timedelta(minutes=60))
    assert booking.pending_request is not None
    assert Occupancy.objects.filter(holder=booking.pk).exists()
    assert (payment.status, payment.reserved) == ("asked", 0)
    assert available(evse.depot, customer) == Decimal("9.99")


def test_a_top_up_answers_what_waits_in_order_of_asking(evse, customer):
    waiting = [book(evse, customer, hour, now=NOW + timedelta(seconds=hour)) for hour in (12, 10, 11)]
    pay_in(evse.depot, customer, "20.00")

    answered = answer_waiting(evse.depot, customer, now=LATER)

    first_in_turn = sorted(waiting, key=lambda booking: booking.created_at)
    assert answered == [booking.pk for booking in first_in_turn[:2]]
    assert [reload(booking).status for booking in first_in_turn] == ["confirmed", "confirmed", "requested"]
    assert available(evse.depot, customer) == 0


def test_a_top_up_queues_the_answer_only_where_something_waits(evse, customer, monkeypatch):
    from bookings import tasks

    queued: list[tuple[object, ...]] = []
    monkeypatch.setattr(tasks.answer_waiting, "send", lambda *asked: queued.append(asked))
    pay_in(evse.depot, customer, "5.00")
    book(evse, customer)
    pay_in(evse.depot, customer, "5.00")

    assert queued == [(evse.depot.operator_id, customer.pk, "EUR")]


def test_what_one_booking_gives_back_answers_another(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    first, second = book(evse, customer, 10), book(evse, customer, 12)

    cancel_booking(booking_id=first.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=LATER)

    assert answer_waiting(evse.depot, customer, now=LATER) == [second.pk]


def test_what_is_not_paid_in_time_fails_with_a_sentence_and_frees_its_place(evse, customer):
    booking = book(evse, customer)

    run_tick(NOW + timedelta(minutes=59))
    before = reload(booking).status
    run_tick(NOW + timedelta(minutes=60))

    after = reload(booking)
    assert (before, after.status, after.note) == ("requested", "failed", "It was not paid for in time.")
    assert payment_of(booking).status == "released"
    assert not Occupancy.objects.filter(holder=booking.pk).exists()


def test_money_that_comes_at_the_deadline_comes_too_late(evse, customer):
    booking = book(evse, customer)
    pay_in(evse.depot, customer, "10.00")

    with pytest.raises(NothingToDecide):
        secure_from_balance(booking_id=booking.pk, now=NOW + timedelta(minutes=60))

    assert available(evse.depot, customer) == Decimal(10)


def test_the_deadline_lies_before_the_slot_begins(customer):
    evse = make_prepaid_site(payment_min=100_00)
    booking = book(evse, customer, 10)

    assert booking.decide_until == booking.starts_at


def test_a_slot_that_begins_before_anybody_can_pay_is_refused_with_what_is_missing(evse, customer):
    pay_in(evse.depot, customer, "4.00")

    with pytest.raises(PaymentMissing) as refused:
        book(evse, customer, 10, now=slot(10, 11).starts_at)

    assert (refused.value.amount, refused.value.code) == (Decimal(6), "payment_missing")
    assert not Booking.objects.exists()


def test_nothing_is_asked_of_a_slot_without_a_price_nor_of_the_operators_own_fleet(customer):
    seller = make_seller()
    evse = make_evse(make_prepaid_site(seller).depot)
    free = make_evse(make_prepaid_site(seller).depot)
    from bookings.models import TariffBinding

    TariffBinding.objects.filter(depot=free.depot).delete()

    assert book(free, customer).status == "confirmed"
    assert book(evse, seller).status == "confirmed"
    assert not PrepaidEntry.objects.exists()


def test_without_payment_terms_nothing_is_looked_up(customer):
    from tests.bookings.billing.billed import make_site

    evse = make_evse(make_site())
    book(evse, customer, 8)

    with CaptureQueriesContext(connection) as seen:
        booking = book(evse, customer, 10)
        cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)

    assert not [
        one["sql"] for one in seen.captured_queries if "payment" in one["sql"] or "prepaid" in one["sql"]
    ]


def test_a_hold_reserves_nothing_and_asks_once_it_is_confirmed(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    hold = {"fleet": customer, "option": option_of(evse), "vehicle": make_vehicle(customer)}
    held, poor = place_hold(period=slot(10, 11), **hold), place_hold(period=slot(11, 12), **hold)
    planned = payment_of(held).status, available(evse.depot, customer)

    confirmed = [confirm_hold(booking_id=one.pk, actor=DISPATCHER, now=NOW) for one in (held, poor)]

    assert planned == ("planned", Decimal(10))
    assert [one.status for one in confirmed] == ["confirmed", "requested"]
    assert [payment_of(one).status for one in confirmed] == ["secured", "asked"]


@pytest.mark.parametrize("end", [release_hold, expire_hold])
def test_a_hold_that_comes_to_nothing_asks_for_nothing(evse, customer, end):
    held = place_hold(
        fleet=customer, option=option_of(evse), vehicle=make_vehicle(customer), period=slot(10, 11)
    )

    if end is release_hold:
        release_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)
    else:
        expire_hold(booking_id=held.pk, now=NOW + timedelta(minutes=10))

    assert payment_of(held).status == "released"


class TestApprovalAndPayment:
    """Both are needed, in either order."""

    @pytest.fixture
    def evse(self) -> Evse:
        from bookings.models import TermsOverride

        evse = make_prepaid_site()
        TermsOverride.objects.create(option=option_of(evse), approval=True, decision_min=30)
        return evse

    def test_approved_first_it_waits_for_the_money(self, evse, customer):
        booking = book(evse, customer)
        first = booking.decide_until

        decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=LATER)
        between = reload(booking)
        pay_in(evse.depot, customer, "10.00")
        answer_waiting(evse.depot, customer, now=LATER)

        assert first == NOW + timedelta(minutes=30)
        assert (between.status, between.decide_until) == ("requested", NOW + timedelta(minutes=60))
        assert reload(booking).status == "confirmed"
        kinds = list(booking.events.values_list("kind", "after"))
        assert [kind for kind, _ in kinds] == ["status", "approved", "status"]

    def test_paid_first_it_waits_for_the_depot(self, evse, customer):
        booking = book(evse, customer)

        pay_in(evse.depot, customer, "10.00")
        answer_waiting(evse.depot, customer, now=NOW + timedelta(minutes=5))
        between = reload(booking)
        decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=LATER)

        assert (between.status, between.decide_until) == ("requested", NOW + timedelta(minutes=30))
        assert reload(booking).status == "confirmed"
        assert list(booking.events.values_list("kind", flat=True)) == [
            "status", "payment_secured", "status",
        ]  # fmt: skip

    def test_the_depot_cannot_say_yes_twice_in_place_of_the_money(self, evse, customer):
        booking = book(evse, customer)
        decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

        with pytest.raises(PaymentAwaited):
            decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

        assert reload(booking).status == "requested"

    def test_declined_it_gives_back_what_is_reserved(self, evse, customer):
        pay_in(evse.depot, customer, "10.00")
        booking = book(evse, customer)
        reserved = available(evse.depot, customer)

        decide(booking_id=booking.pk, accept=False, reason="Full", actor=MANAGER, now=LATER)

        assert (reserved, available(evse.depot, customer)) == (0, Decimal(10))
        assert payment_of(booking).status == "released"

    def test_a_change_that_waits_has_both_prices_secured_and_gives_back_when_declined(self, evse, customer):
        pay_in(evse.depot, customer, "30.00")
        booking = book(evse, customer)
        decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

        change_slot(booking_id=booking.pk, period=slot(10, 12))
        while_it_waits = available(evse.depot, customer)
        decide(booking_id=booking.pk, accept=False, actor=MANAGER, now=LATER)

        assert (while_it_waits, available(evse.depot, customer)) == (Decimal(10), Decimal(20))


def test_the_depot_does_not_override_a_payment_by_accepting(evse, customer):
    booking = book(evse, customer)

    with pytest.raises(PaymentAwaited):
        decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    assert reload(booking).status == "requested"


def test_the_depot_may_decline_what_waits_for_its_payment(evse, customer):
    booking = book(evse, customer)

    decide(booking_id=booking.pk, accept=False, reason="Closed", actor=MANAGER, now=NOW)

    assert (reload(booking).status, payment_of(booking).status) == ("declined", "released")


def test_a_dearer_change_needs_the_difference_and_a_cheaper_one_gives_back(evse, customer):
    pay_in(evse.depot, customer, "25.00")
    booking = book(evse, customer)

    change_slot(booking_id=booking.pk, period=slot(10, 12))
    longer = available(evse.depot, customer)
    with pytest.raises(PaymentMissing) as refused:
        change_slot(booking_id=booking.pk, period=slot(10, 13))
    change_slot(booking_id=booking.pk, period=slot(10, 11))

    assert (longer, refused.value.amount) == (Decimal(5), Decimal(5))
    assert available(evse.depot, customer) == Decimal(15)
    assert payment_of(booking).reserved == Decimal(10)
    assert reload(booking).period == slot(10, 11)


def test_what_waits_for_its_payment_is_not_changed_by_its_fleet(evse, customer):
    booking = book(evse, customer)

    with pytest.raises(PaymentAwaited):
        change_slot(booking_id=booking.pk, period=slot(10, 12))

    assert reload(booking).pending_request is not None


def test_cancelled_in_time_all_of_it_is_given_back(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)

    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=LATER)

    assert available(evse.depot, customer) == Decimal(10)
    assert payment_of(booking).reserved == 0


def test_a_top_up_told_twice_is_one_and_with_another_amount_refused(evse, customer):
    first = pay_in(evse.depot, customer, "10.00", "E2E-1")
    again = pay_in(evse.depot, customer, "10.00", "E2E-1")

    with pytest.raises(TopUpReferenceInUse):
        pay_in(evse.depot, customer, "11.00", "E2E-1")

    assert first == again
    assert available(evse.depot, customer) == Decimal(10)


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "1e12"])
def test_a_top_up_is_whole_cents_above_zero(evse, customer, amount):
    with pytest.raises(AmountInvalid):
        pay_in(evse.depot, customer, amount)


def test_no_more_is_paid_out_than_no_booking_has_reserved(evse, customer):
    pay_in(evse.depot, customer, "25.00")
    book(evse, customer)
    there = account(evse.depot, customer)

    with pytest.raises(BalanceTooLow):
        pay_out(there, Movement(Decimal("15.01")), actor=MANAGER, now=NOW)
    pay_out(there, Movement(Decimal(15), "OUT-1"), actor=MANAGER, now=NOW)

    assert available(evse.depot, customer) == 0


def test_a_currency_pays_for_no_other(evse, customer):
    from bookings.actors import COMMAND
    from bookings.payments.prepaid import top_up

    top_up(account(evse.depot, customer, "CHF"), Movement(Decimal(100)), actor=COMMAND, now=NOW)

    assert book(evse, customer).status == "requested"


def test_the_credit_limit_counts_what_is_prepaid_as_cover(customer):
    evse = make_prepaid_site(credit_limit=Decimal(0))
    pay_in(evse.depot, customer, "10.00")
    paid = book(evse, customer)
    ask_before(evse.depot, "nothing", credit_limit=Decimal(0))

    from bookings.errors import CreditLimitReached

    with pytest.raises(CreditLimitReached):
        book(evse, customer, 12)
    pay_in(evse.depot, customer, "10.00")

    assert (paid.status, book(evse, customer, 12).status) == ("confirmed", "confirmed")


def test_the_database_lets_no_balance_fall_below_zero_and_nothing_be_given_back_twice(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)
    there = account(evse.depot, customer)

    for kind, amount in (("reserved", -1), ("paid_out", -1), ("released", 11)):
        entry = there.entry(
            kind, Decimal(amount), at=NOW, booking_id=None if kind == "paid_out" else booking.pk
        )
        with pytest.raises(IntegrityError), transaction.atomic():
            entry.save(force_insert=True)

    assert PrepaidBalance.objects.get().available == 0
    assert BookingPayment.objects.get().reserved == Decimal(10)
