"""What a term may be: one table that files, columns and code share."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection, transaction

from bookings.enforcement import arming
from bookings.imports.schemas import TermsRow
from bookings.models import Booking, TermsOverride
from bookings.pages.board import Window, read_board
from bookings.pages.views.bookings import A_DAY
from bookings.rules.terms import LIMITS, LONGEST_BOOKING, Terms, WalkIn
from depots.models import Evse
from depots.periods import Period
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_user,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

CHOSEN = {"approval", "late_cancel", "overlapping_tokens", "overstay", "power_order", "walk_in"}


def test_every_term_that_is_a_number_has_limits_and_its_default_lies_within_them():
    numbers = {f.name for f in fields(Terms)} - CHOSEN

    assert set(LIMITS) == numbers
    standard = Terms().to_json()
    for name, bounds in LIMITS.items():
        assert standard[name] is None or bounds.least <= standard[name] <= bounds.most, name


def test_columns_and_file_know_every_term_and_hold_it_to_its_limits():
    columns = {f.name for f in TermsOverride._meta.get_fields()} - {"id", "depot", "agreement", "option"}

    assert columns == set(TermsRow.model_fields) == {f.name for f in fields(Terms)}
    for name, bounds in LIMITS.items():
        limits = {v.limit_value for v in TermsOverride._meta.get_field(name).validators}
        assert {bounds.least, bounds.most} <= limits, name


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_file_takes_what_the_limits_allow_and_nothing_beyond(name: str):
    least, most = LIMITS[name].least, LIMITS[name].most

    assert getattr(TermsRow.model_validate({name: least}), name) == least
    assert getattr(TermsRow.model_validate({name: most}), name) == most
    for beyond in (least - 1, most + 1):
        with pytest.raises(ValueError, match=name):
            TermsRow.model_validate({name: beyond})


def test_a_file_says_who_may_charge_without_a_booking_in_four_words_only():
    assert {TermsRow.model_validate({"walk_in": word}).walk_in for word in WalkIn.values} == set(
        WalkIn.values
    )
    with pytest.raises(ValueError, match="walk_in"):
        TermsRow.model_validate({"walk_in": "friends"})


def test_nothing_reaches_further_than_the_longest_spans_that_code_looks_for():
    # Arming looks for what is due within the longest lead; a term may not reach beyond it.
    assert (
        timedelta(minutes=max(LIMITS["arm_lead_min"].most, LIMITS["early_start_min"].most))
        == arming.LONGEST_LEAD
    )
    assert timedelta(minutes=LIMITS["max_duration_min"].most) == LONGEST_BOOKING


def test_a_hold_lasts_as_long_as_its_terms_say(db: None):
    evse = make_evse(make_depot(terms={"hold_min": 3}))

    held = _hold(evse)

    assert held.held_until == NOW + timedelta(minutes=3)


@pytest.fixture
def stay(db: None) -> Booking:
    """A booking of the longest length there is; it began before the days that are looked at."""
    evse = make_evse(make_depot(code="LONG", terms={"max_duration_min": LIMITS["max_duration_min"].most}))
    fleet = make_fleet("Nordfracht")
    with time_machine.travel(NOW, tick=False):
        return book_slot(
            fleet=fleet, option=option_of(evse), period=Period(at(10), at(10) + LONGEST_BOOKING),
            vehicle=make_vehicle(fleet, plate="HH-LONG 1"), actor=DISPATCHER, now=NOW,
        )  # fmt: skip


@pytest.mark.parametrize("days", [0, 1, 4, 7])
def test_a_booking_of_any_allowed_length_is_on_the_board_on_each_of_its_days(stay: Booking, days: int):
    from bookings.pages.access import BoardViewer

    viewer = BoardViewer(stay.depot, sees_all=True, can_manage=True, fleet_ids=frozenset())
    day = Window.asked((at(10) + days * A_DAY).date().isoformat(), "day", stay.depot, now=NOW)

    shown = read_board(viewer, day, now=NOW)

    assert [bar.booking.pk for bar in shown.bars] == [stay.pk]


@pytest.mark.parametrize("days", [0, 1, 4, 7])
def test_a_booking_of_any_allowed_length_is_in_the_list_on_each_of_its_days(stay: Booking, days: int):
    dispatcher = client_of(make_user(stay.fleet))
    day = (at(10) + days * A_DAY).date().isoformat()

    page = dispatcher.get("/bookings/", {"first_day": day, "last_day": day}).content.decode()
    day_after = dispatcher.get("/bookings/", {"first_day": (at(10) + 8 * A_DAY).date().isoformat()})

    assert f'data-booking="{stay.pk}"' in page
    assert f'data-booking="{stay.pk}"' not in day_after.content.decode()


def test_a_slot_of_the_longest_length_is_found_booked_and_changed_on_pages(stay: Booking):
    later = stay.period.ends_at + timedelta(hours=1)
    asked = {
        "depot": "LONG",
        "starts_at": later.isoformat(),
        "ends_at": (later + LONGEST_BOOKING).isoformat(),
    }
    with time_machine.travel(NOW, tick=False):
        dispatcher = client_of(make_user(stay.fleet))

        found = dispatcher.get("/slots/", asked)
        made = dispatcher.post(
            "/bookings/", {**asked, "fleet": stay.fleet_id, "option": stay.option_id, "vehicle": ""}
        )
        shorter = dispatcher.post(
            f"/bookings/{stay.pk}/change/",
            {
                "version": stay.version,
                "starts_at": (stay.starts_at + A_DAY).isoformat(),
                "ends_at": stay.ends_at.isoformat(),
                "vehicle": stay.plate,
            },
        )

    stay.refresh_from_db()
    assert (found.status_code, made.status_code, shorter.status_code) == (200, 302, 302)
    assert Booking.objects.exclude(pk=stay.pk).get().period.duration == LONGEST_BOOKING
    assert stay.period.duration == LONGEST_BOOKING - A_DAY


def test_terms_within_their_limits_are_shown_to_who_books(db: None):
    from bookings.pages.wording import terms_lines

    depot = make_depot()
    lines = terms_lines(Terms(max_promise_kw=250, max_open_bookings=3), slot(10, 11), depot, now=NOW)

    words = " | ".join(line.words for line in lines)
    assert "At most 250 kW" in words
    assert "At most 3 bookings" in words


def _hold(evse: Evse, **fields: Any) -> Booking:
    fleet = make_fleet()
    return place_hold(
        fleet=fleet, option=option_of(evse), period=slot(10, 11), vehicle=make_vehicle(fleet), actor=DISPATCHER, now=NOW, **fields
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_terms_of_before_are_brought_within_limits_and_the_table_can_be_altered_then():
    """A row that is written twice in a transaction waits for its foreign keys, which no ALTER TABLE does."""
    migration = import_module("bookings.migrations.0003_terms_within_limits")
    make_depot(terms={"max_duration_min": 100_000, "no_show_min": 0, "cancel_until_min": 99_999})

    with transaction.atomic():
        migration._bring_within_limits(apps, None)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE bookings_termsoverride ADD COLUMN altered integer")
        terms = TermsOverride.objects.get()
        transaction.set_rollback(True)

    assert (terms.max_duration_min, terms.no_show_min, terms.cancel_until_min) == (10_080, 1, 43_200)
    assert terms.lead_min is None
