"""Which session a message is about, when chargers count anew, lose what they knew, or tell only the end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from bookings import enforcement
from bookings.models import Booking
from depots import operations as depots
from depots.gate import Authorization
from depots.models import ChargingSession, Evse, SessionEvent
from depots.operations import Reading, Stop
from tests.bookings.enforcement.online_chargers import TERMS, armed, book, evse_online
from tests.depots.charging import CARD, MINUTE, SECOND, STRANGER, event, start, stop, wh
from tests.factories import NOW, at, make_charger, make_depot, make_evse

pytestmark = pytest.mark.django_db


def another_after(evse: Evse, later: datetime, **fields: Any) -> list[ChargingSession]:
    """A transaction that has ended, then one of its id that begins `later`."""
    event(evse, "started", 0, NOW, wh(10_000, NOW), token_uid=CARD)
    event(evse, "ended", 1, NOW + SECOND, wh(11_000, NOW + SECOND))
    event(evse, "started", 0, later, wh(11_000, later), token_uid=STRANGER, **fields)
    return list(ChargingSession.objects.order_by("pk"))


@pytest.mark.usefixtures("gate")
def test_a_transaction_id_that_begins_again_is_another_transaction(evse, facts):
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


@pytest.mark.usefixtures("gate")
def test_after_a_boot_its_clock_may_tell_any_time(evse):
    event(evse, "started", 0, NOW, token_uid=CARD)
    event(evse, "ended", 1, NOW + MINUTE)
    depots.record_boot(charger_id=evse.charger_id, now=NOW + 2 * MINUTE)

    event(evse, "started", 0, NOW + 3 * MINUTE, token_uid=CARD, at=NOW - 9 * MINUTE, payload={"a": 1})

    assert ChargingSession.objects.count() == 2


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("flag", ["bad_clock", "no_time"])
def test_without_a_clock_every_start_after_the_end_is_another(evse, flag):
    same = {"token_uid": CARD, "flags": [flag], "payload": {"timestamp": "1970"}}
    for minute in (0, 1):
        event(evse, "started", 0, NOW + minute * MINUTE, **same)
    assert ChargingSession.objects.count() == 1
    event(evse, "ended", 1, NOW + 2 * MINUTE)

    event(evse, "started", 0, NOW + 3 * MINUTE, **same)

    assert ChargingSession.objects.count() == 2


@pytest.mark.usefixtures("gate")
def test_one_that_runs_still_when_its_id_begins_again_has_ended_unheard(evse, facts):
    event(evse, "started", 0, NOW, token_uid=CARD)
    event(evse, "started", 0, NOW + MINUTE, token_uid=STRANGER)

    first, second = ChargingSession.objects.order_by("pk")
    assert (first.ended_at, first.flags) == (NOW + MINUTE, ["reused_id", "no_stop"])
    assert second.ended_at is None
    assert facts == [("started", first.pk), ("ended", first.pk), ("started", second.pk)]


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("kind", ["updated", "ended"])
def test_when_its_start_was_lost_it_is_another_one_too(evse, kind):
    event(evse, "started", 0, NOW, token_uid=CARD)
    event(evse, "ended", 5, NOW + MINUTE)

    session = event(evse, kind, 1, NOW + 9 * MINUTE, token_uid=CARD)

    assert session.flags[0] == "no_start"
    assert ChargingSession.objects.count() == 2


@pytest.mark.usefixtures("gate")
def test_a_repetition_is_the_same_whenever_it_comes(evse):
    for late in (NOW, NOW + MINUTE):
        event(evse, "started", 0, NOW, token_uid=CARD)
        event(evse, "ended", 1, NOW + SECOND)
        depots.record_boot(charger_id=evse.charger_id, now=late)

    assert (ChargingSession.objects.count(), SessionEvent.objects.count()) == (1, 2)


@pytest.mark.usefixtures("gate")
def test_events_in_the_wrong_order_are_still_one_transaction(evse):
    for kind, seq_no in (("ended", 2), ("updated", 1), ("started", 0)):
        event(evse, kind, seq_no, NOW + seq_no * MINUTE, token_uid=CARD)

    assert ChargingSession.objects.get().flags[:1] != ["no_start"]


@pytest.mark.usefixtures("gate")
def test_what_comes_late_of_the_one_before_goes_to_it(evse):
    first, second = another_after(evse, NOW + 9 * MINUTE)

    told = event(evse, "updated", 7, NOW + MINUTE)
    event(evse, "ended", 1, NOW + SECOND, wh(11_000, NOW + SECOND))

    second.refresh_from_db()
    assert (told.pk, second.ended_at) == (first.pk, None)
    assert SessionEvent.objects.filter(session=first).count() == 3


@pytest.mark.usefixtures("gate")
def test_a_stop_of_what_has_long_stopped_means_the_one_that_runs(evse):
    first = start(evse)
    stop(first, NOW + MINUTE)
    second = start(evse, NOW + 20 * MINUTE, meter_wh=5000)

    told = stop(first, NOW + 40 * MINUTE, meter_wh=9000, token_uid=CARD)

    assert (told.pk, told.energy_wh, told.flags) == (second.pk, 4000, ["stop_matched"])


@pytest.mark.usefixtures("gate")
def test_events_without_an_id_are_of_what_runs_there(evse):
    event(evse, "started", -7, NOW, wh(1000, NOW), token_uid=CARD, transaction="")
    event(evse, "updated", -8, NOW + MINUTE, wh(1500, NOW + MINUTE), transaction="")
    session = event(evse, "ended", -9, NOW + 2 * MINUTE, wh(3000, NOW + 2 * MINUTE), transaction="")

    assert (ChargingSession.objects.count(), session.energy_wh) == (1, 2000)


def test_a_stop_for_a_stranger_does_not_hit_who_has_his_number_next(evse, gate):
    gate[STRANGER] = Authorization(allowed=False, reason="booked_by_another")
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
        charging_state="plugged",
    )

    booked.refresh_from_db()
    assert (session.evse, session.started_at, session.energy_wh) == (booked.evse, at(10, 1), 1000)
    assert (booked.status, booked.session) == ("completed", session)
