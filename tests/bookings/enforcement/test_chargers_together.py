"""Chargers that come, go or tell a status in the same moment leave of their bookings what each would have left by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import enforcement
from bookings.models import Booking, KeptEvse
from depots import operations as depots
from depots.models import Charger, ChargerCommand, ChargingSession, Evse, LocalList
from tests.bookings.enforcement.online_chargers import TERMS, book, evse_online
from tests.factories import NOW, at, make_charger, make_depot
from tests.scenarios.locked_rows import somebody_locks

pytestmark = pytest.mark.django_db

ARMED_AT, BOOTED_AT, THEN = at(9, 45), at(9, 46), at(9, 47)


def armed(count: int, *, state: str = "armed", why: str = "") -> list[Booking]:
    """Bookings whose chargers have accepted their reservations, and say that they are free."""
    depot = make_depot(terms=TERMS)
    for _ in range(count):
        book(evse_online(depot))
    enforcement.arm_due(now=ARMED_AT)
    ChargerCommand.objects.filter(action="reserve").update(state="sent", sent_at=ARMED_AT)
    sent = ChargerCommand.objects.filter(action="reserve", state="sent").values_list("pk", flat=True)
    yes = {"state": "answered", "answer": "accepted", "answer_text": "", "now": ARMED_AT}
    depots.settle_commands([{"command_id": pk, **yes} for pk in sent])
    Evse.objects.update(told_status="available", status_at=ARMED_AT, status_received_at=BOOTED_AT)
    if state != "armed":
        Booking.objects.update(enforcement=state, enforcement_why=why)
    return list(Booking.objects.filter(depot=depot).select_related("evse__charger").order_by("pk"))


def charger_of(booking: Booking) -> Charger:
    assert booking.evse is not None
    assert booking.evse.charger is not None
    return booking.evse.charger


def facts(booking: Booking) -> dict[str, Any]:
    booking = Booking.objects.select_related("evse__charger").get(pk=booking.pk)
    charger, evse = charger_of(booking), booking.evse
    assert evse is not None
    commands = []
    for command in charger.commands.order_by("id"):
        told = {k: v for k, v in command.payload.items() if k in {"evse", "expires_at"}}
        commands.append((command.action, command.state, command.answer, told, command.not_after))
    kept = LocalList.objects.filter(charger=charger).values_list("held", "synced_at", "next_try_at")
    return {
        "enforcement": (booking.enforcement, booking.enforcement_why, booking.enforcement_at),
        "again": (booking.next_try_at, booking.armed_evse_id == booking.evse_id),
        "version": (booking.version, booking.updated_at),
        "events": list(
            booking.events.order_by("id").values_list("kind", "before", "after", "version", "at", "detail")
        ),
        "measured": {k: v for k, v in charger.measured.items() if not k.endswith("_by")},
        "commands": commands,
        "lease": (charger.lease_holder, charger.lease_until),
        "online": list(charger.connection_changes.order_by("id").values_list("at", "is_online")),
        "evse": (evse.status, evse.told_status, evse.status_at, evse.status_received_at),
        "list": list(kept),
    }


def close(booking: Booking) -> dict[str, Any]:
    return {"charger_id": charger_of(booking).pk, "holder": "gw", "now": THEN}


def reconnect(booking: Booking) -> dict[str, Any]:
    return {**close(booking), "rebooted": False}


def reboot(booking: Booking) -> dict[str, Any]:
    return {**close(booking), "rebooted": True}


def tell(booking: Booking, status: str = "available") -> dict[str, Any]:
    told = {"evse_number": 1, "status": status, "at": THEN, "now": THEN}
    return {"charger_id": charger_of(booking).pk, **told}


Call = Callable[[Booking], dict[str, Any]]
ALONE = {
    close: depots.close_connection,
    reconnect: depots.reconcile,
    reboot: depots.reconcile,
    tell: depots.report_status,
}
TOGETHER = {
    close: depots.close_connections,
    reconnect: depots.reconcile_connections,
    reboot: depots.reconcile_connections,
    tell: depots.report_statuses,
}
STATES = [
    ("armed", ""),
    ("due", ""),
    ("at_risk", "offline"),
    ("at_risk", "unavailable"),
    ("soft", "rejected"),
]


@pytest.mark.parametrize(("state", "why"), STATES)
@pytest.mark.parametrize("call", [close, reconnect, reboot, tell])
def test_what_befalls_chargers_together_is_as_if_it_befell_each(call: Call, state: str, why: str) -> None:
    one, *many = armed(3, state=state, why=why)
    LocalList.objects.bulk_create(
        LocalList(charger=charger_of(b), held=[], synced_at=NOW) for b in (one, *many)
    )
    if call is reboot:
        Charger.objects.update(booted_at=BOOTED_AT)

    ALONE[call](**call(one))
    calls = [call(each) for each in many]
    done = TOGETHER[call](calls)

    is_left = state == "soft" and call in {reconnect, reboot}
    assert set(done) == (set() if is_left else {each["charger_id"] for each in calls})
    if not is_left:
        assert [facts(each) for each in many] == [facts(one)] * 2


@pytest.mark.parametrize(
    ("state", "before", "status"),
    [
        ("armed", "available", "reserved"),
        ("armed", "reserved", "available"),
        ("armed", "reserved", "occupied"),
        ("at_risk", "available", "reserved"),
        ("at_risk", "occupied", "occupied"),
        ("at_risk", "occupied", "available"),
    ],
)
def test_statuses_of_awaited_evses_are_as_if_told_alone(state: str, before: str, status: str) -> None:
    one, *many = armed(3, state=state)
    Evse.objects.update(status=before, told_status=before)

    is_news = depots.report_status(**tell(one, status))
    news = depots.report_statuses([tell(each, status) for each in many])

    if (state, before, status) == ("armed", "reserved", "available"):
        assert news == {}  # its charger has forgotten it, or its driver has been there
    else:
        assert news == {charger_of(each).pk: is_news for each in many}
        assert [facts(each) for each in many] == [facts(one)] * 2


def test_a_reservation_that_waits_to_be_sent_is_not_asked_for_twice() -> None:
    (booking,) = armed(1, state="at_risk", why="offline")

    depots.report_statuses([tell(booking)])
    depots.reconcile_connections([reboot(booking)])
    depots.reconcile_connections([reboot(booking)])

    queued = ChargerCommand.objects.filter(state="queued").order_by("id")
    assert [command.action for command in queued] == ["reserve", "ask_capabilities"]


def test_a_charger_without_evses_comes_and_goes_together_with_others() -> None:
    (booking,) = armed(1)
    bare = make_charger(lease_holder="here.1", connected_at=THEN)
    call = {"charger_id": bare.pk, "holder": "here.1", "now": THEN}

    came = depots.reconcile_connections([reboot(booking), {**call, "rebooted": True}])
    gone = depots.close_connections([close(booking), call])

    assert set(came) == set(gone) == {charger_of(booking).pk, bare.pk}


def make_session(booking: Booking) -> None:
    evse, charger = booking.evse, charger_of(booking)
    times = {"started_at": NOW, "start_received_at": NOW, "announced_at": NOW}
    ChargingSession.objects.create(charger=charger, evse=evse, transaction="1", **times)


def keep(booking: Booking) -> None:
    assert booking.evse is not None
    KeptEvse.objects.create(
        booking=booking, evse=booking.evse, charger=charger_of(booking), number=1, way="profile_0", state="standing",
        asked_at=NOW,
    )  # fmt: skip


def stand_for_nobody(booking: Booking) -> None:
    ChargerCommand.objects.filter(charger=charger_of(booking)).update(reservation_id=4711)


def send(booking: Booking) -> None:
    charger_of(booking).commands.create(action="unlock", state="sent", payload={"evse": 1}, created_at=NOW)


def lie(booking: Booking) -> None:
    Charger.objects.filter(pk=charger_of(booking).pk).update(measured={"reservation": "lies"})


@pytest.mark.parametrize("more", [make_session, keep, stand_for_nobody, send, lie])
def test_a_charger_from_whose_return_more_follows_is_left_to_its_own_operation(
    more: Callable[[Booking], None],
) -> None:
    special, plain = armed(2)
    more(special)
    before = facts(special)

    done = depots.reconcile_connections([reconnect(special), reconnect(plain)])

    assert set(done) == {charger_of(plain).pk}
    assert facts(special) == before
    assert facts(plain)["enforcement"][0] == "due"


@pytest.mark.parametrize("told", ["unavailable", "charging", "faulted"])
def test_a_status_from_which_more_follows_is_left_to_its_own_operation(told: str) -> None:
    special, plain = armed(2, state="at_risk")
    before = facts(special)

    done = depots.report_statuses([tell(special, told), tell(plain)])

    assert set(done) == {charger_of(plain).pk}
    assert facts(special) == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("call", "what"),
    [
        (close, "charger"),
        (close, "booking"),
        (reboot, "evse"),
        (reboot, "booking"),
        (tell, "evse"),
        (tell, "booking"),
    ],
)
def test_what_somebody_has_locked_holds_up_no_other(call: Call, what: str) -> None:
    locked, free = armed(
        2, state="at_risk" if call is tell else "armed", why="offline" if call is tell else ""
    )
    row: Any = {"evse": locked.evse, "charger": charger_of(locked), "booking": locked}[what]

    with somebody_locks(row):
        assert set(TOGETHER[call]([call(locked), call(free)])) == {charger_of(free).pk}


@pytest.mark.parametrize(("call", "count"), [(close, 10), (reboot, 23), (tell, 15)])
def test_five_chargers_with_bookings_cost_as_many_statements_as_two(call: Call, count: int) -> None:
    def statements(of: int) -> int:
        Booking.objects.update(status="cancelled")
        bookings = armed(of, state="armed" if call is close else "at_risk")
        calls = [call(booking) for booking in bookings]
        with CaptureQueriesContext(connection) as captured:
            assert len(TOGETHER[call](calls)) == of
        return len([1 for query in captured if "SAVEPOINT" not in query["sql"]])

    assert (statements(2), statements(5)) == (count, count)
