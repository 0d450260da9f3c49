"""Several EVSEs closed in one step: what is proposed and chosen for their bookings, and taking it back."""

from __future__ import annotations

from typing import Any

import pytest

from bookings import operations
from bookings.errors import ChangedMeanwhile, EvseUnknown, InThePast, SlotTaken, WrongStatus
from bookings.models import Booking, BookingEvent, Closure, ClosureAct, Occupancy, Occurrence
from bookings.operations.closure_acts import Choice, act_version
from bookings.operations.closure_plan import Outage, Outcome, proposed, version_of
from depots.models import Depot, Evse
from depots.periods import Period, united
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    PARTNER,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db


def book(evse: Evse, start: int, end: int, **wishes: Any) -> Booking:
    truck = wishes.pop("vehicle", None) or make_vehicle()
    asked = {"option": option_of(evse), "actor": DISPATCHER, "now": NOW, **wishes}
    return book_slot(fleet=truck.fleet, vehicle=truck, evse=evse, period=slot(start, end), **asked)


def outage(*evses: Evse, period: Period | None = None) -> Outage:
    return Outage(evses[0].depot, frozenset(evse.pk for evse in evses), period or slot(9, 18))


def close(where: Outage, **asked: Any) -> ClosureAct:
    return operations.close_evses(outage=where, **{"actor": MANAGER, "now": NOW, **asked})


def undo(act: ClosureAct, **asked: Any) -> ClosureAct:
    now = asked.pop("now", NOW)
    return operations.undo_closure(act_id=act.pk, seen_version=act_version(act), actor=MANAGER, now=now)


def places(*bookings: Booking) -> list[Evse | None]:
    for booking in bookings:
        booking.refresh_from_db()
    return [booking.evse for booking in bookings]


def outcomes(act: ClosureAct) -> dict[int, str]:
    return dict(act.steps.values_list("booking", "outcome"))


@pytest.fixture
def depot() -> Depot:
    return make_depot()


def test_bookings_of_all_closed_evses_are_planned_together(depot: Depot) -> None:
    """Who comes first would take the only bay that is long enough for the second; it does as well elsewhere."""
    closed, other, long, short = (
        make_evse(depot, max_vehicle_length_cm=cm) for cm in (2000, 2000, 2000, 1000)
    )
    pool = make_option(closed, long)
    first = book(closed, 10, 11, option=pool, vehicle=make_vehicle(length_cm=900))
    second = book(other, 10, 11, vehicle=make_vehicle(length_cm=1900))

    act = close(outage(closed, other))

    assert places(first, second) == [short, long]
    assert set(outcomes(act).values()) == {"moved"}


def test_an_act_is_one_thing_with_its_closures_and_what_became_of_each_booking(depot: Depot) -> None:
    closed, other, free = (make_evse(depot) for _ in range(3))
    moved, stuck = book(closed, 10, 11), book(other, 10, 11)

    act = close(outage(closed, other), reason="Cable")

    assert {closure.evse for closure in act.closures.all()} == {closed, other}
    assert outcomes(act) == {moved.pk: "moved", stuck.pk: "cancelled"}
    step = act.steps.get(booking=moved)
    assert (step.evse_before, step.evse_after, step.version) == (closed, free, 2)
    assert BookingEvent.objects.get(booking=moved, kind="changed").detail["note"] == "Cable"
    assert places(stuck) == [other]
    assert (stuck.status, stuck.cancelled_by, stuck.note) == ("cancelled", "depot", "Cable")
    taken = [[row.span for row in evse.occupancy.filter(kind="closure")] for evse in (closed, other)]
    assert [united(spans) for spans in taken] == [[slot(9, 18)]] * 2


@pytest.mark.parametrize(
    ("choice", "becomes"),
    [
        (Outcome.MOVED, ("confirmed", 2)),
        (Outcome.CANCELLED, ("cancelled", 0)),
        (Outcome.STAYS, ("confirmed", 0)),
    ],
)
def test_a_manager_decides_otherwise_for_one_booking(
    depot: Depot, choice: Outcome, becomes: tuple[str, int]
) -> None:
    evses = [make_evse(depot) for _ in range(3)]
    booking = book(evses[0], 10, 11)
    chosen = {booking.pk: Choice(choice, evses[2].pk if choice == Outcome.MOVED else None)}

    act = close(outage(evses[0]), choices=chosen)

    assert (places(booking)[0], booking.status) == (evses[becomes[1]], becomes[0])
    assert outcomes(act) == {booking.pk: choice.value}


