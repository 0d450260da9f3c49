"""A depot's power on its pages: what each EVSE may take and why, the limit, and a manager who sets one for a while."""

from __future__ import annotations

import pytest
import time_machine

from bookings import smart_charging
from bookings.models import EvsePower, ExternalLimit
from depots.models import Membership
from tests.bookings.enforcement.online_chargers import book, start
from tests.bookings.people import client_of
from tests.bookings.smart_charging.chargers import KW, Chargers, make_site
from tests.factories import at, make_charger, make_evse, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def charging():
    """A booked truck that charges at a depot of 400 kW."""
    site = Chargers(make_site(terms={"early_start_min": 15, "turnaround_min": 0}))
    booking = book(site.evses[0], power_w=200 * KW)
    start(site.evses[0], booking.tokens.get().uid, at(9, 55))
    for second in (1, 4, 7):
        smart_charging.plan_due(now=at(9, 55).replace(second=second))
        site.answer(now=at(9, 55).replace(second=second))
    booking.refresh_from_db()
    with time_machine.travel(at(9, 56), tick=False):
        yield booking


def manager_of(depot):
    return client_of(make_user(depot.operator, Membership.Role.DEPOT_MANAGER))


def test_the_yard_and_the_charger_show_what_each_evse_may_take(charging):
    client = manager_of(charging.depot)

    yard = client.get(f"/depots/{charging.depot.code}/").content.decode()
    charger = client.get(
        f"/depots/{charging.depot.code}/chargers/{charging.evse.charger.identity}/"
    ).content.decode()

    for page in (yard, charger):
        assert f'data-power="{charging.evse.uid}"' in page
        assert "350 kW" in page
    assert "of 400 kW is the most that the chargers may take now" in yard


def test_who_may_take_more_than_the_limit_is_named(charging):
    evse = make_evse(charging.depot, charger=make_charger(charging.depot))
    EvsePower.objects.create(evse=evse, counted_w=400 * KW, why=EvsePower.Why.UNCONTROLLED)

    yard = manager_of(charging.depot).get(f"/depots/{charging.depot.code}/").content.decode()

    assert f"may take more than the limit by themselves ({evse.uid})" in yard


def test_evses_where_nothing_goes_on_stand_behind_the_others(charging):
    charger = make_charger(charging.depot)
    power = EvsePower.objects.create(
        evse=make_evse(charging.depot, charger=charger), why=EvsePower.Why.UNCONTROLLED
    )

    yard = manager_of(charging.depot).get(f"/depots/{charging.depot.code}/")

    assert [row.uid for row in yard.context["power_rows"]] == [charging.evse.uid]
    idle = {row.uid: row.why for row in yard.context["idle_power_rows"]}
    assert idle.pop(power.evse.uid) == "The charger has never connected: not counted."
    assert set(idle.values()) == {""}


def test_who_outlives_its_slot_is_shown_without_a_promise(charging):
    with time_machine.travel(at(11, 1), tick=False):
        smart_charging.plan_due(now=at(11, 1))
        yard = manager_of(charging.depot).get(f"/depots/{charging.depot.code}/")

    (row,) = yard.context["power_rows"]
    assert (row.uid, row.promised_w, row.is_short) == (charging.evse.uid, None, False)


def test_the_booking_shows_what_it_gets_and_why(charging):
    page = client_of(make_user(charging.fleet)).get(charging.get_absolute_url()).content.decode()

    assert "May take 350 kW. It may take all it can." in page


def test_a_manager_limits_the_power_and_lifts_the_limit(charging):
    client, code = manager_of(charging.depot), charging.depot.code
    assert client.get(f"/depots/{code}/limit/").status_code == 200

    sent = client.post(
        f"/depots/{code}/limit/",
        {"kw": "120", "starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00"},
    )

    assert sent.status_code in {302, 303}
    limit = ExternalLimit.objects.get()
    assert (limit.watts, limit.starts_at, limit.ends_at) == (120 * KW, at(10), at(11))
    yard = client.get(f"/depots/{code}/")
    assert f'data-limit="{limit.pk}"' in yard.content.decode()
    client.post(f"/depots/{code}/limit/lifting/", {"version": yard.context["limits_version"]})
    assert not ExternalLimit.objects.filter(lifted_at=None).exists()


@pytest.mark.parametrize(
    ("field", "value", "words"), [("kw", "-1", "greater"), ("ends_at", "2030-01-15T10:00", "over already")]
)
def test_a_limit_that_cannot_be_is_shown_beside_its_field(charging, field, value, words):
    asked = {"kw": "120", "starts_at": "2030-01-15T09:00", "ends_at": "2030-01-15T12:00", field: value}

    answer = manager_of(charging.depot).post(f"/depots/{charging.depot.code}/limit/", asked)

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not ExternalLimit.objects.exists()
