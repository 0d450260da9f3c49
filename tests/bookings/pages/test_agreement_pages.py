"""The pages of both sides: asking, offering, answering, ending, hours and quotas."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from bookings.models import AccessRule, AgreementProposal, Booking
from bookings.operations.agreements import listing_version
from bookings.operations.open_depot import open_depot
from bookings.pages.forms.access_rules import AccessRuleForm
from depots.models import Agreement, Depot, Organisation
from tests.bookings.people import client_of
from tests.factories import (
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_rule,
    make_user,
    option_of,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def depot(operator: Organisation) -> Depot:
    return make_depot(operator, code="LP-1", name="Venlo", open_to_all=False, is_listed=True, time_zone="UTC")


@pytest.fixture
def agreement(depot: Depot, fleet: Organisation) -> Agreement:
    return open_depot(depot=depot, guest=fleet, now=NOW)[0]


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def version(client: Client, address: str) -> int:
    return client.get(address).context["version"]


def test_a_dispatcher_asks_for_a_listed_depot_and_its_manager_accepts(dispatcher, manager, fleet, depot):
    assert "Ask for access" in page(dispatcher, "/agreements/")
    asked = dispatcher.post(
        "/depots/LP-1/access/", {"guest_name": "Nordfracht", "message": "Ten trucks"}, follow=True
    )
    assert "Asked. Ladepark answers." in asked.content.decode()
    proposal = AgreementProposal.objects.get()
    address = f"/agreements/proposals/{proposal.pk}/"
    assert "Yours to answer" in page(manager, "/agreements/")
    assert "Ten trucks" in page(manager, address)
    assert "Accept" not in page(dispatcher, address)

    answered = manager.post(f"{address}acceptance/", {"version": version(manager, address)}, follow=True)

    assert "Venlo is open to Nordfracht." in answered.content.decode()
    assert Agreement.objects.get(depot=depot).guest == fleet
    assert "Ask for access" not in page(dispatcher, "/agreements/")
    assert "Operator" in page(dispatcher, f"/agreements/{Agreement.objects.get().pk}/")


def test_a_manager_offers_and_the_guest_declines_with_a_reason(dispatcher, manager, depot, fleet):
    manager.post("/depots/LP-1/offer/", {"guest_name": "Nordfracht", "ends_on": "2030-02-28"})
    proposal = AgreementProposal.objects.get()
    address = f"/agreements/proposals/{proposal.pk}/"
    assert "the end of Thu 28 Feb 2030" in page(dispatcher, address)
    told = {"reason": "Too far", "version": version(dispatcher, address)}

    dispatcher.post(f"{address}refusal/", told)

    proposal.refresh_from_db()
    assert (proposal.state, proposal.answer) == ("declined", "Too far")
    assert "Too far" in page(manager, address)


def test_who_asked_withdraws_and_a_stale_button_changes_nothing(dispatcher, manager, depot, fleet):
    dispatcher.post("/depots/LP-1/access/", {"guest_name": "Nordfracht"})
    address = f"/agreements/proposals/{AgreementProposal.objects.get().pk}/"
    stale = manager.post(f"{address}acceptance/", {"version": 1})
    shown = version(dispatcher, address)

    dispatcher.post(f"{address}withdrawal/", {"version": shown})
    late = manager.post(f"{address}acceptance/", {"version": shown})

    assert (stale.status_code, late.status_code) == (409, 422)
    assert not Agreement.objects.filter(depot=depot).exists()


@pytest.mark.parametrize(
    "wrong",
    [{"guest_name": "Nobody GmbH"}, {"guest_name": "Ladepark"}, {"ends_on": "2029-01-01"}, {"ends_on": "x"}],
)
def test_an_offer_that_makes_no_sense_is_refused_by_field(manager, depot, fleet, wrong):
    answer = manager.post("/depots/LP-1/offer/", {"guest_name": "Nordfracht", **wrong})

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == set(wrong)
    assert not AgreementProposal.objects.exists()


def test_a_depot_is_shown_to_strangers_by_a_switch(dispatcher, manager, depot):
    manager.post("/depots/LP-1/listing/", {"version": listing_version(depot)})
    assert "Venlo" not in page(dispatcher, "/agreements/")
    assert dispatcher.get("/depots/LP-1/access/").status_code == 404

    depot.refresh_from_db()
    manager.post("/depots/LP-1/listing/", {"listed": "1", "version": listing_version(depot)})

    assert "Venlo" in page(dispatcher, "/agreements/")


def test_ending_one_shows_what_it_touches_first_and_is_taken_back(manager, vehicle, agreement, depot, fleet):
    booking = book_slot(fleet=fleet, option=option_of(make_evse(depot)), vehicle=vehicle, period=slot(10, 11))
    address = f"/agreements/{agreement.pk}/end/"
    assert "HH-NF 100" not in page(manager, address)
    preview = manager.get(address, {"ends_on": ""})
    assert "HH-NF 100" in preview.content.decode()
    assert booking.status == "confirmed"
    shown = {"ends_on": "", "version": preview.context["version"], "cancel": [booking.pk]}

    ended = manager.post(address, shown, follow=True)

    booking.refresh_from_db()
    assert "Bookings: 1 cancelled, 0 stand." in ended.content.decode()
    assert booking.status == "cancelled"
    again = {"version": ended.context["version"]}
    back = manager.post(f"/agreements/{agreement.pk}/reopening/", again, follow=True)
    assert "1 booked again." in back.content.decode()
    assert Booking.objects.live().get().period == booking.period


def test_an_end_at_a_day_is_the_midnight_that_ends_it(manager, agreement):
    address = f"/agreements/{agreement.pk}/end/"
    preview = manager.get(address, {"ends_on": "2030-02-28"})

    manager.post(address, {"ends_on": "2030-02-28", "version": preview.context["version"]})

    assert "Until the end of Thu 28 Feb 2030" in page(manager, f"/agreements/{agreement.pk}/")


HOURS = {"weekdays": ["1", "2"], "from_minute": "08:00", "to_minute": "18:00"}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"kind": "window"}, "Guests may have slots"),
        ({"kind": "own_first", "ahead_hours": "4"}, "guests from 4 hours before the start on"),
        ({"kind": "own_first"}, "For the own fleet alone"),
        ({"kind": "quota", "amount": "2", "unit": "evses"}, "At most 2 EVSEs at the same time for each customer"),
        ({"kind": "quota", "amount": "50", "unit": "percent", "counts": "guests"}, "50 % of the EVSEs"),
        ({"kind": "quota", "amount": "400", "unit": "kw", "counts": "each"}, "At most 400 kW at the same time"),
        ({"kind": "walk_in", "amount": "1"}, "1 EVSE kept free for trucks without a booking"),
    ],
)  # fmt: skip
def test_a_manager_sets_hours_and_quotas_and_takes_them_away(manager, depot, told, words):
    address = "/depots/LP-1/rules/"

    manager.post(address, {**HOURS, **told, "version": version(manager, address)})
    shown = page(manager, address)
    rule = AccessRule.objects.get()
    removal = manager.post(
        f"{address}{rule.pk}/removal/", {"version": version(manager, address)}, follow=True
    )

    assert words in shown
    assert "Mon, Tue 08:00–18:00" in shown
    assert removal.status_code == 200
    assert not AccessRule.objects.exists()


def test_an_agreement_has_its_own_which_its_guest_sees(manager, dispatcher, agreement):
    address = f"/agreements/{agreement.pk}/rules/"
    told = {**HOURS, "kind": "quota", "amount": "2", "unit": "evses", "version": version(manager, address)}

    stale = manager.post(address, {**told, "version": 1})
    manager.post(address, told)

    assert stale.status_code == 409
    assert AccessRule.objects.get().agreement == agreement
    assert "At most 2 EVSEs at the same time for this customer" in page(
        dispatcher, f"/agreements/{agreement.pk}/"
    )
    assert dispatcher.get(address).status_code == 404


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"kind": "quota"}, "amount"),
        ({"kind": "quota", "amount": "101", "unit": "percent"}, "amount"),
        ({"kind": "walk_in", "amount": "0"}, "amount"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": ["8"]}, "weekdays"),
        ({"from_minute": "25:00"}, "from_minute"),
        ({"from_minute": "24:00"}, "from_minute"),
        ({"to_minute": "08:00"}, "to_minute"),
        ({"kind": "own_first", "ahead_hours": "-1"}, "ahead_hours"),
        ({"kind": "walk_in", "amount": "1", "option": "nothing"}, "option"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(depot, told: dict[str, Any], field: str):
    form = AccessRuleForm({"kind": "window", **HOURS, **told}, owner=depot)

    assert not form.is_valid()
    assert set(form.errors) == {field}


def test_a_rule_of_another_depot_is_not_there(manager, depot):
    elsewhere = make_rule(make_depot(), "window")
    address = "/depots/LP-1/rules/"

    answer = manager.post(f"{address}{elsewhere.pk}/removal/", {"version": version(manager, address)})

    assert answer.status_code == 404


def test_the_list_takes_as_many_queries_for_one_as_for_many(manager, depot, django_assert_max_num_queries):
    open_depot(depot=depot, guest=make_fleet(), now=NOW)
    with django_assert_max_num_queries(20) as one:
        manager.get("/agreements/")
    for _ in range(5):
        open_depot(depot=depot, guest=make_fleet(), now=NOW)
    with django_assert_max_num_queries(len(one)):
        manager.get("/agreements/")


def test_who_looks_only_changes_nothing(operator, depot, agreement):
    keeper = client_of(make_user(operator, "viewer"))

    assert "End it" not in page(keeper, f"/agreements/{agreement.pk}/")
    assert keeper.get(f"/agreements/{agreement.pk}/end/").status_code == 404
    assert keeper.post("/depots/LP-1/listing/", {}).status_code == 404
