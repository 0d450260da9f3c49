"""What a session's customer wants it to take at most: kept within the plan, at nobody else's cost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings import smart_charging
from bookings.errors import ChargerCannot, ChargerOffline, NothingToLift, SessionOver
from bookings.models import ChargingProfile, EvsePower, SessionLimit
from bookings.models.power_schedules import Step
from bookings.signals import customer_limit_settled, given_power_changed
from bookings.smart_charging import Wish, drop_limit, given_limits, lift_session_limit, limit_session
from depots.models import Charger
from tests.bookings.enforcement.online_chargers import book, start
from tests.bookings.smart_charging.chargers import (
    KW,
    OPEN,
    SECOND,
    Chargers,
    charge,
    make_site,
    make_told_site,
    offline,
    settle,
    share,
    stop,
    why,
)
from tests.factories import NOW, at

pytestmark = pytest.mark.django_db
TX = "tx"


@pytest.fixture
def site():
    return make_told_site()


@pytest.fixture
def unlimited():
    return Chargers(make_site(grid_kw=None, terms=OPEN))


@pytest.fixture
def told():
    """What the receivers of roaming hear: (session, kept) and sessions whose power is another."""
    heard: list = []

    def settled(session_id, is_kept, **_):
        heard.append((session_id, is_kept))

    def changed(session_ids, **_):
        heard.append(session_ids)

    customer_limit_settled.connect(settled)
    given_power_changed.connect(changed)
    yield heard
    customer_limit_settled.disconnect(settled)
    given_power_changed.disconnect(changed)


def wish(*steps, ends_at=None, least_kw=0):
    """Steps as (moment, kW)."""
    return Wish([Step(moment, kw * KW) for moment, kw in steps], ends_at, least_kw * KW)


def held(site, number=0):
    return site.held.get((site.evses[number].pk, TX), -KW) // KW


def test_a_limit_is_told_and_lifted_and_what_it_leaves_is_others(site, told):
    first, second = charge(site.evses[0]), charge(site.evses[1])
    now = settle(site, NOW, limit_kw=400)
    assert (held(site, 0), held(site, 1)) == (198, 197)

    limit_session(session_id=first.pk, wish=wish((NOW, 60)), now=now)
    now = settle(site, now, limit_kw=400)
    assert (held(site, 0), held(site, 1)) == (60, 335)
    assert why(site.evses[0]) == EvsePower.Why.LIMITED
    assert told == [(first.pk, True), [first.pk]]

    lift_session_limit(session_id=first.pk, now=now)
    settle(site, now, limit_kw=400)
    assert (held(site, 0), held(site, 1)) == (198, 197)
    assert told[2:] == [(first.pk, True), [first.pk]]
    assert second.pk not in {session for session, *_ in (pair for pair in told if isinstance(pair, tuple))}


def test_a_wish_never_raises_what_the_plan_gives(site):
    session = charge(site.evses[0])
    charge(site.evses[1])
    now = settle(site, NOW)

    limit_session(session_id=session.pk, wish=wish((NOW, 390), least_kw=390), now=now)
    now = settle(site, now, limit_kw=400)

    assert held(site, 0) <= 200
    assert held(site, 1) >= 190, "what a vehicle charges with at least takes no share of others"
    booking = book(site.evses[2], power_w=250 * KW)
    start(site.evses[2], booking.tokens.get().uid, at(9, 55))
    settle(site, at(9, 55), limit_kw=400)
    assert share(site.evses[2]) >= 250
    assert held(site, 0) <= 145


def test_less_than_a_promise_is_the_customer_s_own_wish_and_no_shortage(site):
    booking = book(site.evses[0], power_w=200 * KW)
    session = start(site.evses[0], booking.tokens.get().uid, at(9, 55))
    now = settle(site, at(9, 55))

    limit_session(session_id=session.pk, wish=wish((now, 40)), now=now)
    now = settle(site, now, limit_kw=400)

    power = EvsePower.objects.get(evse=site.evses[0])
    assert (held(site), power.promised_w, power.short_since, power.is_short) == (40, 40 * KW, None, False)
    assert site.steps[site.evses[0].pk, TX] == []  # nor does it rise to the promise by itself
    lift_session_limit(session_id=session.pk, now=now)
    settle(site, now, limit_kw=400)
    assert held(site) >= 200


def test_zero_pauses_and_the_next_truck_finds_what_every_free_evse_has(site):
    session = charge(site.evses[0])
    now = settle(site, NOW)

    limit_session(session_id=session.pk, wish=wish((now, 0)), now=now)
    settle(site, now, limit_kw=400)

    assert held(site) == 0
    assert site.held[site.evses[0].pk, "tx_default"] == 5 * KW


def test_periods_begin_and_end_by_the_clock_without_anybody_asking(unlimited):
    session = charge(unlimited.evses[0])
    begins, falls, ends = (NOW + timedelta(minutes=minutes) for minutes in (10, 20, 30))
    limit_session(session_id=session.pk, wish=wish((begins, 100), (falls, 50), ends_at=ends), now=NOW)
    settle(unlimited, NOW)
    assert held(unlimited) == -1  # nothing is wished yet, and nothing told

    for moment, kw in ((begins, 100), (falls, 50)):
        settle(unlimited, moment)
        assert held(unlimited) == kw
    given = given_limits([session], lasts=timedelta(hours=1), now=falls + timedelta(seconds=30))[session.pk]
    assert given == [(0, 50 * KW), (570, 400 * KW)]
    settle(unlimited, ends)
    assert unlimited.sent[-1][1] == "clear"


def test_a_charger_that_restarts_is_told_anew(unlimited):
    session = charge(unlimited.evses[0])
    limit_session(session_id=session.pk, wish=wish((NOW, 60)), now=NOW)
    now = settle(unlimited, NOW)
    told = len(unlimited.sent)

    Charger.objects.update(booted_at=now + SECOND)
    smart_charging.plan_depot(depot_id=unlimited.evses[0].depot_id, now=now + 2 * SECOND)
    unlimited.answer(now=now + 2 * SECOND)

    assert unlimited.sent[told:] == [(unlimited.evses[0].pk, TX, 60 * KW)]


@pytest.mark.parametrize("kind", ["not_supported", "rejected"])
def test_a_charger_that_refuses_keeps_nothing_and_that_is_told(unlimited, told, kind):
    session = charge(unlimited.evses[0])
    limit_session(session_id=session.pk, wish=wish((NOW, 60)), now=NOW)

    settle(unlimited, NOW, but={unlimited.evses[0].pk: kind})

    assert told == [(session.pk, False)]
    assert SessionLimit.objects.get().steps == []


def test_what_nobody_answered_is_dropped_and_a_later_wish_is_not(unlimited):
    session = charge(unlimited.evses[0])
    first = limit_session(session_id=session.pk, wish=wish((NOW, 60)), now=NOW).serial

    drop_limit(session_id=session.pk, serial=first, now=NOW)
    assert SessionLimit.objects.get().steps == []
    later = limit_session(session_id=session.pk, wish=wish((NOW, 70)), now=NOW).serial
    drop_limit(session_id=session.pk, serial=first, now=NOW)  # told a second time
    assert SessionLimit.objects.get().is_awaited
    settle(unlimited, NOW)
    drop_limit(session_id=session.pk, serial=later, now=NOW)  # it is answered: too late
    assert held(unlimited) == 70
    assert SessionLimit.objects.get().steps


def test_what_cannot_be_limited_is_said_at_once(unlimited):
    session = charge(unlimited.evses[0])
    with pytest.raises(NothingToLift):
        lift_session_limit(session_id=session.pk, now=NOW)
    offline(unlimited.evses[0].charger)
    with pytest.raises(ChargerOffline):
        limit_session(session_id=session.pk, wish=wish((NOW, 60)), now=NOW)
    Charger.objects.update(lease_holder="g", lease_until=NOW + timedelta(days=1), told={})
    with pytest.raises(ChargerCannot):
        limit_session(session_id=session.pk, wish=wish((NOW, 60)), now=NOW)
    stop(session, now=NOW + SECOND)
    with pytest.raises(SessionOver):
        limit_session(session_id=session.pk, wish=wish((NOW, 60)), now=NOW + SECOND)
    assert not SessionLimit.objects.exists()
    assert not ChargingProfile.objects.filter(sent_w__isnull=False).exists()
