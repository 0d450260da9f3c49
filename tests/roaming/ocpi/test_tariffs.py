"""Tariffs of both sides, in both versions: ours as partners list them, theirs as they push them and as we quote by them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from bookings.models import BookingOption, Tariff, TariffBinding
from bookings.pricing.tariff_content import ElementUse
from bookings.search.offers import find_slots
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Depot, Evse
from depots.periods import Period
from roaming.mirror import partner_tariffs
from roaming.models import Partner
from roaming.outbound import pulls
from roaming.outbound.reader_table import LISTS
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    slot,
)
from tests.money_factories import flat, make_bound, per_kwh
from tests.roaming.partners import Caller, code, data, keep_listed, make_partner
from tests.roaming.pushed_objects import location, offer, plug, z

pytestmark = pytest.mark.django_db
VERSIONS = ["2.3.0", "2.2.1"]


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def partner() -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    return make_partner("CPO", country_code="FR", roles=[role])


def told(**changes: Any) -> dict[str, Any]:
    body = {
        "country_code": "FR", "party_id": "CPO", "id": "T-1", "currency": "EUR", "tax_included": "NO",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.5, "vat": 20, "step_size": 1}]}],
        "last_updated": z(NOW), "x_colour": "blue",
    }  # fmt: skip
    return {**body, **changes}


def at(version: str, tariff: str = "T-1") -> str:
    return f"/ocpi/emsp/{version}/tariffs/fr/cpo/{tariff}"


def named_everywhere(partner: Partner, *codes: str) -> None:
    evse = {
        "uid": "E-1",
        "status": "AVAILABLE",
        "connectors": [plug(tariff_ids=list(codes))],
        "last_updated": z(NOW),
    }
    keep_listed(partner, "location", location(evses=[evse]))
    keep_listed(partner, "booking_location", offer(tariff_ids=list(codes)))


def bound() -> dict[str, str]:
    """By owner and kind, which tariff holds."""
    rows = TariffBinding.objects.select_related("tariff", "evse", "option")
    return {f"{row.evse or row.option} {row.kind}": row.tariff.code for row in rows}


# Receiver


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tariff_is_kept_as_it_came_and_deleted(partner: Partner, version: str) -> None:
    """Checklist 18: unknown fields are kept and given back."""
    caller = Caller(partner)

    assert code(caller.send("PUT", at(version), told())) == (201, 1000)
    assert code(caller.send("PUT", at(version), told())) == (200, 1000)
    assert data(caller.get(at(version))) == told()
    assert Tariff.objects.get().versions.count() == 1, "told twice, said once"

    assert code(caller.send("DELETE", at(version))) == (200, 1000)
    assert caller.get(at(version)).status_code == 404
    assert Tariff.objects.get().is_withdrawn


def test_another_price_is_another_version_and_an_older_one_is_dropped(partner: Partner, clock: Any) -> None:
    caller = Caller(partner)
    dearer = {"price_components": [{"type": "ENERGY", "price": 0.6, "step_size": 1}]}
    caller.send("PUT", at("2.3.0"), told())
    clock.shift(timedelta(hours=1))
    caller.send("PUT", at("2.3.0"), told(elements=[dearer], last_updated=z(NOW + timedelta(hours=1))))
    caller.send("PUT", at("2.3.0"), told())

    versions = Tariff.objects.get().versions.order_by("number")
    prices = [v.content["elements"][0]["components"][0]["price"] for v in versions]
    assert prices == ["0.5", "0.6"]
    assert versions[1].starts_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currency": "euro"}, "currency"),
        ({"elements": []}, "elements"),
        (
            {"elements": [{"price_components": [{"type": "ENERGY", "price": "dear", "step_size": 1}]}]},
            "elements.0.price",
        ),
        ({"last_updated": None}, "last_updated"),
        ({"party_id": "XYZ"}, "party_id"),
        ({"id": "T-2"}, "id"),
        ({"min_price": {"before_taxes": 5}, "max_price": {"before_taxes": 1}}, "max_price"),
    ],
)
def test_what_cannot_be_read_names_its_field_and_changes_nothing(
    partner: Partner, changes: dict[str, Any], field: str
) -> None:
    answer = Caller(partner).send("PUT", at("2.3.0"), told(**changes))

    assert code(answer) == (200, 2001)
    assert answer.json()["status_message"].startswith(field)
    assert not Tariff.objects.exists()


def test_a_tariff_cannot_be_patched_and_is_nobody_elses(partner: Partner) -> None:
    Caller(partner).send("PUT", at("2.3.0"), told())
    other = Caller(
        make_partner("OTH", roles=[{"role": "CPO", "country_code": "SE", "party_id": "OTH", "name": "Other"}])
    )

    assert Caller(partner).send("PATCH", at("2.3.0"), {"last_updated": z(NOW)}).status_code == 405
    assert other.send("PUT", at("2.3.0"), told()).status_code == 404
    assert other.get(at("2.3.0")).status_code == 404


def test_an_element_with_a_restriction_nobody_knows_never_applies(partner: Partner) -> None:
    """Checklist 80: unknown restrictions make an element inapplicable."""
    odd = {
        "price_components": [{"type": "ENERGY", "price": 0.1, "step_size": 1}],
        "restrictions": {"moon_phase": "FULL"},
    }
    Caller(partner).send("PUT", at("2.3.0"), told(elements=[odd, *told()["elements"]]))
    named_everywhere(partner, "T-1")

    assert quoted_per_kwh(partner) == "0.5"


# What places name


def test_what_is_named_is_bound_whichever_was_told_first(partner: Partner) -> None:
    caller = Caller(partner)
    named_everywhere(partner, "t-1")
    assert bound() == {}

    caller.send("PUT", at("2.3.0"), told())
    assert bound() == {"E-1 charging": "T-1", "BL-1 charging": "T-1"}

    caller.send("PUT", at("2.3.0", "T-2"), told(id="T-2"))
    named_everywhere(partner, "T-2", "T-1")
    assert bound() == {"E-1 charging": "T-2", "BL-1 charging": "T-2"}

    caller.send("DELETE", at("2.3.0", "T-2"))
    assert bound() == {"E-1 charging": "T-1", "BL-1 charging": "T-1"}


@pytest.mark.parametrize("is_hub", [False, True])
def test_parties_of_one_partner_may_give_their_tariffs_the_same_id(partner: Partner, is_hub: bool) -> None:
    """Each party's places are priced by its own; by another's only where the parties of the partner are one company's."""
    partner.roles = [*partner.roles, {"role": "CPO", "country_code": "FR", "party_id": "TWO", "name": "Two"}]
    partner.switches = {**partner.switches, "hub_party_id": "FRHUB" if is_hub else ""}
    partner.save()
    of_two = {"party_id": "TWO", "last_updated": z(NOW)}
    dear = told(elements=[{"price_components": [{"type": "ENERGY", "price": 0.9, "step_size": 1}]}], **of_two)
    evse = {
        "uid": "E-1", "status": "AVAILABLE", "connectors": [plug(tariff_ids=["t-1"])], "last_updated": z(NOW)
    }  # fmt: skip
    keep_listed(partner, "location", location(evses=[evse]))
    keep_listed(partner, "location", location(evses=[evse], **of_two), party=("FR", "TWO"))

    def per_party() -> dict[str, str]:
        rows = TariffBinding.objects.select_related("tariff", "evse__depot")
        return {row.evse.depot.code.split("-")[1]: row.tariff.party for row in rows if row.evse}

    keep_listed(partner, "tariff", told())
    assert per_party() == {"CPO": "FR*CPO", **({} if is_hub else {"TWO": "FR*CPO"})}
    keep_listed(partner, "tariff", dear, party=("FR", "TWO"))
    assert per_party() == {"CPO": "FR*CPO", "TWO": "FR*TWO"}
    partner_tariffs.withdraw_missing(partner, "FR", "CPO", seen=(), before=NOW + timedelta(hours=1))
    assert per_party() == {"TWO": "FR*TWO", **({} if is_hub else {"CPO": "FR*TWO"})}


