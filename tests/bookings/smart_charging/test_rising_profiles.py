"""Profiles that rise by themselves: what a vehicle leaves of its promise goes on, and a slot begins at a silent charger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings.models import DepotPower, EvsePower
from tests.bookings.enforcement.online_chargers import book, start
from tests.bookings.smart_charging.chargers import KW, SECOND, charge, metered, offline, settle, share, why
from tests.factories import at

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def nearly_full(site):
    """A booked truck of 200 kW that takes 60, for a minute and more, beside one that takes all it is given."""
    booking = book(site.evses[0], power_w=200 * KW)
    session = start(site.evses[0], booking.tokens.get().uid, at(9, 55))
    charge(site.evses[1], now=at(9, 55))
    now = settle(site, at(9, 55), limit_kw=400)
    metered(session, 60, now=now + 70 * SECOND)
    return session, settle(site, now + 71 * SECOND, limit_kw=400)


def test_what_a_vehicle_leaves_of_its_promise_for_a_minute_goes_on_and_is_not_called_short(site, nearly_full):
    power = EvsePower.objects.get(evse=site.evses[0])

    assert (share(site.evses[0]), share(site.evses[1])) == (75, 320)
    assert (power.promised_w, power.why, power.is_short) == (200 * KW, "content", False)


def test_it_has_its_promise_again_as_soon_as_it_takes_all_it_is_given(site, nearly_full):
    session, now = nearly_full
    metered(session, 75, now=now + 15 * SECOND)

    settle(site, now + 16 * SECOND, limit_kw=400)

    assert share(site.evses[0]) >= 200


def test_at_a_charger_that_falls_silent_it_has_its_promise_again_by_itself(site, nearly_full):
    _, now = nearly_full
    offline(site.evses[0].charger)

    rises_at, watts = site.steps[site.evses[0].pk, "tx"][0]
    settle(site, rises_at - 9 * SECOND - 3 * SECOND, limit_kw=400)

    assert (watts, rises_at - now <= 16 * MINUTE) == (200 * KW, True)
    assert site.may_take(site.evses[0], rises_at) == 200 * KW
    assert site.sum_w(rises_at) <= 400 * KW


def test_a_slot_begins_at_a_charger_that_is_silent_by_then(site):
    evse = site.evses[2]
    booking = book(evse, power_w=250 * KW)
    charge(site.evses[0], now=at(9, 40))
    settle(site, at(9, 40), limit_kw=400)
    assert site.may_take(evse, booking.starts_at) == 5 * KW
    offline(evse.charger)

    settle(site, booking.starts_at - 9 * SECOND - 3 * SECOND, limit_kw=400)

    assert site.may_take(evse, booking.starts_at + 4 * SECOND) == 250 * KW
    assert site.sum_w(booking.starts_at + 4 * SECOND) <= 400 * KW
    assert site.may_take(evse, booking.ends_at) == evse.max_power_w // 8
    assert (share(evse), why(evse)) == (250, "silent")


def test_a_promise_that_was_cancelled_counts_where_nobody_could_say_so(site):
    evse = site.evses[2]
    booking = book(evse, power_w=250 * KW)
    settle(site, at(9, 40), limit_kw=400)
    offline(evse.charger)
    booking.status = "cancelled"
    booking.save()

    settle(site, booking.starts_at, limit_kw=400)

    assert DepotPower.objects.get().counted_w == 350 * KW