def test_what_charges_or_is_armed_is_left_unless_somebody_says_so(depot: Depot) -> None:
    closed, free = make_evse(depot), make_evse(depot)
    armed, charging, later = book(closed, 10, 11), book(closed, 11, 12), book(closed, 12, 13)
    Booking.objects.filter(pk=armed.pk).update(enforcement="armed", armed_evse=closed)
    Booking.objects.filter(pk=charging.pk).update(status="charging")
    where = outage(closed)

    found = {one.booking.pk: one for one in proposed(where, leaves_armed=True, now=NOW)}
    chosen = {pk: Choice(Outcome.MOVED, free.pk) for pk in (armed.pk, charging.pk)}
    close(where, choices=chosen)

    assert [found[b.pk].outcome for b in (armed, charging, later)] == ["stays", "stays", "moved"]
    assert found[charging.pk].others == ()
    assert places(armed, charging, later) == [free, closed, free]


def test_a_place_that_is_taken_refuses_all_of_it(depot: Depot) -> None:
    closed, taken, free = (make_evse(depot) for _ in range(3))
    first, second = book(closed, 10, 11), book(closed, 11, 12)
    book(taken, 11, 12)

    with pytest.raises(SlotTaken, match=f"{second.plate} cannot go to {taken}"):
        close(outage(closed), choices={second.pk: Choice(Outcome.MOVED, taken.pk)})

    assert places(first, second) == [closed, closed]
    assert not Closure.objects.exists()
    assert not ClosureAct.objects.exists()
    assert free.occupancy.count() == 0


@pytest.mark.parametrize("wrong", ["closed itself", "elsewhere", "past", "withdrawn"])
def test_what_cannot_be_closed_or_moved_to_is_refused(depot: Depot, wrong: str) -> None:
    closed, other = make_evse(depot), make_evse(depot)
    booking = book(closed, 10, 11)
    target = {"closed itself": closed, "elsewhere": make_evse()}.get(wrong, other)
    chosen = {booking.pk: Choice(Outcome.MOVED, target.pk)}
    period = slot(6, 7) if wrong == "past" else slot(9, 18)
    Evse.objects.filter(pk=closed.pk).update(is_withdrawn=wrong == "withdrawn")

    with pytest.raises(InThePast if wrong == "past" else EvseUnknown):
        close(outage(closed, period=period), choices=chosen)

    assert not Closure.objects.exists()


def test_what_was_not_seen_is_not_done(depot: Depot) -> None:
    closed, other = make_evse(depot), make_evse(depot)
    booking, where = book(closed, 10, 11), outage(closed)
    seen = version_of(proposed(where, leaves_armed=True, now=NOW))
    book(other, 10, 11)

    with pytest.raises(ChangedMeanwhile):
        close(where, seen_version=seen)

    assert places(booking) == [closed]


def test_undoing_puts_back_what_can_be_put_back_and_says_what_cannot(depot: Depot) -> None:
    closed, other, free = (make_evse(depot) for _ in range(3))
    back, again, gone, late, cancelled = (book(closed, start, start + 1) for start in (10, 11, 12, 13, 14))
    book(other, 14, 15)
    book(free, 14, 15)
    act = close(outage(closed))
    assert places(back, again, gone, late) == [other] * 4
    change_slot(booking_id=again.pk, evse=free, by="depot", actor=MANAGER, now=NOW)
    operations.cancel_booking(booking_id=gone.pk, reason="FULL", by="depot", actor=MANAGER, now=NOW)
    Booking.objects.filter(pk=late.pk).update(enforcement="armed", armed_evse=other)

    undo(act)

    assert places(back, again, late) == [closed, free, other]
    said = {step.booking_id: (step.after, step.why) for step in act.steps.all()}
    assert said[back.pk] == ("restored", "")
    assert said[again.pk] == ("kept", "It was moved again since.")
    assert said[gone.pk] == ("kept", "It is cancelled by now.")
    assert said[late.pk] == ("kept", "Its charger keeps the place already.")
    rebooked = act.steps.get(booking=cancelled).rebooked
    assert rebooked is not None
    assert (rebooked.evse, rebooked.period, rebooked.status) == (closed, slot(14, 15), "confirmed")
    assert rebooked.reference != cancelled.reference
    assert not Occupancy.objects.filter(kind="closure").exists()


