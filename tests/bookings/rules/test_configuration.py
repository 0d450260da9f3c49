"""A depot's configuration is kept in memory under a version that the database raises with every change of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from bookings.models import BookingOption, PaymentTerms, Tariff, TariffBinding, TariffVersion, TermsOverride
from bookings.rules import configuration
from bookings.search.bookable import terms_for
from depots.models import (
    Agreement,
    Charger,
    ConfigurationVersion,
    Connector,
    Depot,
    Evse,
    OpeningHours,
    Organisation,
)
from depots.periods import Period
from tests.factories import (
    NOW,
    make_depot,
    make_evse,
    make_fleet,
    make_opening_hours,
    make_rule,
    open_depot,
    option_of,
    slot,
)
from tests.money_factories import add_version, make_bound, make_tariff, per_kwh

pytestmark = pytest.mark.django_db


@pytest.fixture
def evse() -> Evse:
    """One EVSE with a connector at a depot with everything that can be configured."""
    depot = make_depot(terms={"approval": False}, grid_limit_w=900_000)
    Agreement.objects.all().delete()
    make_opening_hours(depot, 0, 1440)
    evse = make_evse(depot)
    agreement = open_depot(depot, make_fleet(), lead_min=5)
    TermsOverride.objects.create(option=option_of(evse), no_show_min=20)
    owners = {"depot": depot, "agreement": agreement, "option": option_of(evse), "evse": evse}
    for kind, owner in owners.items():
        make_bound(per_kwh("0.40"), name=kind, **{kind: owner})
    return evse


def version(depot_id: int) -> int | None:
    return ConfigurationVersion.objects.filter(depot_id=depot_id).values_list("version", flat=True).first()


def by_sql(statement: str) -> Callable[[], Any]:
    def execute() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return execute


OWNERS = ("depot", "agreement", "option", "evse")


def bound_again(owner: str) -> None:
    bound = TariffBinding.objects.get(tariff__name=owner)
    other = make_tariff(bound.tariff.operator)
    add_version(other, per_kwh("0.50"))
    TariffBinding.objects.filter(pk=bound.pk).update(tariff=other)


def ended(owner: str) -> None:
    TariffBinding.objects.filter(tariff__name=owner).update(valid=Period(NOW - timedelta(days=9), NOW))


def unbound(owner: str) -> None:
    TariffBinding.objects.filter(tariff__name=owner).delete()


def renewed(owner: str) -> None:
    add_version(Tariff.objects.get(name=owner), per_kwh("0.60"), number=2)


CHANGES: dict[str, Callable[[], Any]] = {
    "withdrawn": lambda: Evse.objects.update(is_withdrawn=True),
    "a smaller bay": lambda: Evse.objects.update(max_vehicle_length_cm=900),
    "a longer bay": lambda: Evse.objects.update(bay_length_cm=1900),
    "its number in all networks": lambda: Evse.objects.update(public_id="DE*NFR*E1"),
    "less power": lambda: Evse.objects.update(max_power_w=1),
    "another EVSE": lambda: make_evse(Depot.objects.get()),
    "an EVSE less": lambda: Evse.objects.all().delete(),
    "another plug": lambda: Connector.objects.update(standard="MCS"),
    "a plug less": lambda: Connector.objects.all().delete(),
    "a cabinet": lambda: Charger.objects.update(cabinet="A", cabinet_limit_w=1000),
    "the grid": lambda: Depot.objects.update(grid_limit_w=1),
    "the zone": lambda: Depot.objects.update(time_zone="Asia/Tokyo"),
    "the depot withdrawn": lambda: Depot.objects.update(is_withdrawn=True),
    "hours": lambda: OpeningHours.objects.update(to_minute=60),
    "no hours": lambda: OpeningHours.objects.all().delete(),
    "more hours": lambda: make_opening_hours(Depot.objects.get(), 1, 2),
    "an offer withdrawn": lambda: BookingOption.objects.update(is_withdrawn=True),
    "an offer less": lambda: BookingOption.objects.all().delete(),
    "out of an offer": lambda: BookingOption.evses.through.objects.all().delete(),
    "an agreement ended": lambda: Agreement.objects.update(ends_at=NOW),
    "an agreement more": lambda: open_depot(Depot.objects.get()),
    "an agreement less": lambda: Agreement.objects.all().delete(),
    "terms": lambda: TermsOverride.objects.filter(depot__isnull=False).update(lead_min=1),
    "terms of an agreement": lambda: TermsOverride.objects.filter(agreement__isnull=False).update(lead_min=1),
    "terms of an offer": lambda: TermsOverride.objects.filter(option__isnull=False).update(lead_min=1),
    "a window": lambda: make_rule(Depot.objects.get(), "window"),
    "payment terms": lambda: PaymentTerms.objects.create(agreement=Agreement.objects.all()[0]),
    "no terms": lambda: TermsOverride.objects.all().delete(),
    **{f"another tariff of the {owner}": partial(bound_again, owner) for owner in OWNERS},
    **{f"a tariff of the {owner} ended": partial(ended, owner) for owner in OWNERS},
    **{f"no tariff of the {owner}": partial(unbound, owner) for owner in OWNERS},
    **{f"a version more for the {owner}": partial(renewed, owner) for owner in OWNERS},
    "a version ended": lambda: TariffVersion.objects.update(ends_at=NOW),
    "a tariff renamed": lambda: Tariff.objects.filter(name="evse").update(name="Night"),
    "a tariff withdrawn": lambda: Tariff.objects.filter(name="depot").update(is_withdrawn=True),
    "by SQL": by_sql("UPDATE bookings_termsoverride SET lead_min = 7 WHERE depot_id IS NOT NULL"),
}


@pytest.mark.parametrize("happens", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_of_what_can_be_booked_raises_the_version(evse, happens):
    before = configuration.current(evse.depot_id)

    happens()

    assert version(evse.depot_id) != before.version
    assert configuration.current(evse.depot_id) != before


@pytest.mark.parametrize(
    "happens",
    [
        lambda: Evse.objects.update(status=Evse.Status.CHARGING, error_code="x", updated_at=NOW),
        lambda: Charger.objects.update(lease_holder="g", last_seen_at=NOW, spoken_protocol="ocpp2.0.1"),
        lambda: BookingOption.objects.update(calendar_version=7, updated_at=NOW),
        lambda: Evse.objects.update(max_power_w=Evse.objects.get().max_power_w),
    ],
    ids=["status of an EVSE", "lease of a charger", "calendar", "what it is already"],
)
def test_what_changes_all_the_time_raises_no_version(evse, happens):
    before = version(evse.depot_id)

    happens()

    assert before is not None
    assert version(evse.depot_id) == before


def test_another_depots_change_is_not_this_ones(evse):
    other = make_evse()
    before = version(evse.depot_id)

    Evse.objects.filter(pk=other.pk).update(max_power_w=1)

    assert version(evse.depot_id) == before


def test_what_is_moved_to_another_depot_counts_for_both(evse):
    there = make_depot()
    before = version(evse.depot_id), version(there.pk)

    Evse.objects.filter(pk=evse.pk).update(depot=there)

    assert (version(evse.depot_id) != before[0], version(there.pk) != before[1]) == (True, True)


def test_the_version_of_a_depot_goes_with_it():
    depot_id = make_depot().pk
    assert version(depot_id) is not None

    Depot.objects.get(pk=depot_id).delete()

    assert version(depot_id) is None


def test_a_version_that_was_rolled_back_never_comes_again(evse):
    """Else what was kept under it would be taken for what somebody else wrote since."""
    with transaction.atomic():
        Depot.objects.update(grid_limit_w=1)
        gone = configuration.current(evse.depot_id)
        transaction.set_rollback(True)

    Depot.objects.update(grid_limit_w=2)

    assert version(evse.depot_id) != gone.version
    assert configuration.current(evse.depot_id).limits[0].watts == 2


def test_what_is_known_costs_one_query(evse, django_assert_num_queries):
    configuration.current(evse.depot_id)

    with django_assert_num_queries(1):
        configuration.current(evse.depot_id)


def test_a_change_while_it_is_read_is_not_mixed_into_it(evse, monkeypatch):
    read, moments = configuration._read, iter([1])

    def reading(depot_id: int, known: int | None) -> configuration.Configuration:
        found = read(depot_id, known)
        if next(moments, None):
            TermsOverride.objects.filter(depot__isnull=False).update(lead_min=99)
        return found

    monkeypatch.setattr(configuration, "_read", reading)

    found = configuration.load(evse.depot_id)

    assert found.version == version(evse.depot_id)
    assert found.terms(option_of(evse).pk, evse.depot.operator_id, now=NOW).lead_min == 99


def test_terms_are_those_the_tables_give_for_everybody(evse):
    option, guest = option_of(evse), Organisation.objects.get(agreements__isnull=False)
    found = configuration.current(evse.depot_id)

    for fleet in (guest, evse.depot.operator, make_fleet()):
        for moment in (NOW, NOW - timedelta(days=10_000)):
            assert found.terms(option.pk, fleet.pk, now=moment) == terms_for(option, fleet, now=moment)
    theirs = found.terms(option.pk, guest.pk, now=NOW)
    assert (theirs.lead_min, theirs.no_show_min) == (5, 20)


def test_who_may_book_is_who_runs_the_depot_or_has_an_agreement_in_force(evse):
    option, guest = option_of(evse), Organisation.objects.get(agreements__isnull=False)
    found = configuration.current(evse.depot_id)

    assert found.offers_to(option.pk, evse.depot.operator_id, now=NOW)
    assert found.offers_to(option.pk, guest.pk, now=NOW)
    assert not found.offers_to(option.pk, make_fleet().pk, now=NOW)
    assert not found.offers_to(option.pk, guest.pk, now=NOW - timedelta(days=10_000))


def test_it_is_open_when_the_depot_is(evse):
    OpeningHours.objects.update(from_minute=600, to_minute=720)
    depot, site = Depot.objects.get(), configuration.current(evse.depot_id).site

    for hour in range(6, 20):
        period = slot(hour, hour + 1, day=5)
        assert site.is_open(period) == depot.is_open(period)
