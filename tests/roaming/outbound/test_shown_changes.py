"""Depots, EVSEs and tariffs that look otherwise are sent to who sees them, and to nobody else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from bookings.core.calendars import raise_marked
from bookings.models import Tariff
from bookings.pricing.tariff_content import ElementUse
from depots.models import Agreement, Depot, Evse
from depots.periods import Period
from roaming.models import Delivery, Partner
from roaming.outbound import deliveries, shown_changes
from roaming.outbound.deliveries import Delivered
from roaming.outbound.pushes import GONE, Push
from roaming.outbound.writer_table import writers
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    open_depot,
    option_of,
    slot,
)
from tests.money_factories import flat, make_bound, per_kwh
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db
URL = "https://net.example/ocpi"
MODULES = ("locations", "tariffs", "Booking")


def taking(*modules: str, **fields: Any) -> Partner:
    """A partner with Receivers of these modules."""
    offered = [{"identifier": name, "role": "RECEIVER", "url": f"{URL}/{name.lower()}"} for name in modules]
    return make_partner(endpoints=offered, **fields)


@pytest.fixture
def partner() -> Partner:
    return taking(*MODULES)


@pytest.fixture
def depot() -> Depot:
    found = make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))
    make_evse(found, uid="E-1")
    make_evse(found, uid="E-2")
    return found


def sent(now: Any = NOW) -> list[Push]:
    """Compare, then write and settle whatever is due, until nothing is."""
    shown_changes.want_changed(now=now)
    pushes: list[Push] = []
    table = writers()
    while leases := deliveries.claim(room=100, now=now):
        written = [
            push
            for kind, write in table.items()
            for push in write([one for one in leases if one.kind == kind], now=now)
        ]
        deliveries.all_succeeded([Delivered(push.lease, push.digest) for push in written], now=now)
        pushes += written
    return pushes


def said(pushes: list[Push]) -> list[tuple[str, str]]:
    return [(push.method, push.url.removeprefix(URL)) for push in pushes]


def body(push: Push) -> Any:
    assert push.body is not None
    return json.loads(push.body.content)


def test_a_depot_goes_to_who_sees_it_once(partner: Partner, depot: Depot) -> None:
    make_depot(open_to_all=False)
    taking("Booking")

    (push,) = sent()

    assert said([push]) == [("PUT", f"/locations/NL/LPK/{depot.location_id}")]
    assert (push.peer.from_party, push.lease.partner_id) == (("NL", "LPK"), partner.pk)
    assert [evse["uid"] for evse in body(push)["evses"]] == ["E-1", "E-2"]
    assert sent() == []


def test_a_change_of_name_is_sent_and_one_of_nothing_is_not(partner: Partner, depot: Depot) -> None:
    sent()
    depot.save()  # as it was
    assert sent(NOW + timedelta(minutes=1)) == []

    depot.name = "Metz Nord"
    depot.save()

    (push,) = sent(NOW + timedelta(minutes=2))
    assert body(push)["name"] == "Metz Nord"


def test_a_status_is_an_evses_own_push(partner: Partner, depot: Depot) -> None:
    sent()
    Evse.objects.filter(uid="E-2").update(status=Evse.Status.CHARGING, status_received_at=NOW)

    (push,) = sent(NOW + timedelta(seconds=2))

    assert said([push]) == [("PUT", f"/locations/NL/LPK/{depot.location_id}/E-2")]
    assert (body(push)["uid"], body(push)["status"]) == ("E-2", "CHARGING")


def test_statuses_that_follow_one_another_are_one(partner: Partner, depot: Depot) -> None:
    sent()
    for status in (Evse.Status.OCCUPIED, Evse.Status.CHARGING, Evse.Status.AVAILABLE):
        Evse.objects.filter(uid="E-1").update(status=status)
        shown_changes.want_changed(now=NOW + timedelta(seconds=2))

    pushes = sent(NOW + timedelta(seconds=2))

    assert [body(push)["status"] for push in pushes] == ["AVAILABLE"]


def test_a_status_is_sent_again_whatever_was_sent_last(partner: Partner, depot: Depot) -> None:
    """The depot's own push tells statuses too: what its EVSE was sent last is not what the partner has."""
    sent()
    evse, later = Evse.objects.filter(uid="E-1"), NOW + timedelta(minutes=1)
    evse.update(status=Evse.Status.CHARGING)
    sent(later)
    evse.update(status=Evse.Status.AVAILABLE)
    depot.name = "Metz Nord"
    depot.save()
    sent(later + timedelta(minutes=1))
    evse.update(status=Evse.Status.CHARGING)

    pushes = sent(later + timedelta(minutes=2))

    assert [body(push)["status"] for push in pushes] == ["CHARGING"]


def test_an_evse_shows_reserved_when_its_time_comes_though_nothing_tells_of_it(
    partner: Partner, depot: Depot
) -> None:
    book_slot(
        fleet=make_fleet(),
        option=option_of(depot.evses.get(uid="E-1")),
        period=slot(12, 13),
        actor=DISPATCHER,
        now=NOW,
    )
    raise_marked(lambda: NOW)
    sent()
    assert sent(at(11)) == []

    pushes = sent(at(12) - timedelta(minutes=5))

    assert [(body(push)["uid"], body(push)["status"]) for push in pushes] == [("E-1", "RESERVED")]


