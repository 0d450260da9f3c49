"""Many chargers at once: written together they leave what they would have left one by one, and wait for nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.gate import awaited_evses
from bookings.models import Booking
from depots import operations
from depots.models import Charger, ChargerCommand, Evse
from depots.signals import charger_connected, charger_disconnected, evse_status_changed, evses_changed
from tests.bookings.enforcement.online_chargers import armed, book, evse_online, start
from tests.factories import NOW, at, make_charger, make_evse
from tests.scenarios.locked_rows import somebody_locks

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=45)
BOOT = {"vendor": "V" * 60, "model": "M", "serial_number": "S", "firmware_version": "2"}


def charger_as_known(**fields: Any) -> Charger:
    told = {"firmware_version": "1", "told": {"reservation": True}, "measured": {"reservation": "lies"}}
    charger = make_charger(**{**told, **fields})
    make_evse(charger=charger)
    return charger


def facts_of(row: Charger | Evse, *but: str) -> dict[str, Any]:
    named = {"id", "identity", "uid", "depot_id", "charger_id", "updated_at", "created_at", *but}
    fields = type(row).objects.filter(pk=row.pk).values().get()
    return {name: value for name, value in fields.items() if name not in named}


def states_of(charger: Charger) -> list[tuple[Any, str]]:
    return list(charger.evses.get().charging_states.values_list("at", "state"))


@pytest.mark.parametrize(
    ("alone", "together", "facts"),
    [
        (
            operations.open_connection,
            operations.open_connections,
            {"holder": "here.1", "protocol": "ocpp1.6", "lease": LEASE},
        ),
        (operations.record_clock, operations.record_clocks, {"offset": timedelta(seconds=-7.26)}),
        (operations.record_boot, operations.record_boots, BOOT),
        (operations.record_boot, operations.record_boots, {**BOOT, "firmware_version": "1"}),
        (operations.record_boot, operations.record_boots, {**BOOT, "firmware_version": ""}),
        (
            operations.record_capabilities,
            operations.record_all_capabilities,
            {"told": {"reservation": False, "variables": {"a": None}}},
        ),
    ],
)
def test_chargers_written_together_are_as_if_written_alone(alone, together, facts):
    one, *many = (charger_as_known() for _ in range(4))

    alone(charger_id=one.pk, now=NOW, **facts)
    done = together([{"charger_id": each.pk, "now": NOW, **facts} for each in many])

    assert set(done) == {each.pk for each in many}
    assert [facts_of(each) for each in many] == [facts_of(one)] * 3


STATUSES = [
    {"status": "available"},
    {"status": "occupied"},
    {"status": "occupied", "is_coarse": True},
    {"status": "unavailable", "error_code": "X" * 60},
    {"status": "available", "at": NOW - timedelta(minutes=5)},  # an old one, from the charger's queue
    {"status": "available", "at": NOW + timedelta(hours=1)},  # a clock that runs ahead
    {"status": "charging", "charging_state": "no_demand"},
    {"status": "charging", "charging_state": "charging", "at": NOW - timedelta(minutes=5)},
    {"status": "occupied", "charging_state": "plugged"},
]


@pytest.mark.parametrize("is_charging", [False, True])
@pytest.mark.parametrize("told", STATUSES)
@pytest.mark.parametrize(
    "before",
    [
        {},
        {"status": "available", "told_status": "available"},
        {"status": "charging", "told_status": "charging"},
    ],
)
def test_statuses_written_together_are_as_if_written_alone(told, before, is_charging, gate):
    one, *many = (charger_as_known() for _ in range(3))
    Evse.objects.update(status_at=NOW - timedelta(minutes=2), **before)
    if is_charging:
        for charger in (one, *many):
            charger.sessions.create(
                evse=charger.evses.get(), started_at=NOW, start_received_at=NOW, announced_at=NOW
            )
    call = {"evse_number": 1, "at": NOW, "now": NOW, **told}

    is_news = operations.report_status(charger_id=one.pk, **call)
    news = operations.report_statuses([{"charger_id": each.pk, **call} for each in many])

    assert news == {each.pk: is_news for each in many}
    assert [facts_of(each.evses.get()) for each in many] == [facts_of(one.evses.get())] * 2
    assert [states_of(each) for each in many] == [states_of(one)] * 2


@pytest.mark.parametrize("booted", [None, NOW - timedelta(hours=2), NOW - timedelta(minutes=1)])
@pytest.mark.parametrize("told_at", [NOW - timedelta(hours=1), NOW + timedelta(minutes=4)])
def test_statuses_written_together_are_corrected_by_each_chargers_own_clock(booted, told_at):
    clock = {"clock_offset_s": 240.0, "clock_seen_at": NOW - timedelta(hours=1), "booted_at": booted}
    one, *many = (charger_as_known(**clock) for _ in range(3))
    call = {"evse_number": 1, "status": "available", "at": told_at, "now": NOW}

    operations.report_status(charger_id=one.pk, **call)
    operations.report_statuses([{"charger_id": each.pk, **call} for each in many])

    assert [facts_of(each.evses.get()) for each in many] == [facts_of(one.evses.get())] * 2


def test_what_changed_is_told_of_each_and_once_of_all():
    chargers = [charger_as_known() for _ in range(3)]
    told: list[Any] = []

    def hear(evse: Evse, is_together: bool, **_: Any) -> None:
        told.append((evse.charger_id, is_together))

    def hear_all(evses: list[Evse], **_: Any) -> None:
        told.append([evse.charger_id for evse in evses])

    evse_status_changed.connect(hear)
    evses_changed.connect(hear_all)
    try:
        for _ in range(2):
            report(*chargers)
    finally:
        evse_status_changed.disconnect(hear)
        evses_changed.disconnect(hear_all)

    ids = [charger.pk for charger in chargers]
    assert told == [*((pk, True) for pk in ids), ids]


def report(*chargers: Charger, status: str = "available", evse_number: int = 1) -> dict[int, bool]:
    facts = {"evse_number": evse_number, "status": status, "at": NOW, "now": NOW}
    return operations.report_statuses([{"charger_id": charger.pk, **facts} for charger in chargers])


@pytest.mark.parametrize(
    "facts", [{"status": "faulted"}, {"evse_number": 0}, {"evse_number": 7}, {"evse_number": 2**40}]
)
def test_what_is_more_than_a_status_of_one_evse_is_left_to_its_own_operation(facts):
    assert report(charger_as_known(), **facts) == {}


def reconcile(*chargers: Charger, rebooted: bool = True) -> dict[int, None]:
    Charger.objects.filter(pk__in=[charger.pk for charger in chargers]).update(lease_holder="here")
    facts = {"holder": "here", "rebooted": rebooted, "now": NOW}
    return operations.reconcile_connections([{"charger_id": charger.pk, **facts} for charger in chargers])


def test_one_without_evses_that_has_started_again_is_written_with_the_others():
    chargers = [charger_as_known(), make_charger()]

    assert set(reconcile(*chargers)) == {charger.pk for charger in chargers}


def test_idle_chargers_are_asked_what_they_can_do_and_told_of():
    chargers, told = [charger_as_known() for _ in range(3)], []
    knows = charger_as_known(told={"asked_at": "2030-01-01T00:00:00Z"})

    def hear(charger: Charger, rebooted: bool, **_: Any) -> None:
        told.append((charger.pk, rebooted))

    charger_connected.connect(hear)
    try:
        reconcile(*chargers)
        reconcile(*chargers, knows, rebooted=False)
    finally:
        charger_connected.disconnect(hear)

    ids = [charger.pk for charger in chargers]
    assert told == [*((pk, True) for pk in ids), *((pk, False) for pk in [*ids, knows.pk])]
    asked = ChargerCommand.objects.filter(action="ask_capabilities", state="queued")
    assert sorted(asked.values_list("charger_id", flat=True)) == ids


def close(*chargers: Charger) -> dict[int, None]:
    return operations.close_connections(
        [{"charger_id": c.pk, "holder": "here", "now": NOW} for c in chargers]
    )


def test_leases_that_end_together_are_as_if_ended_alone_and_told_of():
    one, *many = (charger_as_known(lease_holder="here", lease_until=NOW + LEASE) for _ in range(4))
    taken = charger_as_known(lease_holder="elsewhere")
    told: list[int] = []

    def hear(charger: Charger, **_: Any) -> None:
        told.append(charger.pk)

    charger_disconnected.connect(hear)
    try:
        operations.close_connection(charger_id=one.pk, holder="here", now=NOW)
        done = close(*many, taken)
    finally:
        charger_disconnected.disconnect(hear)

    ids = [charger.pk for charger in many]
    assert list(done) == ids
    assert told == [one.pk, *ids]
    assert [facts_of(each) for each in many] == [facts_of(one)] * 3
    assert Charger.objects.get(pk=taken.pk).lease_holder == "elsewhere"


def test_a_charger_that_was_sent_what_it_never_answered_is_left_to_its_own_operation():
    busy, idle = charger_as_known(), charger_as_known()
    busy.commands.create(created_at=NOW, payload={"evse": 1}, action="unlock", state="sent")

    assert set(reconcile(busy, idle)) == {idle.pk}
    assert set(close(busy, idle)) == {idle.pk}


def test_commands_are_taken_together_where_they_are_the_question_what_a_charger_can_do():
    idle, asked, busy, lost = (charger_as_known(lease_holder="here") for _ in range(4))
    for charger in (asked, busy):
        operations.queue_command(charger=charger, action="ask_capabilities", now=NOW)
    operations.queue_command(charger=busy, action="unlock", payload={"evse": 1}, now=NOW)
    Charger.objects.filter(pk=lost.pk).update(lease_holder="elsewhere")

    facts = {"holder": "here", "now": NOW}
    taken = operations.take_commands([{"charger_id": c.pk, **facts} for c in (idle, asked, busy, lost)])

    command = asked.commands.get()
    assert taken == {idle.pk: None, asked.pk: command}
    assert (command.state, command.sent_at) == ("sent", NOW)
    facts = {"state": "answered", "answer": "accepted", "answer_text": "", "now": NOW}
    assert set(operations.settle_commands([{"command_id": command.pk, **facts}])) == {command.pk}
    command.refresh_from_db()
    assert (command.state, command.answer, command.answered_at) == ("answered", "accepted", NOW)


RESERVE = {"reservation_id": 7, "evse": 1, "token": "04A1", "expires_at": "2030-01-15T09:00:00Z"}
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("commands", "taken"),
    [
        ([{}], 0),
        ([{"not_before": NOW}], 0),
        ([{"not_before": NOW + SECOND}], None),
        ([{"action": "cancel_reservation", "payload": {"reservation_id": 7}}], 0),
    ],
)
def test_a_lone_reservation_is_taken_with_those_of_others_when_it_may_be_sent(commands, taken):
    charger = charger_as_known(lease_holder="here", measured={})
    queued = [queued_reservation(charger, **fields) for fields in commands]

    done = operations.take_commands([{"charger_id": charger.pk, "holder": "here", "now": NOW}])

    assert done == {charger.pk: None if taken is None else queued[taken]}
    assert [c.state for c in charger.commands.order_by("id")] == ["queued" if taken is None else "sent"]


@pytest.mark.parametrize(
    "commands",
    [
        [{}, {"action": "unlock", "payload": {"evse": 1}}],  # one after the other
        [{"state": "sent", "sent_at": NOW}],  # what became of it has to be found out
        [{"not_after": NOW}],  # too late, which somebody is to hear
        [{"payload": {**RESERVE, "expires_at": "2030-01-15T07:00:00Z"}}],
        [{}, {"state": "answered", "answer": "accepted"}],  # superseded
        [{"action": "remote_stop", "payload": {"transaction": "1"}}],
    ],
)
def test_commands_that_there_is_more_to_are_left_to_their_own_operation(commands):
    charger = charger_as_known(lease_holder="here", measured={})
    for fields in commands:
        queued_reservation(charger, **fields)

    assert operations.take_commands([{"charger_id": charger.pk, "holder": "here", "now": NOW}]) == {}


def queued_reservation(charger: Charger, **fields: Any) -> ChargerCommand:
    told = {"action": "reserve", "payload": RESERVE, "reservation_id": 7, "created_at": NOW, **fields}
    return ChargerCommand.objects.create(charger=charger, **told)


OPEN = {"holder": "here", "protocol": "ocpp1.6", "lease": LEASE}


def open_all(*chargers: Charger) -> dict[int, None]:
    return operations.open_connections([{"charger_id": c.pk, "now": NOW, **OPEN} for c in chargers])


def boot_all(*chargers: Charger) -> dict[int, None]:
    return operations.record_boots([{"charger_id": c.pk, "now": NOW, **BOOT} for c in chargers])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", [open_all, boot_all, reconcile])
def test_a_charger_that_somebody_has_locked_holds_up_no_other(write: Callable[..., dict[int, Any]]):
    locked, free = charger_as_known(lease_holder="here"), charger_as_known(lease_holder="here")
    Charger.objects.update(lease_holder="here")

    with somebody_locks(locked):
        if write is reconcile:
            facts = {"holder": "here", "rebooted": True, "now": NOW}
            done = operations.reconcile_connections([{"charger_id": c.pk, **facts} for c in (locked, free)])
        else:
            done = write(locked, free)

    assert set(done) == {free.pk}


@pytest.mark.django_db(transaction=True)
def test_an_evse_that_somebody_has_locked_holds_up_no_other():
    locked, free = charger_as_known(), charger_as_known()

    with somebody_locks(locked.evses.get()):
        assert set(report(locked, free)) == {free.pk}


@pytest.mark.parametrize(
    ("write", "count"), [(open_all, 1), (boot_all, 1), (report, 3), (reconcile, 14), (close, 8)]
)
def test_forty_chargers_cost_as_many_statements_as_one(write: Callable[..., dict[int, Any]], count: int):
    chargers = [charger_as_known(lease_holder="here", connected_at=NOW) for _ in range(40)]

    with CaptureQueriesContext(connection) as captured:
        assert len(write(*chargers)) == 40

    sqls = [query["sql"] for query in captured]
    assert len([sql for sql in sqls if not sql.startswith(("SAVEPOINT", "RELEASE"))]) == count


# Where bookings wait


def test_an_evse_is_waited_for_from_its_arming_until_its_vehicle_has_left():
    evse, other = evse_online(), evse_online()
    booking = book(evse)
    assert awaited_evses([evse.pk, other.pk], now=at(8)) == set()

    armed(booking)
    assert awaited_evses([evse.pk, other.pk], now=at(9, 50)) == {evse.pk}
    start(evse, booking.tokens.get().uid, at(10))
    assert awaited_evses([evse.pk, other.pk], now=at(10, 30)) == {evse.pk}

    Booking.objects.filter(pk=booking.pk).update(status="completed", enforcement="used")
    assert awaited_evses([evse.pk, other.pk], now=at(10, 45)) == {evse.pk}
    assert awaited_evses([evse.pk, other.pk], now=at(20)) == set()
