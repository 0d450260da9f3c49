"""Each guard does something: take it away, and the race it closes is there to see.

docs/guards.md lists them. A test removes what the guard stands beside as well, where two guards cover each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bookings import operations
from bookings.core import lifecycle, locking, occupancy
from bookings.models import Booking, BookingEvent, BookingRequest, BookingToken, Claim, Closure, Occupancy
from bookings.operations import assignment
from bookings.rules.entitlement import TokenName
from depots.models import Evse
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_option,
    make_rule,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)
from tests.races.processes import all_at_once, at_once, rendezvous
from tests.races.removed_guards import Constraint, attempt, meeting_before

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def without_locks(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Reads instead of locks, in every module that took the function by name."""
    import sys

    stand_ins: dict[str, Callable[..., Any]] = {
        "lock_ids": lambda ids: None,
        "lock_depot": lambda depot_id: None,
        "lock_booking": lambda pk, **_: Booking.objects.select_related("depot__operator", "option", "evse", "fleet").get(pk=pk),
        "_queue": lambda names: None,
    }  # fmt: skip
    for module in [m for name, m in sys.modules.items() if name.startswith("bookings")]:
        for name in names:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, stand_ins[name])


def booker(evse: Evse, vehicle: Any = None, **wishes: Any) -> Callable[[], str]:
    truck = vehicle or make_vehicle()
    asked = {
        "fleet": truck.fleet,
        "option": option_of(evse),
        "vehicle": truck,
        "period": slot(10, 11),
        **wishes,
    }
    return lambda: attempt(lambda: book_slot(actor=DISPATCHER, now=NOW, **asked))


def overlapping_pairs() -> int:
    spans = list(Occupancy.objects.values_list("evse", "span", "holder"))
    return sum(
        a[0] == b[0] and a[2] != b[2] and a[1].overlaps(b[1])
        for i, a in enumerate(spans)
        for b in spans[i + 1 :]
    )


@pytest.mark.parametrize("guarded", [True, False])
def test_occupancy_evse_once_is_the_last_word_on_double_booking(monkeypatch, guarded):
    evse = make_evse()
    works = [booker(evse), booker(evse)]
    without_locks(monkeypatch, "lock_ids")
    meeting_before(monkeypatch, lifecycle, "insert_with")

    with _maybe(Constraint("bookings_occupancy", "occupancy_evse_once"), dropped=not guarded):
        answers = Counter(all_at_once(works))
        doubles = overlapping_pairs()

    assert (doubles, answers["done"]) == ((0, 1) if guarded else (1, 2))


@pytest.mark.parametrize("guarded", [True, False])
def test_the_evse_lock_lets_the_second_look_after_the_first_has_written(monkeypatch, guarded):
    """Without it both find the slot free, and only the constraint stands between them."""
    evse = make_evse()
    works = [booker(evse), booker(evse)]
    seen_free = at_once.__globals__["_forking"].Value("i", 0)
    look = assignment.free_places

    def counting(*args: Any, **kwargs: Any) -> Any:
        found = look(*args, **kwargs)
        with seen_free.get_lock():
            seen_free.value += bool(found)
        return found

    monkeypatch.setattr(assignment, "free_places", counting)
    if not guarded:
        without_locks(monkeypatch, "lock_ids")
        meeting_before(monkeypatch, lifecycle, "insert_with")

    answers = Counter(all_at_once(works))

    assert answers["done"] == 1
    assert seen_free.value == (1 if guarded else 2)


@pytest.mark.parametrize("guarded", [True, False])
def test_the_depot_lock_keeps_promises_of_power_within_the_grid(monkeypatch, guarded):
    depot = make_depot(grid_limit_w=400_000)
    works = [booker(make_evse(depot), power_w=300_000), booker(make_evse(depot), power_w=300_000)]
    if not guarded:
        without_locks(monkeypatch, "lock_depot")
        meeting_before(monkeypatch, lifecycle, "insert_with")

    answers = Counter(all_at_once(works))

    promised = sum(Occupancy.objects.values_list("power_w", flat=True))
    assert (promised, answers["done"]) == ((300_000, 1) if guarded else (600_000, 2))


@pytest.mark.parametrize("guarded", [True, False])
def test_the_depot_lock_keeps_a_customer_within_its_open_bookings(monkeypatch, guarded):
    depot, truck = make_depot(terms={"max_open_bookings": 1}), make_vehicle()
    works = [booker(make_evse(depot), truck), booker(make_evse(depot), truck)]
    if not guarded:
        without_locks(monkeypatch, "lock_depot")
        meeting_before(monkeypatch, lifecycle, "insert_with")

    answers = Counter(all_at_once(works))

    assert answers == ({"done": 1, "too_many_bookings": 1} if guarded else {"done": 2})