def test_what_prices_bookings_never_comes_by_a_connector(partner: Partner) -> None:
    """Checklist 80, from the other side: a partner that puts both into one tariff is priced as it meant."""
    fee = {
        "price_components": [{"type": "FLAT", "price": 9, "step_size": 1}],
        "restrictions": {"booking": "BOOKING"},
    }
    Caller(partner).send("PUT", at("2.3.0"), told(elements=[*told()["elements"], fee]))
    named_everywhere(partner, "T-1")

    kinds = {tariff.code: tariff.kind for tariff in Tariff.objects.all()}
    assert sorted(kinds.values()) == ["booking", "charging"]
    assert set(bound()) == {"E-1 charging", "BL-1 charging", "BL-1 booking"}

    later = z(NOW + timedelta(hours=1))
    Caller(partner).send("PUT", at("2.3.0", "t-1"), told(id="t-1", last_updated=later))
    assert set(bound()) == {"E-1 charging", "BL-1 charging"}, "the fee is gone, however the tariff is spelled"


def test_the_price_of_a_partners_slot_is_shown_and_kept_with_its_booking(partner: Partner) -> None:
    Caller(partner).send("PUT", at("2.3.0"), told())
    named_everywhere(partner, "T-1")
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")

    booking = book_slot(
        fleet=fleet, option=BookingOption.objects.get(), period=slot(12, 13), vehicle=make_vehicle(fleet),
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip

    assert quoted_per_kwh(partner) == "0.5"
    assert booking.quote["currency"] == "EUR"
    assert booking.charging_tariff == Tariff.objects.get().versions.get()


def quoted_per_kwh(partner: Partner) -> str | None:
    """The price of a kWh by which the finder quotes the partner's slot; None without a quote."""
    fleet = make_fleet()
    depot = Depot.objects.get(operator=partner.organisation)
    search = SlotSearch(fleet, slot(12, 13), NOW, depot=depot, vehicle=make_vehicle(fleet))
    (hint,) = find_slots(search)
    if hint.quote is None:
        return None
    return next(str(line.price) for line in hint.quote.bill.lines if line.dimension == "energy")


def test_where_any_evse_may_be_assigned_charging_costs_what_all_of_them_cost(partner: Partner) -> None:
    """ocpi.md 6: what is shown before booking is the tariffs that offer and plugs name."""

    def evse(uid: str, *codes: str) -> dict[str, Any]:
        plugs = [plug(tariff_ids=list(codes))]
        return {"uid": uid, "status": "AVAILABLE", "connectors": plugs, "last_updated": z(NOW)}

    dear = told(id="T-2", elements=[{"price_components": [{"type": "ENERGY", "price": 0.9, "step_size": 1}]}])
    keep_listed(partner, "tariff", told(), dear)
    pool = {"connector_types": ["IEC_62196_T2_COMBO"]}
    keep_listed(partner, "booking_location", offer(booking_option=pool))
    keep_listed(partner, "location", location(evses=[evse("E-1", "T-1"), evse("E-2", "T-1")]))

    assert quoted_per_kwh(partner) == "0.5"

    at_once = {"last_updated": z(NOW + timedelta(seconds=1))}
    keep_listed(partner, "location", location(evses=[evse("E-1", "T-1"), evse("E-2", "T-2")], **at_once))
    assert quoted_per_kwh(partner) is None, "nobody knows which it will be"
    keep_listed(partner, "booking_location", offer(booking_option=pool, tariff_ids=["T-2"], **at_once))
    assert quoted_per_kwh(partner) == "0.9"


def test_the_finder_says_what_a_partner_told_of_its_evses_and_what_is_in_the_way_soon(
    partner: Partner,
) -> None:
    evses = [
        {"uid": uid, "status": status, "connectors": [plug()], "last_updated": z(NOW)}
        for uid, status in (("E-1", "CHARGING"), ("E-2", "AVAILABLE"), ("E-3", "UNKNOWN"))
    ]
    keep_listed(partner, "location", location(evses=evses))
    pool = {"connector_types": ["IEC_62196_T2_COMBO"]}
    keep_listed(partner, "booking_location", offer(), offer(id="BL-2", booking_option=pool))

    def hints(when: Period) -> dict[str, SlotOffer]:
        fleet = make_fleet()
        depot = Depot.objects.get(operator=partner.organisation)
        search = SlotSearch(fleet, when, NOW, depot=depot, vehicle=make_vehicle(fleet))
        return {hint.option.code: hint for hint in find_slots(search)}

    soon, later = hints(slot(8, 9)), hints(slot(12, 13))
    assert (soon["BL-1"].live.status, soon["BL-1"].trouble) == ("charging", "occupied")
    assert (later["BL-1"].live.status, later["BL-1"].trouble) == ("charging", "")
    assert (soon["BL-2"].live, soon["BL-2"].free_now, soon["BL-2"].trouble) == (None, (1, 3), "")


# Pull


def test_a_complete_crawl_withdraws_what_it_does_not_list_and_no_other_does(partner: Partner) -> None:
    """Checklist 28."""
    keep_listed(partner, "tariff", told(), told(id="T-2"))
    later = NOW + timedelta(minutes=1)

    for is_complete, left in ((False, {"T-1", "T-2"}), (True, {"T-1"})):
        partner.pulls.update_or_create(module="tariff", defaults={"next_at": later})
        pull = pulls.Pull(partner.pk, LISTS["tariff"], later, is_complete)
        crawl = pulls.Crawl(None, "", {}, ("FR", "CPO"))  # type: ignore[arg-type]
        pull.crawls = [crawl]
        pulls.keep_page(pull, crawl, [told()], now=later)
        pulls.finished(pull, now=later)
        assert set(Tariff.objects.filter(is_withdrawn=False).values_list("code", flat=True)) == left


# Sender


@pytest.fixture
def depot() -> Depot:
    found = make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))
    make_evse(found)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_list_has_what_a_partner_would_pay_by(depot: Depot, version: str) -> None:
    held = make_bound(per_kwh("0.40"), depot=depot)
    make_bound(per_kwh("0.30"), depot=make_depot(depot.operator, open_to_all=False))
    caller = Caller(make_partner())

    listed = data(caller.get(f"/ocpi/cpo/{version}/tariffs"))

    assert [tariff["id"] for tariff in listed] == [held.code]
    assert ("tax_included" in listed[0]) == (version == "2.3.0")
    after = z(NOW + timedelta(days=3650))
    assert data(caller.get(f"/ocpi/cpo/{version}/tariffs", {"date_from": after})) == []


def test_prices_of_bookings_are_listed_for_who_has_bookings(depot: Depot) -> None:
    """Checklist 80: nor are they listed to a partner without Bookings."""
    charging, booking = (
        make_bound(per_kwh("0.40"), depot=depot),
        make_bound(flat(5, ElementUse.BOOKING), depot=depot),
    )
    endpoint = {"identifier": "bookings", "role": "RECEIVER", "url": "https://x.example/b"}

    def ids(partner: Partner) -> set[str]:
        return {one["id"] for one in data(Caller(partner).get("/ocpi/cpo/2.3.0/tariffs"))}

    assert ids(make_partner()) == {charging.code}
    assert ids(make_partner(endpoints=[endpoint])) == {charging.code, booking.code}
    assert Evse.objects.count() == 1
