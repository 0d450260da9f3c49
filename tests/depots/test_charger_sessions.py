"""Transactions as operations take them in: what the meter's values mean, which session a message is about, what is
locked for it, and what open pages hear."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import enforcement, scheduler
from bookings.models import Booking
from depots import operations as depots
from depots.gate import Answer
from depots.models import Charger, ChargingSession, Evse, SessionEvent
from depots.operations import Reading, Start, Stop, TransactionReport
from depots.signals import charging_ended, charging_started, session_metered
from tests.bookings.test_enforcement import TERMS, armed, book, evse_online
from tests.factories import NOW, at, make_charger, make_depot, make_evse

pytestmark = pytest.mark.django_db

CARD, STRANGER = "04AABBCCDD10", "0455667788"
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> dict[str, Answer]:
    """Answers by token; others may charge."""
    answers: dict[str, Answer] = {}

    def may_charge(*, token_uid: str, **_: Any) -> Answer:
        return answers.get(token_uid, Answer(allowed=True))

    monkeypatch.setattr("depots.gate._answerer", lambda: may_charge)
    return answers


@pytest.fixture
def evse(db: None) -> Evse:
    charger = make_charger()
    make_evse(charger=charger)
    return make_evse(charger=charger)


@pytest.fixture
def facts() -> Iterator[list[tuple[str, int]]]:
    heard: list[tuple[str, int]] = []

    def started(session: ChargingSession, **_: Any) -> None:
        heard.append(("started", session.pk))

    def ended(session: ChargingSession, **_: Any) -> None:
        heard.append(("ended", session.pk))

    charging_started.connect(started)
    charging_ended.connect(ended)
    yield heard
    charging_started.disconnect(started)
    charging_ended.disconnect(ended)


def start(evse: Evse, now: datetime = NOW, **fields: Any) -> ChargingSession:
    usual = {"evse_number": evse.number, "token_uid": CARD, "key": f"key {now}", "at": now, "meter_wh": 1000}
    told = Start(**{**usual, **fields})
    return depots.start_session(charger_id=evse.charger_id, start=told, now=now).session


def stop(session: ChargingSession, now: datetime, **fields: Any) -> ChargingSession:
    told = Stop(**{"transaction": session.transaction, "at": now, "meter_wh": 5000, **fields})
    return depots.stop_session(charger_id=session.charger_id, stop=told, now=now).session


def meter(evse: Evse, *readings: Reading, now: datetime, transaction: str = "", flags: Any = ()) -> Any:
    return depots.add_readings(
        charger_id=evse.charger_id,
        evse_number=evse.number,
        transaction_id=transaction,
        readings=readings,
        flags=flags,
        now=now,
    )


def event(
    evse: Evse | None,
    kind: str,
    seq_no: int,
    now: datetime,
    *readings: Reading,
    charger: Any = None,
    **fields: Any,
) -> ChargingSession:
    told = {
        "transaction": "T1",
        "at": now,
        "evse_number": evse.number if evse else None,
        "is_charging": True,
        "readings": readings,
        "payload": {"kind": kind, "seqNo": seq_no, "timestamp": now.isoformat()},
        **fields,
    }
    report = TransactionReport(seq_no=seq_no, kind=kind, **told)
    charger_id = evse.charger_id if evse else charger
    return depots.record_transaction(charger_id=charger_id, report=report, now=now).session


def wh(value: int, when: datetime, place: str = "Outlet", **more: Any) -> Reading:
    return Reading(when, value, registers={place: value}, **more)


def both(outlet: int | None, inlet: int, when: datetime) -> Reading:
    registers = {**({"Outlet": outlet} if outlet is not None else {}), "Inlet": inlet}
    return Reading(when, next(iter(registers.values())), registers=registers)


# What the meter's values mean


@pytest.mark.usefixtures("gate")
class TestMeter:
    def test_the_bill_of_2x_is_the_registers_of_begin_and_end(self, evse):
        event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, wh(2000, NOW + MINUTE))
        session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(4000, NOW + 2 * MINUTE))

        assert (session.energy_wh, session.flags) == (3000, [])

    @pytest.mark.parametrize("places", [("Inlet", "Body", "Inlet"), ("Body",) * 3, ("Body", "Inlet", "Body")])
    def test_one_register_may_stand_anywhere(self, evse, places):
        event(evse, "started", 0, NOW, wh(50_000, NOW, places[0]), token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, wh(80_000, NOW + MINUTE, places[1]))
        session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(90_000, NOW + 2 * MINUTE, places[2]))

        assert (session.energy_wh, session.flags) == (40_000, [])

    def test_of_two_registers_the_one_of_the_start_counts_throughout(self, evse):
        event(evse, "started", 0, NOW, both(100, 50_000, NOW), token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, wh(52_000, NOW + MINUTE, "Inlet"))
        running = ChargingSession.objects.get()
        session = event(evse, "ended", 2, NOW + 2 * MINUTE, both(2100, 53_000, NOW + 2 * MINUTE))

        assert (running.energy_wh, running.flags) == (0, ["other_meter"])
        assert session.energy_wh == 2000

    def test_a_register_that_appears_later_is_another_one(self, evse):
        event(evse, "started", 0, NOW, wh(50_000, NOW, "Inlet"), token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, both(7, 51_000, NOW + MINUTE))
        session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(9, NOW + 2 * MINUTE))

        assert session.energy_wh == 1000
        assert session.flags == ["other_meter", "no_meter_stop"]

    def test_a_value_that_no_vehicle_takes_is_an_error_of_the_meter(self, evse):
        event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, wh(4_294_967_295, NOW + MINUTE))
        session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(4000, NOW + 2 * MINUTE))

        assert (session.energy_wh, session.flags) == (3000, ["bad_meter"])

    def test_a_meter_that_began_anew_leaves_the_energy_unknown(self, evse):
        event(evse, "started", 0, NOW, wh(90_000, NOW), token_uid=CARD)
        session = event(evse, "ended", 1, NOW + MINUTE, wh(500, NOW + MINUTE))

        assert (session.energy_wh, session.flags) == (None, ["bad_meter"])

    def test_without_a_value_at_the_end_the_last_one_stands_in(self, evse):
        event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, wh(2000, NOW + MINUTE))
        session = event(evse, "ended", 2, NOW + 2 * MINUTE)

        assert (session.energy_wh, session.flags) == (1000, ["no_meter_stop"])

    def test_without_a_value_at_the_start_the_first_one_stands_in(self, evse):
        event(evse, "started", 0, NOW, token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, wh(2000, NOW + MINUTE))
        session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(5000, NOW + 2 * MINUTE))

        assert (session.energy_wh, session.flags) == (3000, ["no_meter_start"])

    def test_one_value_alone_tells_no_energy(self, evse):
        event(evse, "started", 0, NOW, token_uid=CARD)
        session = event(evse, "ended", 1, NOW + MINUTE, wh(5000, NOW + MINUTE))

        assert (session.energy_wh, session.flags) == (None, ["no_meter_start"])

    def test_a_value_of_the_begin_that_comes_late_is_the_start(self, evse):
        event(evse, "started", 0, NOW, token_uid=CARD)
        readings = [wh(1000, NOW, is_begin=True), wh(5000, NOW + MINUTE)]
        session = event(evse, "ended", 1, NOW + MINUTE, *readings)

        assert (session.energy_wh, session.flags) == (4000, [])

    @pytest.mark.parametrize(
        ("told", "energy_wh", "flags"),
        [
            (5000, 4000, []),
            (None, 1500, ["no_meter_stop"]),
            (-1, 1500, ["bad_meter", "no_meter_stop"]),
            (10**30, 1500, ["bad_meter", "no_meter_stop"]),
            (4_294_967_295, 1500, ["bad_meter"]),
            (999, None, ["bad_meter"]),
            (1000, 0, []),
        ],
    )
    def test_the_bill_of_1_6_is_the_meter_of_start_and_stop(self, evse, told, energy_wh, flags):
        session = start(evse)
        meter(evse, wh(2500, NOW + MINUTE), now=NOW + MINUTE, transaction=session.transaction)
        session = stop(session, NOW + 2 * MINUTE, meter_wh=told)

        assert (session.energy_wh, session.flags) == (energy_wh, flags)

    def test_a_stop_without_its_meter_may_be_told_again_with_it(self, evse):
        session = start(evse)
        stop(session, NOW + MINUTE, meter_wh=None)
        session = stop(session, NOW + MINUTE, meter_wh=3000)

        assert (session.energy_wh, session.flags) == (2000, [])

    def test_a_start_without_its_meter_is_known_from_its_samples(self, evse):
        session = start(evse, meter_wh=None, flags=["no_meter_start"])
        meter(evse, wh(2000, NOW), now=NOW, transaction=session.transaction)
        session = stop(session, NOW + MINUTE, readings=[wh(2500, NOW + MINUTE)], meter_wh=2600)

        assert (session.energy_wh, session.flags) == (600, ["no_meter_start"])

    def test_old_samples_that_name_no_transaction_are_not_of_the_one_that_runs(self, evse):
        start(evse, NOW)
        late = NOW + MINUTE

        meter(evse, wh(900_000, NOW - 30 * MINUTE), wh(1200, late), now=late, transaction="-1")

        assert ChargingSession.objects.get().energy_wh == 200

    def test_samples_of_a_wrong_clock_are_of_now(self, evse):
        Charger.objects.update(clock_offset_s=3600, clock_seen_at=NOW)
        session = start(evse, at=NOW + 60 * MINUTE)
        late = NOW + 5 * MINUTE

        meter(evse, wh(1500, late + 60 * MINUTE), now=late, transaction=session.transaction)
        session = stop(session, late, at=late + 60 * MINUTE)

        assert session.readings.get().at == session.ended_at == late
        assert (session.started_at, session.flags) == (NOW, ["wrong_clock"])

    def test_what_was_odd_about_samples_is_flagged(self, evse):
        start(evse)

        meter(evse, now=NOW, flags=["malformed", "set_aside"])

        assert ChargingSession.objects.get().flags == ["malformed", "set_aside"]

    def test_a_charger_with_one_evse_need_not_name_it(self, gate):
        only = make_evse()

        assert start(only, evse_number=None).evse == only
        assert start(make_evse(charger=only.charger), NOW + MINUTE, evse_number=None).evse is None


# Which session a message is about


def another_after(evse: Evse, later: datetime, **fields: Any) -> list[ChargingSession]:
    """A transaction that has ended, then one of its id that begins `later`."""
    event(evse, "started", 0, NOW, wh(10_000, NOW), token_uid=CARD)
    event(evse, "ended", 1, NOW + SECOND, wh(11_000, NOW + SECOND))
    event(evse, "started", 0, later, wh(11_000, later), token_uid=STRANGER, **fields)
    return list(ChargingSession.objects.order_by("pk"))


@pytest.mark.usefixtures("gate")
class TestIdentity:
    def test_a_transaction_id_that_begins_again_is_another_transaction(self, evse, facts):
        later = NOW + MINUTE
        first, second = another_after(evse, later)
        event(evse, "updated", 1, later + MINUTE, wh(11_500, later + MINUTE))
        event(evse, "ended", 2, later + 2 * MINUTE, wh(20_000, later + 2 * MINUTE))

        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.energy_wh, second.energy_wh) == (1000, 9000)
        assert (first.token_uid, second.token_uid) == (CARD, STRANGER)
        assert (second.transaction, first.flags, second.flags) == ("T1", ["reused_id"], [])
        pks = [first.pk, second.pk]
        assert facts == [(what, pk) for pk in pks for what in ("started", "ended")]

    def test_after_a_boot_its_clock_may_tell_any_time(self, evse):
        event(evse, "started", 0, NOW, token_uid=CARD)
        event(evse, "ended", 1, NOW + MINUTE)
        depots.record_boot(charger_id=evse.charger_id, now=NOW + 2 * MINUTE)

        event(evse, "started", 0, NOW + 3 * MINUTE, token_uid=CARD, at=NOW - 9 * MINUTE, payload={"a": 1})

        assert ChargingSession.objects.count() == 2

    @pytest.mark.parametrize("flag", ["bad_clock", "no_time"])
    def test_without_a_clock_every_start_after_the_end_is_another(self, evse, flag):
        same = {"token_uid": CARD, "flags": [flag], "payload": {"timestamp": "1970"}}
        for minute in (0, 1):
            event(evse, "started", 0, NOW + minute * MINUTE, **same)
        assert ChargingSession.objects.count() == 1
        event(evse, "ended", 1, NOW + 2 * MINUTE)

        event(evse, "started", 0, NOW + 3 * MINUTE, **same)

        assert ChargingSession.objects.count() == 2

    def test_one_that_runs_still_when_its_id_begins_again_has_ended_unheard(self, evse, facts):
        event(evse, "started", 0, NOW, token_uid=CARD)
        event(evse, "started", 0, NOW + MINUTE, token_uid=STRANGER)

        first, second = ChargingSession.objects.order_by("pk")
        assert (first.ended_at, first.flags) == (NOW + MINUTE, ["reused_id", "no_stop"])
        assert second.ended_at is None
        assert facts == [("started", first.pk), ("ended", first.pk), ("started", second.pk)]

    @pytest.mark.parametrize("kind", ["updated", "ended"])
    def test_when_its_start_was_lost_it_is_another_one_too(self, evse, kind):
        event(evse, "started", 0, NOW, token_uid=CARD)
        event(evse, "ended", 5, NOW + MINUTE)

        session = event(evse, kind, 1, NOW + 9 * MINUTE, token_uid=CARD)

        assert session.flags[0] == "no_start"
        assert ChargingSession.objects.count() == 2

    def test_a_repetition_is_the_same_whenever_it_comes(self, evse):
        for late in (NOW, NOW + MINUTE):
            event(evse, "started", 0, NOW, token_uid=CARD)
            event(evse, "ended", 1, NOW + SECOND)
            depots.record_boot(charger_id=evse.charger_id, now=late)

        assert (ChargingSession.objects.count(), SessionEvent.objects.count()) == (1, 2)

    def test_events_in_the_wrong_order_are_still_one_transaction(self, evse):
        for kind, seq_no in (("ended", 2), ("updated", 1), ("started", 0)):
            event(evse, kind, seq_no, NOW + seq_no * MINUTE, token_uid=CARD)

        assert ChargingSession.objects.get().flags[:1] != ["no_start"]

    def test_what_comes_late_of_the_one_before_goes_to_it(self, evse):
        first, second = another_after(evse, NOW + 9 * MINUTE)

        told = event(evse, "updated", 7, NOW + MINUTE)
        event(evse, "ended", 1, NOW + SECOND, wh(11_000, NOW + SECOND))

        second.refresh_from_db()
        assert (told.pk, second.ended_at) == (first.pk, None)
        assert SessionEvent.objects.filter(session=first).count() == 3

    def test_a_stop_of_what_has_long_stopped_means_the_one_that_runs(self, evse):
        first = start(evse)
        stop(first, NOW + MINUTE)
        second = start(evse, NOW + 20 * MINUTE, meter_wh=5000)

        told = stop(first, NOW + 40 * MINUTE, meter_wh=9000, token_uid=CARD)

        assert (told.pk, told.energy_wh, told.flags) == (second.pk, 4000, ["stop_matched"])

    def test_events_without_an_id_are_of_what_runs_there(self, evse):
        event(evse, "started", -7, NOW, wh(1000, NOW), token_uid=CARD, transaction="")
        event(evse, "updated", -8, NOW + MINUTE, wh(1500, NOW + MINUTE), transaction="")
        session = event(evse, "ended", -9, NOW + 2 * MINUTE, wh(3000, NOW + 2 * MINUTE), transaction="")

        assert (ChargingSession.objects.count(), session.energy_wh) == (1, 2000)

    def test_a_stop_for_a_stranger_does_not_hit_who_has_his_number_next(self, evse, gate):
        gate[STRANGER] = Answer(allowed=False, reason="booked_by_another")
        event(evse, "started", 0, NOW, token_uid=STRANGER)

        event(evse, "started", 0, NOW + SECOND, token_uid=CARD)

        stops = evse.charger.commands.filter(action="remote_stop")
        assert [command.state for command in stops] == ["stale"]


# Of a visit only the end was told


@pytest.fixture
def booked() -> Booking:
    """From 10:00 at the second EVSE of a charger, armed at 9:45."""
    charger = make_charger(make_depot(terms=TERMS))
    make_evse(charger=charger)
    evse = evse_online(charger=charger)
    return armed(book(evse))


def lone_stop(
    booking: Booking, token: str, *readings: Reading, now: datetime = at(10, 20)
) -> ChargingSession:
    told = Stop("424242", now, meter_wh=9000, token_uid=token, readings=readings)
    assert booking.evse is not None
    return depots.stop_session(charger_id=booking.evse.charger_id, stop=told, now=now).session


def test_a_lone_stop_with_the_booked_card_in_its_slot_is_the_visit(booked):
    begin = wh(8000, at(10, 1), is_begin=True)
    session = lone_stop(booked, booked.tokens.get().uid.lower(), begin, wh(9000, at(10, 20)))

    booked.refresh_from_db()
    assert (session.evse, session.started_at, session.energy_wh) == (booked.evse, at(10, 1), 1000)
    assert session.flags == ["no_start", "unknown_transaction", "found_by_card"]
    assert (booked.status, booked.session) == ("completed", session)
    enforcement.give_up_or_no_show(booking_id=booked.pk, now=at(10, 30))
    booked.refresh_from_db()
    assert booked.status == "completed"


def test_told_twice_it_is_one_visit(booked):
    uid = booked.tokens.get().uid
    first, second = lone_stop(booked, uid), lone_stop(booked, uid, now=at(10, 20))

    assert first == second
    assert ChargingSession.objects.count() == 1


@pytest.mark.parametrize("now", [at(9, 30), at(12, 0)])
def test_one_outside_the_slot_is_not(booked, now):
    session = lone_stop(booked, booked.tokens.get().uid, now=now)

    booked.refresh_from_db()
    assert booked.status == "confirmed"
    assert (session.announced_at, session.evse) == (None, None)


@pytest.mark.parametrize("token", ["0455667788", ""])
def test_one_of_another_card_or_of_none_is_not(booked, token):
    lone_stop(booked, token)

    booked.refresh_from_db()
    assert booked.status == "confirmed"


@pytest.mark.parametrize("names_evse", [True, False])
def test_a_lone_end_of_2x_is_the_visit_too(booked, names_evse):
    readings = [wh(8000, at(10, 1), is_begin=True), wh(9000, at(10, 20))]
    session = event(
        booked.evse if names_evse else None,
        "ended",
        4,
        at(10, 20),
        *readings,
        charger=booked.evse.charger_id,
        token_uid=booked.tokens.get().uid,
        is_charging=False,
    )

    booked.refresh_from_db()
    assert (session.evse, session.started_at, session.energy_wh) == (booked.evse, at(10, 1), 1000)
    assert (booked.status, booked.session) == ("completed", session)


# What is locked, and how much is asked


def locks(captured: CaptureQueriesContext) -> list[str]:
    """The tables whose rows were locked by a query."""
    sqls = [query["sql"] for query in captured.captured_queries]
    return [
        sql.split('FROM "')[1].split('"')[0]
        for sql in sqls
        if " FOR " in sql.rpartition('"')[2] or " OF " in sql
    ]


def statements(captured: CaptureQueriesContext) -> list[str]:
    sqls = [query["sql"] for query in captured.captured_queries]
    return [sql for sql in sqls if not sql.startswith(("SAVEPOINT", "RELEASE"))]


@pytest.mark.usefixtures("gate")
class TestLocks:
    def test_meter_values_lock_their_session_and_no_evse(self, evse):
        session = start(evse)

        with CaptureQueriesContext(connection) as captured:
            meter(evse, wh(1500, NOW + MINUTE), now=NOW + MINUTE, transaction=session.transaction)

        assert locks(captured) == ["depots_chargingsession"]
        # the session, the reading, the figures for open pages (board and booking), the session
        assert len(statements(captured)) <= 6

    def test_an_event_that_only_tells_the_meter_locks_no_evse_either(self, evse):
        event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)

        with CaptureQueriesContext(connection) as captured:
            event(evse, "updated", 1, NOW + MINUTE, wh(1500, NOW + MINUTE))

        assert locks(captured) == ["depots_chargingsession"]
        assert len(statements(captured)) <= 8

    def test_one_that_begins_or_ends_charging_locks_them_first(self, evse):
        with CaptureQueriesContext(connection) as begun:
            event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
        with CaptureQueriesContext(connection) as ended:
            event(evse, "ended", 1, NOW + MINUTE)

        assert locks(begun)[0] == locks(ended)[0] == "depots_evse"

    def test_nothing_is_asked_for_an_idle_chargers_empty_values(self, evse):
        with CaptureQueriesContext(connection) as captured:
            meter(evse, now=NOW)

        assert statements(captured) == []


def overdue(count: int) -> list[Booking]:
    """Bookings whose sessions go on long after their end, at chargers that are there."""
    bookings = []
    for _ in range(count):
        evse = evse_online()
        booking = book(evse)
        armed(booking)
        start(evse, at(10), token_uid=booking.tokens.get().uid)
        bookings.append(booking)
    Charger.objects.update(last_seen_at=at(13))
    Evse.objects.update(status=Evse.Status.CHARGING)
    return bookings


def test_an_idle_tick_ends_nothing_and_locks_nothing():
    overdue(1)
    with CaptureQueriesContext(connection) as one:
        scheduler._end_silent(at(13))
    overdue(2)
    with CaptureQueriesContext(connection) as three:
        scheduler._end_silent(at(13))

    assert locks(one) == locks(three) == []
    assert len(statements(one)) == len(statements(three)) == 2


def test_a_session_whose_evse_is_free_again_is_ended_by_the_tick():
    [booking] = overdue(1)
    Evse.objects.update(status=Evse.Status.AVAILABLE, status_received_at=at(11))

    scheduler._end_silent(at(13))

    booking.refresh_from_db()
    assert (booking.status, booking.session.ended_at) == ("completed", at(11))


# What open pages hear


@pytest.fixture
def told() -> Iterator[list[tuple]]:
    heard: list[tuple] = []

    def hear(session: ChargingSession, at: datetime, **_: Any) -> None:
        heard.append((session.energy_wh, session.power_w, session.soc_percent, at - NOW))

    session_metered.connect(hear)
    yield heard
    session_metered.disconnect(hear)


@pytest.mark.usefixtures("gate")
class TestFigures:
    def test_open_pages_follow_the_meter_every_few_seconds(self, evse, told):
        session = start(evse)
        for second in range(10):
            when = NOW + second * SECOND
            reading = Reading(when, 1000 + second, 50_000, 20.0, registers={"Outlet": 1000 + second})
            meter(evse, reading, now=when, transaction=session.transaction)

        assert [(wh_, after.total_seconds()) for wh_, _, _, after in told] == [(0, 0), (3, 3), (6, 6), (9, 9)]
        assert told[-1][1:3] == (50_000, 20.0)

    def test_so_they_do_of_2x(self, evse, told):
        event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
        event(evse, "updated", 1, NOW + MINUTE, wh(1500, NOW + MINUTE))

        assert told[-1][0] == 500

    def test_what_has_ended_is_told_of_as_such_alone(self, evse, told):
        session = start(evse)
        stop(session, NOW + MINUTE)

        meter(evse, wh(1500, NOW + MINUTE), now=NOW + 2 * MINUTE, transaction=session.transaction)

        assert told == []
