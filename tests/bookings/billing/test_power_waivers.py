"""A fee falls away where less power than promised was there, or was announced, with the evidence the booking's history keeps."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bookings import operations, scheduler
from bookings.actors import RULE
from bookings.billing.cdrs import SHORT_IN_ALL
from bookings.core import lifecycle
from bookings.models import Booking, ExternalLimit
from bookings.operations import ChangeRequest
from bookings.pages.booking_bills import bills_of, cancellation_fee
from bookings.pages.outcome import outcome_of
from bookings.rules import power_shortage
from depots.periods import Period
from tests.billing_factories import (
    back_to_back,
    charge,
    leave,
    priced,
    priced_booking,
    records,
    standing,
    uses,
)
from tests.bookings.enforcement.online_chargers import TERMS, book, evse_online
from tests.factories import DISPATCHER, MANAGER, at, make_depot

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def short(booking: Booking, since, until=None) -> None:
    """Its promise was not kept, as the worker writes it down (smart_charging.promises)."""
    told = {"promised_w": booking.promised_power_w, "given_w": 20_000, "since": since.isoformat()}
    lifecycle.record(booking, kind="power_short", actor=RULE, at=since + timedelta(seconds=20), detail=told)
    if until is not None:
        lifecycle.record(booking, kind="power_restored", actor=RULE, at=until, detail={})


@pytest.mark.parametrize(
    ("until", "billed"),
    [(at(10, 5), [("charging", "energy")]), (at(10, 4), [("booking", "flat"), ("charging", "energy")])],
)
def test_a_promise_not_kept_for_five_minutes_leaves_only_the_energy_to_pay(until, billed):
    booking = priced_booking()
    short(booking, at(10), until)

    charge(booking)

    (cdr,) = records()
    (bill,) = bills_of(booking).bills
    assert [note.partition(" was there")[0] for note in bill.notes] == ["Less power than promised"] * (
        2 - len(billed)
    )
    assert uses(cdr) == billed
    assert ("power_short" in cdr.flags) == (len(billed) == 1)


@pytest.mark.parametrize(("since", "is_free"), [(at(10, 1), True), (at(10, 3), False)])
def test_a_shorter_charging_costs_its_energy_alone_where_its_promise_was_not_kept_at_all(since, is_free):
    booking = priced_booking()
    short(booking, since)

    charge(booking, at(10, 2), at(10, 4))

    (cdr,) = records()
    assert ("power_short" in cdr.flags, ("booking", "flat") not in uses(cdr)) == (is_free, is_free)


def test_who_had_less_power_than_promised_pays_no_overtime():
    booking = priced_booking(terms={"late_stop_min": 10})
    short(booking, at(10, 40))

    charge(booking, at(10), at(11, 30))

    (cdr,) = records()
    assert uses(cdr) == [("charging", "energy")]
    assert not any("overtime_s" in period for period in cdr.periods)


def test_minutes_without_the_promise_count_over_all_sessions_of_a_booking():
    booking = priced_booking()
    short(booking, at(10, 7), at(10, 10))
    charge(booking, at(10), at(10, 10), 20_000)
    assert [uses(cdr) for cdr in standing()] == [[("booking", "flat"), ("charging", "energy")]]

    short(booking, at(10, 20), at(10, 23))
    charge(booking, at(10, 15), at(10, 40))

    assert [uses(cdr) for cdr in standing()] == 2 * [[("charging", "energy")]]
    assert all("power_short" in cdr.flags for cdr in standing())
    first = records(credits=None)[0]
    assert (first.credited_by.reason, standing(replaces=first)[0].session) == (SHORT_IN_ALL, first.session)
    before = len(records())
    charge(booking, at(10, 45), at(10, 50), 10_000)
    assert (len(records()), uses(records()[-1])) == (before + 1, [("charging", "energy")])


def test_a_slot_a_truck_stayed_on_into_costs_nothing_where_a_later_session_in_it_was_short():
    _, second, session = back_to_back()
    scheduler.run_tick(at(10, 15))
    leave(session, at(10, 20))
    scheduler.run_tick(at(10, 21))
    assert [cdr.kind for cdr in standing(booking=second)] == ["stay"]

    short(second, at(10, 30), at(10, 40))
    charge(second, at(10, 25), at(10, 50))

    assert [(cdr.kind, uses(cdr)) for cdr in standing(booking=second)] == [
        ("session", [("charging", "energy")])
    ]


@pytest.mark.parametrize(("aspect", "stands"), [("reference", True), ("time", False)])
def test_what_was_announced_stands_until_the_promise_is_made_anew(aspect, stands):
    booking = booked_late(lifted=False)
    wishes = {"authorization_reference": "PO-7"} if aspect == "reference" else {"ends_at": at(10, 45)}

    operations.change_booking(booking.pk, ChangeRequest(**wishes), actor=DISPATCHER, now=at(9, 5))
    booking.refresh_from_db()

    assert any(power_shortage.announced(booking, booking.period)) == stands


def booked_late(*, lifted: bool, begins_at: datetime = at(10, 30)) -> Booking:
    """With a limit from outside that was announced for its slot."""
    evse = evse_online(
        make_depot(terms={**TERMS, "change_until_min": 0, "cancel_until_min": 60, "late_cancel": True})
    )
    booking = priced(book(evse))
    period = Period(begins_at, at(12))
    operations.limit_depot(depot=booking.depot, watts=20_000, period=period, actor=MANAGER, now=at(9))
    if lifted:
        ExternalLimit.objects.update(lifted_at=at(9, 10))
    booking.refresh_from_db()
    return booking


def cancelled(booking: Booking) -> Booking:
    return operations.cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=at(9, 30)
    )


def test_a_late_cancellation_costs_nothing_where_less_power_was_announced():
    booking = booked_late(lifted=False)
    assert cancellation_fee(booking, by="fleet", now=at(9, 30)) == ""

    booking = cancelled(booking)

    told = booking.events.get(kind="waived").detail
    assert records() == []
    assert (told["fee"], told["why"], [seen["start"][11:16] for seen in told["seen"]]) == (
        "late_cancellation_fee", "no_power", ["10:30"],
    )  # fmt: skip
    assert "less power" in outcome_of(booking, is_waived=True).words


@pytest.mark.parametrize("begins_at", [at(10, 30), at(9)])
def test_a_limit_that_was_lifted_before_waives_nothing(begins_at):
    booking = booked_late(lifted=True, begins_at=begins_at)
    assert cancellation_fee(booking, by="fleet", now=at(9, 30)) == "€17.85"

    cancelled(booking)

    assert [cdr.kind for cdr in records()] == ["cancellation"]
    assert not booking.events.filter(kind="waived").exists()


@pytest.mark.parametrize("is_lifted", [False, True])
def test_a_limit_that_came_and_went_while_no_worker_ran_waives_what_it_took(is_lifted):
    evse = evse_online(make_depot(terms=TERMS))
    booking = priced(book(evse))
    period = Period(at(10), at(11) if is_lifted else at(10, 30))
    operations.limit_depot(depot=booking.depot, watts=20_000, period=period, actor=MANAGER, now=at(9))
    if is_lifted:
        operations.lift_limits(depot=booking.depot, now=at(10, 30))

    scheduler.run_tick(at(10, 45))

    assert [
        limit["limit_w"]
        for limit in booking.events.filter(kind="power_limited").values_list("detail", flat=True)
    ] == [20_000]
    assert Booking.objects.get(pk=booking.pk).status == "no_show"
    assert booking.events.get(kind="waived").detail["fee"] == "no_show_fee"
    assert records() == []


@pytest.mark.parametrize("how", ["moved", "broken off", "before its slot"])
def test_less_power_counts_only_where_and_while_it_was_missed(how):
    booking = priced_booking()
    short(booking, at(9, 50) if how == "before its slot" else at(10, 1))
    match how:
        case "moved":
            places = {"before": {"evse": "DE*A"}, "after": {"evse": "DE*B"}}
            lifecycle.record(booking, kind="changed", actor=RULE, at=at(10, 3), detail=places)
        case "broken off":
            lifecycle.record(booking, kind="interrupted", actor=RULE, at=at(10, 3), detail={})
            lifecycle.record(booking, kind="session", actor=RULE, at=at(10, 20), detail={"evse": "DE*A"})
        case "before its slot":
            lifecycle.record(booking, kind="power_restored", actor=RULE, at=at(10, 2), detail={})

    begins = at(10) if how == "before its slot" else at(10, 1)
    (spell,) = power_shortage.happened(booking, at(10, 50))
    assert (spell.starts_at, spell.ends_at) == (begins, at(10, 2) if begins == at(10) else at(10, 3))
    assert not power_shortage.waives(booking, since=at(10), until=at(10, 50))