@pytest.mark.parametrize("guarded", [True, False])
def test_the_depot_lock_keeps_a_customer_within_its_unused_holds(monkeypatch, guarded):
    depot, truck = make_depot(terms={"max_unused_holds": 1}), make_vehicle()
    places = [option_of(make_evse(depot)) for _ in range(2)]

    def holder(option):
        asked = {"fleet": truck.fleet, "option": option, "vehicle": truck, "period": slot(10, 11)}
        return lambda: attempt(lambda: place_hold(**asked, actor=DISPATCHER, now=NOW))

    if not guarded:
        without_locks(monkeypatch, "lock_depot")
        meeting_before(monkeypatch, lifecycle, "insert_with")

    answers = Counter(all_at_once([holder(option) for option in places]))

    assert answers == ({"done": 1, "too_many_holds": 1} if guarded else {"done": 2})


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"kind": "quota", "amount": 1}, "quota_reached"),
        ({"kind": "quota", "amount": 400, "unit": "kw"}, "quota_reached"),
        ({"kind": "quota", "amount": 1, "counts": "guests"}, "quota_reached"),
        ({"kind": "walk_in", "amount": 1}, "kept_for_walk_ins"),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_the_depot_lock_keeps_customers_within_their_quotas(monkeypatch, rule, code, guarded):
    depot, truck = make_depot(), make_vehicle(max_power_w=400_000)
    works = [booker(make_evse(depot), truck), booker(make_evse(depot), truck)]
    make_rule(depot, **rule)
    if not guarded:
        without_locks(monkeypatch, "lock_depot")
        meeting_before(monkeypatch, lifecycle, "insert_with")

    answers = Counter(all_at_once(works))

    assert answers == ({"done": 1, code: 1} if guarded else {"done": 2})


@pytest.mark.parametrize("guarded", [True, False])
def test_a_place_kept_for_a_change_is_locked_with_its_booking(monkeypatch, guarded):
    """Else the cancellation that gives it back and a closure of that EVSE miss each other, and it stays bookable."""
    depot = make_depot(terms={"approval": True})
    evse, kept = make_evse(depot), make_evse(depot)
    truck, both = make_vehicle(), make_option(evse, kept)
    booking = book_slot(
        fleet=truck.fleet,
        option=both,
        evse=evse,
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )
    change_slot(booking_id=booking.pk, evse=kept, actor=DISPATCHER, now=NOW)
    if not guarded:
        reach = locking._lock_set
        monkeypatch.setattr(
            locking, "_lock_set", lambda b, *_: replace(reach(b, (), False), evse_ids=frozenset([b.evse_id]))
        )
        _meet_after_filling(monkeypatch, kept.pk)

    def cancel() -> str:
        asked = {"booking_id": booking.pk, "reason": "FULL", "by": "depot", "actor": MANAGER, "now": NOW}
        return attempt(lambda: operations.cancel_booking(**asked))

    def close() -> str:
        return attempt(lambda: operations.close_evse(evse=kept, period=slot(9, 12), actor=MANAGER, now=NOW))

    assert all_at_once([cancel, close]) == ["done", "done"]

    closed = [row.span.duration for row in Occupancy.objects.filter(evse=kept, kind="closure")]
    assert (sum(closed, timedelta()) == timedelta(hours=3)) == guarded


@pytest.mark.parametrize("guarded", [True, False])
def test_the_booking_lock_lets_one_of_two_moves_win(monkeypatch, guarded):
    """Two cancellations at the same moment: without the lock both move it, from the same status."""
    assert booker(make_evse())() == "done"
    booking_id = Booking.objects.get().pk
    if not guarded:
        without_locks(monkeypatch, "lock_booking", "lock_ids")
        meeting_before(monkeypatch, operations.cancel.lifecycle, "move")

    def cancel(reason: str) -> Callable[[], str]:
        asked = {"booking_id": booking_id, "reason": reason, "by": "depot", "actor": MANAGER, "now": NOW}
        return lambda: attempt(lambda: operations.cancel_booking(**asked))

    all_at_once([cancel("FULL"), cancel("BLOCKED")])

    ends = BookingEvent.objects.filter(kind="status", before="confirmed").count()
    assert ends == (1 if guarded else 2)


@pytest.mark.parametrize("guarded", [True, False])
def test_one_pending_request_keeps_two_changes_from_waiting_at_once(monkeypatch, guarded):
    depot = make_depot(terms={"approval": True})
    evse = make_evse(depot)
    assert booker(evse)() == "done"
    booking = Booking.objects.get()
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    without_locks(monkeypatch, "lock_booking", "lock_ids")
    meeting_before(monkeypatch, operations.change.request_log, "log")
    asked = [slot(12, 13), slot(14, 15)]

    def change(number: int) -> str:
        return attempt(
            lambda: change_slot(booking_id=booking.pk, period=asked[number], actor=DISPATCHER, now=NOW)
        )

    with (
        _maybe(Constraint("bookings_bookingrequest", "one_pending_request"), dropped=not guarded),
        # Two rows of one holder would end the second change a moment later.
        _maybe(Constraint("bookings_occupancy", "occupancy_pending_row_once"), dropped=not guarded),
    ):
        at_once(change, 2)
        waiting = BookingRequest.objects.filter(decision="pending").count()

    assert waiting == (1 if guarded else 2)


