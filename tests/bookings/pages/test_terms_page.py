"""A manager sets the terms of a depot."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.core import calendars
from bookings.models import BookingOption, TermsOverride
from bookings.pages.forms.terms import GROUPS
from bookings.rules.terms import LIMITS, Terms
from bookings.search.bookable import terms_for
from depots.models import Depot, Membership, Organisation, SettingsCheck
from tests.bookings.people import client_of
from tests.factories import (
    NOW,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_option,
    make_user,
    option_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
PAGE = "/depots/VENLO/terms/"


@pytest.fixture
def depot(operator: Organisation) -> Depot:
    return make_depot(operator, code="VENLO", terms={"slot_step_min": 15})


@pytest.fixture
def manager(operator: Organisation) -> Client:
    return client_of(make_user(operator, Membership.Role.DEPOT_MANAGER))


def version(client: Client) -> str:
    found = re.search(r'name="version" value="(\w+)"', client.get(PAGE).content.decode())
    assert found
    return found[1]


def send(client: Client, **terms: Any) -> Any:
    return client.post(PAGE, {"version": version(client), **terms})


def test_every_term_is_on_the_form():
    assert {name for group in GROUPS.values() for name in group} == set(Terms().to_json())


def test_a_manager_sets_terms_that_hold_for_bookings_made_from_then_on(manager, depot):
    evse = make_evse(depot)
    before = BookingOption.objects.get(code=evse.uid).calendar_version

    answer = send(
        manager, slot_step_min=30, walk_in="own", approval="true", max_promise_kw=150, max_open_bookings=4
    )

    assert (answer.status_code, answer["Location"]) == (302, "/depots/VENLO/")
    terms = terms_for(option_of(evse), make_fleet(), now=NOW)
    assert (terms.slot_step_min, terms.walk_in, terms.approval) == (30, "own", True)
    assert (terms.max_promise_kw, terms.max_open_bookings) == (150, 4)
    assert (terms.turnaround_min, terms.hold_min) == (5, 10)  # left blank: the default again
    calendars.raise_marked(lambda: NOW)
    assert BookingOption.objects.get(code=evse.uid).calendar_version > before


def test_a_manager_says_how_an_evse_may_be_kept_whose_charger_keeps_no_reservation(manager, depot):
    seen = version(manager)

    check = SettingsCheck.objects.create(charger=make_charger(depot), began_at=NOW, tries=3)
    send(manager, fallback_availability="on")
    check.refresh_from_db()
    assert check.began_at == NOW
    send(manager, fallback_availability="on", fallback_local_list="on")

    # A charger is to be set to keep a list, without waiting for its next boot.
    check.refresh_from_db()
    assert (check.began_at, check.tries) == (None, 0)
    depot.refresh_from_db()
    assert depot.fallbacks == ["availability", "local_list"]
    assert manager.post(PAGE, {"version": seen}).status_code == 409
    send(manager)
    depot.refresh_from_db()
    assert depot.fallbacks == []


@pytest.mark.parametrize("name", ["max_duration_min", "hold_min", "horizon_days"])
def test_a_term_beyond_its_limits_is_refused_at_its_field(manager, depot, name):
    answer = send(manager, **{name: LIMITS[name].most + 1})

    assert answer.status_code == 422
    assert f'id="id_{name}_error"' in answer.content.decode()
    assert TermsOverride.objects.get(depot=depot).slot_step_min == 15


def test_terms_under_which_nothing_could_be_booked_are_refused_at_an_options_own_too(manager, depot):
    make_option(make_evse(depot), code="SHORT", terms={"max_duration_min": 60})

    alone = send(manager, min_duration_min=300)
    with_option = send(manager, min_duration_min=90)

    assert (alone.status_code, with_option.status_code) == (422, 422)
    assert "With the terms of SHORT" in with_option.content.decode()
    assert TermsOverride.objects.get(depot=depot).min_duration_min is None


def test_a_stale_form_changes_nothing(manager, depot):
    old = version(manager)
    send(manager, hold_min=20)

    answer = manager.post(PAGE, {"version": old, "hold_min": 30})

    assert answer.status_code == 409
    assert TermsOverride.objects.get(depot=depot).hold_min == 20
    assert manager.post(PAGE, {"hold_min": 30}).status_code == 409


def test_only_who_runs_the_depot_finds_the_page(operator, depot):
    viewer = client_of(make_user(operator, Membership.Role.VIEWER))
    stranger = client_of(make_user(make_operator(), Membership.Role.DEPOT_MANAGER))

    assert [client.get(PAGE).status_code for client in (viewer, stranger)] == [404, 404]
    assert [client.post(PAGE, {}).status_code for client in (viewer, stranger)] == [404, 404]
    assert Client().get(PAGE).status_code == 302


def test_the_way_to_the_terms_is_on_the_page_of_the_chargers(manager, depot, operator):
    viewer = client_of(make_user(operator, Membership.Role.VIEWER))

    assert PAGE in manager.get("/depots/VENLO/").content.decode()
    assert PAGE not in viewer.get("/depots/VENLO/").content.decode()


def test_setting_terms_waits_for_the_bookings_under_way(manager: Client, depot: Depot) -> None:
    make_evse(depot)
    seen = version(manager)

    with CaptureQueriesContext(connection) as captured:
        send(manager, version=seen, max_open_bookings=1)

    told = " ".join(query["sql"] for query in captured if "FOR NO KEY UPDATE" in query["sql"])
    assert re.findall(r'FROM "(\w+)"', told)[:2] == ["depots_depot", "depots_evse"]