def test_undoing_leaves_the_place_to_who_has_taken_it(depot: Depot) -> None:
    """The EVSE was opened early, and somebody else booked there."""
    closed, free = make_evse(depot), make_evse(depot)
    booking = book(closed, 10, 11)
    act = close(outage(closed))
    operations.lift_closure(closure_id=act.closures.get().pk, actor=MANAGER, now=NOW)
    book(closed, 10, 11)

    undo(act)

    assert places(booking) == [free]
    step = act.steps.get()
    assert (step.after, step.why) == ("kept", f"{closed} is not free then.")


def test_an_act_is_undone_once_and_not_when_its_time_is_over(depot: Depot) -> None:
    act, over = close(outage(make_evse(depot))), close(outage(make_evse(depot)))
    undo(act)

    with pytest.raises(WrongStatus):
        undo(ClosureAct.objects.get(pk=act.pk))
    with pytest.raises(WrongStatus):
        undo(over, now=at(18))
    with pytest.raises(ChangedMeanwhile):
        operations.undo_closure(act_id=over.pk, seen_version=1, actor=MANAGER, now=NOW)


def test_a_cancelled_booking_of_a_partner_is_not_booked_again(depot: Depot) -> None:
    closed = make_evse(depot)
    truck = make_vehicle()
    type(truck.fleet).objects.filter(pk=truck.fleet_id).update(is_partner=True)
    truck.fleet.refresh_from_db()
    booking = book_slot(
        fleet=truck.fleet, option=option_of(closed), period=slot(10, 11), tokens=(), actor=PARTNER, now=NOW
    )
    act = close(outage(closed))

    undo(act)

    step = act.steps.get(booking=booking)
    assert (step.after, step.why) == ("kept", "A partner network books its own again.")


def test_who_was_killed_while_booking_again_goes_on_with_what_is_left(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = make_evse(depot)
    book(closed, 10, 11)
    book(closed, 11, 12)
    act = close(outage(closed))
    rebook, left = operations.closure_acts._rebook, [1]

    def killed(*args: Any) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        rebook(*args)

    monkeypatch.setattr(operations.closure_acts, "_rebook", killed)
    with pytest.raises(KeyboardInterrupt):
        undo(act)
    monkeypatch.undo()

    undo(ClosureAct.objects.get(pk=act.pk))

    assert set(act.steps.values_list("after", flat=True)) == {"rebooked"}
    assert Booking.objects.filter(status="confirmed").count() == 2


def test_of_two_who_take_it_back_the_second_leaves_what_the_first_has_done(depot: Depot) -> None:
    closed = make_evse(depot)
    book(closed, 10, 11)
    act = close(outage(closed))
    [read_before] = act.steps.all()
    undo(act)

    operations.closure_acts._rebook(read_before, MANAGER, NOW)

    step = act.steps.get()
    assert (step.after, step.why, step.rebooked) == ("rebooked", "", Booking.objects.get(status="confirmed"))
    assert (read_before.after, read_before.rebooked) == ("rebooked", step.rebooked)


def test_power_that_a_move_cost_comes_back_with_the_place(depot: Depot) -> None:
    strong, weak = make_evse(depot, max_power_w=400_000), make_evse(depot, max_power_w=200_000)
    booking = book(strong, 10, 11, vehicle=make_vehicle(max_power_w=350_000))
    act = close(outage(strong))
    assert (places(booking), booking.promised_power_w) == ([weak], 200_000)

    undo(act)

    assert (places(booking), booking.promised_power_w) == ([strong], 350_000)


def test_each_fleet_is_told_once_of_each_booking(depot: Depot) -> None:
    """Who is moved or cancelled hears of that, who stays of the closure."""
    closed, other = make_evse(depot), make_evse(depot)
    moved, stuck, stays = book(closed, 10, 11), book(closed, 11, 12), book(closed, 12, 13)
    book(other, 11, 12)

    close(outage(closed), reason="Cable", choices={stays.pk: Choice(Outcome.STAYS)})

    assert [told.booking for told in Occurrence.objects.filter(kind="closure")] == [stays]
    changes = BookingEvent.objects.filter(detail__by="depot").values_list("booking", "kind")
    assert sorted(changes) == [(moved.pk, "changed"), (stuck.pk, "status")]