@pytest.mark.parametrize("guarded", [True, False])
def test_booking_request_id_once_makes_a_repeated_message_one_booking(guarded):
    depot = make_depot()
    truck = make_vehicle()
    works = [
        booker(make_evse(depot), truck, request_id="R-1"),
        booker(make_evse(depot), truck, request_id="r-1"),
    ]

    with _maybe(Constraint("bookings_booking", "booking_request_id_once"), dropped=not guarded):
        answers = Counter(all_at_once(works))
        made = Booking.objects.count()

    assert made == (1 if guarded else 2)
    assert answers == ({"done": 1, "request_id_in_use": 1} if guarded else {"done": 2})


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("name", ["claim_token_once", "claim_vehicle_once"])
def test_a_claim_keeps_a_token_or_vehicle_out_of_two_places(monkeypatch, name, guarded):
    depot = make_depot(terms={"overlapping_tokens": False})
    truck = make_vehicle(token=None if name == "claim_vehicle_once" else "")
    other = truck if name == "claim_vehicle_once" else make_vehicle(truck.fleet, token=None)
    card = [TokenName(t.uid) for t in truck.tokens.all()]
    works = [booker(make_evse(depot), truck, tokens=card), booker(make_evse(depot), other, tokens=card)]

    with _maybe(Constraint("bookings_claim", name), dropped=not guarded):
        answers = Counter(all_at_once(works))
        places = Claim.objects.values("holder").distinct().count()

    assert places == (1 if guarded else 2)
    assert answers["done"] == places


@pytest.mark.parametrize("guarded", [True, False])
def test_the_claim_queue_keeps_crossed_claims_from_deadlocking(monkeypatch, guarded):
    """Two bookings with the same two tokens, written in opposite order: the queue sorts them, the constraint deadlocks."""
    depot = make_depot(terms={"overlapping_tokens": False})
    truck = make_vehicle(token=None)
    names = [f"CARD{number}" for number in range(2)]
    for name in names:
        truck.tokens.create(fleet=truck.fleet, uid=name)
    spare = [make_vehicle(truck.fleet, token=None) for _ in range(2)]
    cards = [TokenName(name) for name in names]
    if not guarded:
        without_locks(monkeypatch, "_queue")
        meeting_before(monkeypatch, occupancy, "_queue")
        _insert_claims_one_by_one(monkeypatch)

    def take(number: int) -> str:
        if not guarded:
            monkeypatch.setattr(occupancy, "token_keys", _keys_in_order(reverse=bool(number)))
        return booker(evses[number], spare[number], tokens=cards)()

    evses = [make_evse(depot) for _ in range(2)]
    answers = Counter(at_once(take, 2))

    expected = {"done", "token_elsewhere"} if guarded else {"done", "OperationalError"}
    assert set(answers) == expected


@pytest.mark.parametrize("guarded", [True, False])
def test_holders_come_from_one_sequence_so_a_closure_is_never_taken_for_a_booking(guarded):
    evse = make_evse()
    booker(evse)()
    booking = Booking.objects.get()

    closure_id = operations.close_evse(evse=evse, period=slot(12, 13), actor=MANAGER, now=NOW).pk
    if not guarded:
        Closure.objects.filter(pk=closure_id).update(id=booking.pk)
        Occupancy.objects.filter(holder=closure_id).update(holder=booking.pk)
        moved = attempt(
            lambda: change_slot(
                booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW
            )
        )
    else:
        moved = attempt(
            lambda: change_slot(
                booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW
            )
        )

    # Sharing an id, the closed time would count as the booking's own.
    assert moved == ("slot_taken" if guarded else "done")


@contextmanager
def _maybe(constraint: Constraint, *, dropped: bool) -> Iterator[None]:
    if not dropped:
        yield
        return
    with constraint.dropped():
        yield


def _meet_after_filling(monkeypatch: pytest.MonkeyPatch, evse_id: int) -> None:
    """Of both what they wrote is there, and of neither it is committed."""
    fill, meeting = occupancy.fill_closures, rendezvous(2)

    def late(pk: int, span: Any) -> None:
        fill(pk, span)
        if pk == evse_id:
            meeting.wait(30)

    monkeypatch.setattr(occupancy, "fill_closures", late)


def _keys_in_order(*, reverse: bool) -> Callable[[Any], list[str]]:
    return lambda tokens: sorted((f"**{t.uid}*{t.type}" for t in tokens), reverse=reverse)


def _insert_claims_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of `token_keys` and with a meeting between the first and the second."""
    meeting = rendezvous(2)

    insert = lifecycle.insert_with

    def insert_with(booking: Booking, rows: Any) -> None:
        insert(booking, [row for row in rows if not isinstance(row, Claim)])
        tokens = [row for row in rows if isinstance(row, BookingToken)]
        for number, key in enumerate(occupancy.token_keys(tokens)):
            if number == 1:
                meeting.wait(30)
            Claim.objects.create(holder=booking.pk, span=booking.period, token_key=key)

    monkeypatch.setattr(lifecycle, "insert_with", insert_with)
