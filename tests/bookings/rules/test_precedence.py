"""Which tariff a customer pays: agreement with it, agreement with all, EVSE, option, depot, for each kind by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import BookingOption, Tariff, TariffBinding
from bookings.pricing.tariff_content import ElementUse
from bookings.rules import configuration, tariff_contents
from bookings.rules.tariff_bindings import TariffInForce, Tariffs
from depots.models import Agreement, Evse, Organisation
from depots.periods import Period
from tests.factories import NOW, make_depot, make_evse, make_fleet, open_depot, option_of
from tests.money_factories import add_version, flat, make_bound, per_kwh

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=3)


@dataclass
class Place:
    evse: Evse
    option: BookingOption
    guest: Organisation
    with_guest: Agreement
    with_all: Agreement

    def bind(self, to: str, *elements: Any, **more: Any) -> TariffInForce:
        owners = {
            "depot": self.evse.depot, "option": self.option, "evse": self.evse,
            "agreement": self.with_guest, "everybody": self.with_all,
        }  # fmt: skip
        name = "agreement" if to == "everybody" else to
        return make_bound(*(elements or [per_kwh("0.40")]), **{name: owners[to]}, **more)

    def tariffs(self, fleet: Organisation | None = None, *, at: datetime = NOW, evse: bool = True) -> Tariffs:
        found = configuration.current(self.evse.depot_id)
        evse_id, fleet_id = self.evse.pk if evse else None, (fleet or self.guest).pk
        return found.tariffs_for(self.option.pk, evse_id, fleet_id, at=at)


@pytest.fixture
def place() -> Place:
    depot = make_depot()
    Agreement.objects.all().delete()
    evse, guest = make_evse(depot), make_fleet()
    return Place(evse, option_of(evse), guest, open_depot(depot, guest), open_depot(depot))


def test_the_agreement_with_the_customer_goes_before_all_else(place):
    order = ["agreement", "everybody", "evse", "option", "depot"]
    bound = {owner: place.bind(owner) for owner in reversed(order)}

    for owner in order:
        assert place.tariffs().charging == bound[owner]
        Tariff.objects.filter(code=bound[owner].code).update(is_withdrawn=True)
    assert place.tariffs() == (None, None)


def test_an_agreement_with_somebody_else_says_nothing_about_a_customer(place):
    theirs, ours = place.bind("agreement"), place.bind("everybody")

    assert place.tariffs(make_fleet()).charging == ours
    assert place.tariffs().charging == theirs


def test_an_agreement_that_is_over_has_no_say(place):
    place.bind("agreement")
    ours = place.bind("depot")

    place.with_guest.ends_at = NOW
    place.with_guest.save()

    assert place.tariffs().charging == ours


def test_the_tariffs_of_charging_and_booking_are_found_each_by_itself(place):
    charging, booking = place.bind("depot"), place.bind("evse", flat("5"))

    assert place.tariffs() == (charging, booking)


def test_where_the_evse_is_not_known_its_tariff_does_not_count(place):
    place.bind("evse")
    ours = place.bind("option")

    assert place.tariffs(evse=False).charging == ours


def test_a_binding_holds_from_its_beginning_to_before_its_end(place):
    before = place.bind("depot", valid=Period(NOW - timedelta(days=9), LATER))
    after = place.bind("depot", valid=Period(LATER, LATER + timedelta(days=1)))

    assert place.tariffs(at=LATER - timedelta(microseconds=1)).charging == before
    assert place.tariffs(at=LATER).charging == after
    assert place.tariffs(at=LATER + timedelta(days=1)).charging is None


def test_a_version_holds_until_another_begins(place):
    first = place.bind("depot")
    add_version(Tariff.objects.get(), per_kwh("0.50"), number=2, starts_at=LATER)

    assert place.tariffs(at=LATER - timedelta(microseconds=1)).charging == first
    assert place.tariffs(at=LATER).charging.number == 2


def test_a_version_that_ends_gives_way_to_the_one_before_it(place):
    first = place.bind("depot")
    week = {"starts_at": NOW, "ends_at": NOW + timedelta(days=7)}
    add_version(Tariff.objects.get(), per_kwh("0.10"), number=2, **week)

    assert place.tariffs().charging.number == 2
    assert place.tariffs(at=week["ends_at"]).charging == first


def test_a_tariff_without_a_version_in_force_leaves_the_word_to_the_next(place):
    ours = place.bind("depot")
    place.bind("evse")
    TariffBinding.objects.get(evse=place.evse).tariff.versions.update(ends_at=NOW)

    assert place.tariffs().charging == ours


def test_a_version_is_parsed_once_in_a_process(place, django_assert_num_queries):
    found = place.bind("depot", flat("5"), flat("25", ElementUse.NO_SHOW))

    with django_assert_num_queries(0):
        first, again = (tariff_contents.contents([found.pk])[found.pk] for _ in range(2))
    assert first is again


def test_however_many_are_bound_a_depot_is_read_in_as_many_queries(place):
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            configuration.load(place.evse.depot_id)
        return len(caught)

    place.bind("depot")
    configuration.load(place.evse.depot_id)  # what versions say is known then
    few = queries()
    for owner in ("option", "evse", "agreement"):
        place.bind(owner)
    configuration.load(place.evse.depot_id)

    assert queries() == few