def test_a_depot_that_is_closed_to_a_partner_is_told_with_nothing_left(
    partner: Partner, depot: Depot
) -> None:
    sent()
    Agreement.objects.filter(depot=depot).update(ends_at=NOW + timedelta(hours=1))

    (push,) = sent(NOW + timedelta(hours=2))

    assert {evse["status"] for evse in body(push)["evses"]} == {"REMOVED"}
    assert body(push)["publish"] is False
    assert sent(NOW + timedelta(hours=3)) == []


def test_a_depot_that_nobody_was_told_of_is_not_told_to_be_gone(partner: Partner, depot: Depot) -> None:
    depot.is_withdrawn = True
    depot.save()

    assert sent() == []


def test_tariffs_go_before_the_depot_that_names_them(partner: Partner, depot: Depot) -> None:
    held = make_bound(per_kwh("0.40"), depot=depot)

    tariff, location = sent()

    assert said([tariff]) == [("PUT", f"/tariffs/NL/LPK/{held.code}")]
    assert body(tariff)["elements"][0]["price_components"][0]["price"] == 0.4
    named = {
        code for evse in body(location)["evses"] for plug in evse["connectors"] for code in plug["tariff_ids"]
    }
    assert named == {held.code}


def test_a_tariff_that_holds_no_more_is_deleted_and_one_never_told_of_is_not(
    partner: Partner, depot: Depot
) -> None:
    held = make_bound(per_kwh("0.40"), depot=depot, valid=Period(at(0), at(12)))
    make_bound(per_kwh("0.30"), depot=make_depot(depot.operator, open_to_all=False))
    sent()

    pushes = sent(at(13))

    assert ("DELETE", f"/tariffs/NL/LPK/{held.code}") in said(pushes)
    assert Delivery.objects.get(kind="tariff", object_id=Tariff.objects.get(code=held.code).pk).delivered == {
        "digest": GONE
    }
    assert len([push for push in pushes if push.method == "DELETE"]) == 1
    assert sent(at(14)) == []


def test_prices_of_bookings_are_no_connectors_tariff_and_go_only_to_who_has_bookings(depot: Depot) -> None:
    """Checklist 80: a tariff element with `booking` is never part of a connector tariff; to a partner without Bookings it is not
    sent at all."""
    with_bookings, without = taking(*MODULES), taking("locations", "tariffs")
    charging = make_bound(per_kwh("0.40"), depot=depot)
    booking = make_bound(flat(25, ElementUse.NO_SHOW), flat(5, ElementUse.BOOKING), depot=depot)

    pushes = sent()

    told = {
        (push.lease.partner_id, push.url.rpartition("/")[2]) for push in pushes if "/tariffs/" in push.url
    }
    assert told == {
        (with_bookings.pk, charging.code),
        (with_bookings.pk, booking.code),
        (without.pk, charging.code),
    }
    for push in pushes:
        if "/locations/" in push.url:
            plugs = [plug for evse in body(push)["evses"] for plug in evse["connectors"]]
            assert {code for plug in plugs for code in plug["tariff_ids"]} == {charging.code}
    by_code = {body(push)["id"]: body(push) for push in pushes if "/tariffs/" in push.url}
    assert all("booking" not in e.get("restrictions", {}) for e in by_code[charging.code]["elements"])
    assert all(e["restrictions"]["booking"] for e in by_code[booking.code]["elements"])


def test_what_was_agreed_with_a_partner_is_its_own_tariff(partner: Partner, depot: Depot) -> None:
    other = taking(*MODULES)
    everybodys = make_bound(per_kwh("0.40"), depot=depot)
    own = make_bound(per_kwh("0.20"), agreement=open_depot(depot, partner.organisation))

    pushes = sent()

    told = {
        (push.lease.partner_id, push.url.rpartition("/")[2]) for push in pushes if "/tariffs/" in push.url
    }
    assert told == {(partner.pk, own.code), (other.pk, everybodys.code)}


@pytest.mark.parametrize("number", [1, 5])
def test_many_partners_cost_no_more_statements(
    depot: Depot, number: int, django_assert_max_num_queries: Any
) -> None:
    make_bound(per_kwh("0.40"), depot=depot)
    for _ in range(number):
        taking(*MODULES)
    sent()
    Evse.objects.update(status=Evse.Status.CHARGING)
    depot.name = "Metz Nord"
    depot.save()
    later = NOW + timedelta(minutes=1)

    with django_assert_max_num_queries(23):
        shown_changes.want_changed(now=later)
    table = writers()
    tariffs = deliveries.claim(room=100, now=later)
    assert {lease.kind for lease in tariffs} == {"tariff"}
    with django_assert_max_num_queries(23):
        assert table[Delivery.Kind.TARIFF](tariffs, now=later) == []
    leases = deliveries.claim(room=100, now=later)
    assert {lease.kind for lease in leases} == {"location"}
    with django_assert_max_num_queries(23):
        pushes = table[Delivery.Kind.LOCATION](leases, now=later)
    assert len(pushes) == number
    assert len({id(push.body) for push in pushes}) == 1, "written once"


def test_who_takes_nothing_costs_nothing(depot: Depot) -> None:
    taking("Booking")
    assert not shown_changes.is_anybody_told()
    taking("Locations")
    assert shown_changes.is_anybody_told()
