"""The finder: what it offers, how a slot is taken from it, and what it answers to nonsense."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.actors import Actor
from bookings.models import Booking, BookingOption, Tariff, Vehicle
from bookings.pages.live.board import render_evse
from depots.models import Charger, Evse, Membership, Organisation
from depots.periods import Period
from tests.bookings.people import client_of, seen
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_user,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import add_version, make_bound, make_prices, per_kwh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

# 11:00 to 12:00 in Kassel.
ELEVEN = {"starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00"}


@pytest.fixture
def evse() -> Evse:
    return make_evse(make_depot(code="NF-KAS", name="Kassel Süd"), uid="KAS-1")


def free_in(answer: Any) -> list[str]:
    """The EVSEs that can be reserved, in the order of the page."""
    return re.findall(r'data-evse="([^"]*)" data-free', answer.content.decode())


def taken_by_somebody(evse: Evse, **wishes: Any) -> Booking:
    rival = Organisation.objects.filter(name="Rival Fracht").first() or make_fleet("Rival Fracht")
    other = Vehicle.objects.filter(fleet=rival).first() or make_vehicle(rival, plate="XX-XX 999")
    asked = {
        "period": slot(10, 11),
        "vehicle": other,
        "actor": Actor.dispatcher("rival"),
        "now": NOW,
        **wishes,
    }
    return book_slot(fleet=rival, option=option_of(evse), **asked)


def slot_of(evse: Evse, fleet: Organisation, vehicle: Vehicle | None = None, **more: Any) -> dict[str, Any]:
    """What a result's form sends."""
    period = more.pop("period", slot(10, 11))
    return {
        "fleet": fleet.pk, "option": option_of(evse).pk, "evse": evse.pk, "vehicle": vehicle.pk if vehicle else "",
        "starts_at": period.starts_at.isoformat(), "ends_at": period.ends_at.isoformat(), "shown_at": NOW.isoformat(), **more,
    }  # fmt: skip


def test_opening_the_finder_already_shows_free_slots(dispatcher: Client, evse: Evse) -> None:
    answer = dispatcher.get("/slots/")

    assert answer.status_code == 200
    assert 'data-evse="KAS-1" data-free' in answer.content.decode()


def test_a_search_names_terms_and_price_before_anything_is_reserved(dispatcher: Client, evse: Evse) -> None:
    make_prices(evse.depot, energy_per_kwh=0.4, booking_fee=5, vat_percent=19)

    page = dispatcher.get("/slots/", {"depot": "nf-kas", **ELEVEN}).content.decode()

    assert "€196.35" in page  # (400 kWh × 0.40 + 5) × 1.19
    for words in ("Change until 10:00", "Cancel until 10:30", "Be there by 11:15", "400 kW", "CCS"):
        assert words in page
    assert not Booking.objects.exists()


def test_a_pool_that_is_full_is_offered_with_a_sentence_where_others_can_move(
    dispatcher: Client, evse: Evse, fleet: Organisation
) -> None:
    second = make_evse(evse.depot, uid="KAS-2")
    pool = make_option(evse, second, code="POOL")
    for place, period in ((evse, slot(10, 11)), (second, slot(11, 12))):
        booked = book_slot(
            fleet=fleet, option=pool, evse=place, vehicle=make_vehicle(fleet), period=period, now=NOW
        )
        Booking.objects.filter(pk=booked.pk).update(is_evse_asked=False)
    longer = {"starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T13:00"}

    page = dispatcher.get("/slots/", {"depot": "NF-KAS", **longer}).content.decode()
    sent = slot_of(evse, fleet, make_vehicle(fleet), period=slot(10, 12), option=pool.pk)
    answer = dispatcher.post("/bookings/", {**sent, "evse": ""})

    assert 'data-evse="POOL" data-free' in page
    assert "one is made free by moving other bookings" in page
    assert answer.status_code == 302
    assert Booking.objects.filter(option=pool, starts_at=at(10), ends_at=at(12)).count() == 1


def test_another_fleets_booking_is_taken_and_nothing_more(
    dispatcher: Client, evse: Evse, fleet: Organisation
) -> None:
    theirs = taken_by_somebody(evse)

    page = dispatcher.get("/slots/", {"depot": "NF-KAS", **ELEVEN}).content.decode()

    assert "This slot is taken." in page
    assert "data-taken" in page
    assert "Nearest: 10:00–11:00" in page or "Nearest: 12:00–13:00" in page
    for secret in ("Rival", "XX-XX", theirs.reference, f'"{theirs.pk}"', "confirmed"):
        assert secret not in page


def test_ones_own_booking_shows_in_the_picture_of_the_day(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    mine = book_slot(
        fleet=fleet,
        option=option_of(evse),
        period=slot(14, 15),
        vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )

    page = dispatcher.get("/slots/", {"depot": "NF-KAS", **ELEVEN}).content.decode()

    assert 'class="strip-mine"' in page
    assert f'data-booking="{mine.pk}" data-status="confirmed" data-enforcement="not_due"' in page


def test_the_nearest_possible_slot_is_one_click_away(dispatcher: Client, evse: Evse) -> None:
    taken_by_somebody(evse)
    refused = dispatcher.get("/slots/", {"depot": "NF-KAS", **ELEVEN})
    (place,) = refused.context["places"]

    page = dispatcher.get(place.refusal.nearest.url)

    assert free_in(page) == ["KAS-1"]


def test_a_vehicle_is_told_why_it_does_not_fit(dispatcher: Client, fleet: Organisation) -> None:
    make_evse(make_depot(code="D"), max_vehicle_length_cm=1200)
    make_vehicle(fleet, plate="HH-NF 300", length_cm=1650)

    page = dispatcher.get("/slots/", {"depot": "D", "vehicle": "hh-nf 300", **ELEVEN}).content.decode()

    assert "4.50 m too long: 16.50 m, the bay takes 12.00 m." in page


def test_without_a_depot_every_depot_is_searched_at_its_own_wall_clock(dispatcher: Client) -> None:
    make_evse(make_depot(name="Kassel", time_zone="Europe/Berlin"))
    make_evse(make_depot(name="Vilnius", time_zone="Europe/Vilnius"))

    answer = dispatcher.get("/slots/", ELEVEN)

    starts = {place.depot.name: place.period.starts_at for place in answer.context["places"]}
    assert starts == {"Kassel": at(10), "Vilnius": at(9)}


def test_a_time_that_one_depots_clock_skips_or_repeats_leaves_the_others_their_slots(
    dispatcher: Client, fleet: Organisation, vehicle: Vehicle
) -> None:
    make_evse(make_depot(code="KAS", name="Kassel", terms={"horizon_days": 365}))
    make_evse(make_depot(code="LIS", name="Lisbon", time_zone="Europe/Lisbon", terms={"horizon_days": 365}))

    for day, words in (("2030-10-27", "02:30 comes twice"), ("2030-03-31", "02:30 does not exist")):
        asked = {"starts_at": f"{day}T02:30", "ends_at": f"{day}T04:30", "vehicle": vehicle.plate}
        answer = dispatcher.get("/slots/", asked)

        assert answer.status_code == 200
        assert [place.depot.name for place in answer.context["places"]] == ["Lisbon"]
        (unclear,) = answer.context["unclear"]
        assert words in unclear.why
        assert words in " ".join(dispatcher.get(unclear.only_url).context["form"].errors["starts_at"])


@pytest.mark.parametrize(("turn", "hour"), [("first", 0), ("second", 1)])
def test_either_of_two_hours_that_the_clock_shows_twice_is_chosen_and_booked(
    dispatcher: Client, fleet: Organisation, vehicle: Vehicle, turn: str, hour: int
) -> None:
    make_evse(make_depot(code="KAS", terms={"horizon_days": 365}))
    asked = {
        "depot": "KAS",
        "starts_at": "2030-10-27 02:30",
        "ends_at": "2030-10-27 04:30",
        "vehicle": "HH-NF 100",
    }
    refused = dispatcher.get("/slots/", asked).content.decode()

    page = dispatcher.get("/slots/", {**asked, "starts_at_turn": turn}).content.decode()

    assert 'name="starts_at_turn" value="first"' in refused
    assert 'name="ends_at_turn"' not in refused
    assert f'name="starts_at_turn" value="{turn}" checked' in page
    assert 'name="starts_at" value="2030-10-27 02:30"' in page
    dispatcher.post(
        "/bookings/", dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    )
    assert Booking.objects.get().starts_at == datetime(2030, 10, 27, hour, 30, tzinfo=UTC)


def test_nearest_says_so_when_there_is_none(dispatcher: Client, evse: Evse, fleet: Organisation) -> None:
    for start in range(0, 48, 4):
        period = Period(NOW + timedelta(hours=start), NOW + timedelta(hours=start + 4))
        taken_by_somebody(evse, period=period)

    page = dispatcher.get("/slots/", {"depot": "NF-KAS", **ELEVEN}).content.decode()

    assert "Nothing is free then, and no nearest time is known." in page
    assert "This slot is taken. Nothing of that length is free within a day before or after." in " ".join(
        page.split()
    )


def test_reserving_takes_two_clicks_and_holds_the_slot_in_between(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    held = dispatcher.post("/holds/", slot_of(evse, fleet, vehicle))
    booking = Booking.objects.get()
    page = dispatcher.get(held["Location"]).content.decode()
    assert (booking.status, held["Location"]) == ("held", f"/bookings/{booking.pk}/")
    assert "Confirm booking" in page
    assert "data-countdown" in page

    confirmed = dispatcher.post(f"/bookings/{booking.pk}/confirmation/", seen(booking))

    booking.refresh_from_db()
    assert (confirmed.status_code, booking.status) == (302, "confirmed")


def test_booking_at_once_takes_one_click(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    answer = dispatcher.post("/bookings/", slot_of(evse, fleet, vehicle))

    booking = Booking.objects.get()
    assert answer["Location"] == f"/bookings/{booking.pk}/"
    assert (booking.status, booking.vehicle, booking.period) == ("confirmed", vehicle, slot(10, 11))
    assert [token.uid for token in booking.tokens.all()] == [vehicle.tokens.get().uid]


def test_a_form_that_is_sent_twice_books_once(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    for url in ("/bookings/", "/holds/"):
        Booking.objects.all().delete()
        sent = slot_of(
            evse, fleet, vehicle, request_id=str(uuid4()), period=slot(12, 13) if "h" in url else slot(15, 16)
        )

        first, second = dispatcher.post(url, sent), dispatcher.post(url, sent)

        assert Booking.objects.count() == 1
        assert (second.status_code, second["Location"]) == (302, first["Location"])


@pytest.mark.parametrize("url", ["/bookings/", "/holds/"])
@pytest.mark.parametrize("other", ["evse", "vehicle", "period"])
def test_another_slot_of_the_same_page_is_another_booking(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle, url: str, other: str
) -> None:
    """All slots of a page carry one key; until now the second was answered with the first booking."""
    key = str(uuid4())
    elsewhere = make_evse(evse.depot)
    wishes = {
        "evse": (elsewhere, vehicle, slot(10, 11)),
        "vehicle": (elsewhere, make_vehicle(fleet), slot(10, 11)),
        "period": (evse, vehicle, slot(12, 13)),
    }
    place, truck, period = wishes[other]

    first = dispatcher.post(url, slot_of(evse, fleet, vehicle, request_id=key))
    second = dispatcher.post(url, slot_of(place, fleet, truck, request_id=key, period=period))

    assert (second.status_code, Booking.objects.count()) == (302, 2)
    assert second["Location"] != first["Location"]


def test_a_slot_that_was_cancelled_is_booked_anew_from_the_same_page(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    sent = slot_of(evse, fleet, vehicle, request_id=str(uuid4()))
    for _ in range(2):
        dispatcher.post("/bookings/", sent)
        gone = Booking.objects.exclude(status="cancelled").get()
        operations.cancel_booking(booking_id=gone.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)

    third, again = dispatcher.post("/bookings/", sent), dispatcher.post("/bookings/", sent)

    assert third["Location"] == again["Location"]
    assert sorted(Booking.objects.values_list("status", flat=True)) == ["cancelled", "cancelled", "confirmed"]


def test_a_slot_that_is_held_already_is_there_to_confirm_and_not_booked_beside_it(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    sent = slot_of(evse, fleet, vehicle, request_id=str(uuid4()))

    held, booked = dispatcher.post("/holds/", sent), dispatcher.post("/bookings/", sent)

    assert (booked["Location"], Booking.objects.get().status) == (held["Location"], "held")


def test_a_slot_somebody_else_took_meanwhile_is_refused_with_the_nearest_and_fresh_results(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    taken_by_somebody(evse)

    answer = dispatcher.post("/holds/", slot_of(evse, fleet, vehicle))

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "This slot is taken." in page
    assert "Nothing was booked." in page
    assert answer.context["nearest"].url.startswith("/slots/?depot=NF-KAS&vehicle=HH-NF+100")
    assert Booking.objects.filter(fleet=fleet).count() == 0


def shown_in(page: str) -> dict[str, str]:
    """What the form of the last result sends."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


def test_what_was_shown_is_what_is_booked_or_nothing_is(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    make_bound(per_kwh("0.40"), depot=evse.depot)
    sent = shown_in(dispatcher.get("/slots/", {"vehicle": "HH-NF 100", **ELEVEN}).content.decode())
    tariff = Tariff.objects.get()
    add_version(tariff, per_kwh("0.50"), number=2, starts_at=NOW)

    answer = dispatcher.post("/bookings/", sent)

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "It costs about EUR 175.00 by now, and EUR 140.00 was shown." in page
    assert not Booking.objects.exists()

    dispatcher.post("/bookings/", shown_in(page))
    assert Booking.objects.get().quote["total"] == "175.00"


def test_a_slot_shown_without_a_price_is_not_booked_at_one(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    sent = shown_in(dispatcher.get("/slots/", {"vehicle": "HH-NF 100", **ELEVEN}).content.decode())
    make_bound(per_kwh("0.40"), depot=evse.depot)

    assert dispatcher.post("/bookings/", sent).status_code == 409
    assert not Booking.objects.exists()


def test_what_is_cheaper_by_now_is_booked_and_a_hold_shows_its_own_price(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    make_bound(per_kwh("0.40"), depot=evse.depot)

    for url, shown in (("/bookings/", "140.01 EUR"), ("/holds/", "1.00 EUR")):
        later = slot(10, 11) if url == "/bookings/" else slot(12, 13)
        sent = slot_of(evse, fleet, vehicle, period=later, shown_price=shown)
        assert dispatcher.post(url, sent).status_code == 302
    assert (
        dispatcher.post("/bookings/", slot_of(evse, fleet, vehicle, shown_price="1e9 EUR")).status_code == 422
    )


def asked(**question: str) -> dict[str, str]:
    """The question as a slot of its results carries it."""
    told = {"depot": "", "vehicle": "", **ELEVEN, **question}
    return {f"asked_{name}": value for name, value in told.items()}


@pytest.mark.parametrize("url", ["/holds/", "/bookings/"])
@pytest.mark.parametrize(
    "question",
    [
        {"vehicle": "HH-NF 200"},
        {"vehicle": ""},
        {"depot": "OTHER"},
        {"starts_at": "2030-01-15T10:45"},
        {"ends_at": "2030-01-15T12:15"},
        {"starts_at": "soon"},
    ],
)
def test_a_slot_of_an_older_question_is_refused_and_the_question_answered(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle, url: str, question: dict[str, str]
) -> None:
    make_vehicle(fleet, plate="HH-NF 200")
    make_evse(make_depot(code="OTHER"))
    shown_for = asked(**{"vehicle": "HH-NF 100", **question})

    answer = dispatcher.post(url, slot_of(evse, fleet, vehicle, **shown_for))

    assert answer.status_code == 409
    assert "This slot answered an earlier question." in answer.content.decode()
    assert not Booking.objects.exists()


def test_a_slot_is_sent_with_the_question_it_was_shown_for(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    page = dispatcher.get("/slots/", {"vehicle": "HH-NF 100", **ELEVEN}).content.decode()
    inputs = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))

    answer = dispatcher.post("/bookings/", inputs)

    assert inputs["asked_vehicle"] == "HH-NF 100"
    assert answer.status_code == 302
    assert Booking.objects.get().vehicle == vehicle


def test_a_refusal_at_one_depot_leaves_the_slots_of_the_others(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    other = make_evse(make_depot(code="OTHER", name="Other"))
    taken_by_somebody(evse)

    answer = dispatcher.post("/holds/", slot_of(evse, fleet, vehicle, **asked(vehicle="HH-NF 100")))

    assert answer.status_code == 409
    assert {place.depot for place in answer.context["places"]} == {evse.depot, other.depot}
    assert answer.context["nearest"].url.startswith("/slots/?depot=NF-KAS")


def ready(evse: Evse, status: str = "available", *, is_online: bool = True) -> Evse:
    lease = {"lease_holder": "gateway", "lease_until": NOW + timedelta(minutes=1)} if is_online else {}
    Charger.objects.filter(pk=evse.charger_id).update(**lease)
    Evse.objects.filter(pk=evse.pk).update(status=status)
    return evse


@pytest.mark.parametrize(
    ("status", "is_online", "why"),
    [
        ("occupied", True, "Another vehicle is still at the EVSE."),
        ("charging", True, "Another vehicle is still at the EVSE."),
        ("faulted", True, "The EVSE reports a fault."),
        ("unavailable", True, "The EVSE is out of service."),
        ("available", False, "The charger is not connected."),
    ],
)
def test_in_the_next_hour_an_evse_that_is_not_ready_comes_last_with_the_reason(
    dispatcher: Client, vehicle: Vehicle, status: str, is_online: bool, why: str
) -> None:
    """Though it fits best and its depot's name comes first."""
    ready(make_evse(make_depot(name="Aachen"), uid="BAD", max_power_w=350_000), status, is_online=is_online)
    ready(make_evse(make_depot(name="Zwickau"), uid="GOOD", max_power_w=400_000))
    soon = {"starts_at": "2030-01-15T09:30", "ends_at": "2030-01-15T10:30"}

    for asked, order in ((soon, ["GOOD", "BAD"]), (ELEVEN, ["BAD", "GOOD"])):
        answer = dispatcher.get("/slots/", {"vehicle": "HH-NF 100", **asked})
        assert free_in(answer) == order
        assert (f"Now: {why}" in answer.content.decode()) == (asked is soon)


def test_every_row_has_the_live_state_of_its_evse(dispatcher: Client, evse: Evse) -> None:
    ready(evse, "charging")

    page = dispatcher.get("/slots/", {"depot": "NF-KAS", **ELEVEN}).content.decode()

    assert f'data-evse-state="{evse.pk}"><span class="state state-busy">Charging</span>' in page
    assert render_evse(evse.pk)[f"calendar-{evse.depot_id}"] == {
        "states": {str(evse.pk): ["busy", "Charging"]}
    }


def test_the_megawatt_truck_gets_megawatt_bays_first_wherever_they_are(
    dispatcher: Client, fleet: Organisation
) -> None:
    make_vehicle(
        fleet, plate="MCS 1", connector_standards=["IEC_62196_T2_COMBO", "MCS"], max_power_w=1_000_000
    )
    make_vehicle(fleet, plate="CCS 1", connector_standards=["IEC_62196_T2_COMBO"], max_power_w=300_000)
    near, far = make_depot(name="Aachen"), make_depot(name="Zwickau")
    for depot in (near, far):
        make_evse(depot, uid=f"{depot.name}-400", max_power_w=400_000)
        make_evse(depot, uid=f"{depot.name}-150", max_power_w=150_000)
    make_evse(far, uid="MEGA", standard="MCS", max_power_w=1_200_000)

    def shown(plate: str) -> list[str]:
        answer = dispatcher.get("/slots/", {"vehicle": plate, **ELEVEN})
        return free_in(answer)

    assert shown("MCS 1") == ["MEGA", "Zwickau-400", "Zwickau-150", "Aachen-400", "Aachen-150"]
    assert shown("CCS 1") == ["Aachen-400", "Aachen-150", "Zwickau-400", "Zwickau-150"]


def test_where_the_depot_decides_the_booking_is_asked_for(
    dispatcher: Client, fleet: Organisation, vehicle: Vehicle
) -> None:
    evse = make_evse(make_depot(code="ASK", terms={"approval": True}))

    page = dispatcher.get("/slots/", {"depot": "ASK", **ELEVEN}).content.decode()
    dispatcher.post("/bookings/", slot_of(evse, fleet, vehicle))

    assert "The depot decides within 15 min" in page
    assert Booking.objects.get().status == "requested"


def test_a_partners_slot_is_a_hint_that_is_asked_for(
    dispatcher: Client, fleet: Organisation, vehicle: Vehicle
) -> None:
    partner = make_fleet("Südnetz", is_partner=True)
    depot = make_depot(partner, is_mirror=True, code="P-1", name="Graz Süd", open_to_all=False)
    evse = Evse.objects.create(depot=depot, uid="P-1-1", max_power_w=300_000)
    option = make_option(evse, code="P-OPT", is_mirror=True, calendar_at=NOW - timedelta(minutes=7))
    option.offered_slots.create(calendar_id="c", period=slot(8, 20))

    page = dispatcher.get("/slots/", {"depot": "P-1", **ELEVEN}).content.decode()
    sent = {**slot_of(make_evse(), fleet, vehicle), "option": option.pk, "evse": evse.pk}
    dispatcher.post("/bookings/", sent)

    assert "The partner decides. Its calendar is a hint, told 7\xa0minutes ago." in page
    assert "Ask the partner" in page
    booking = Booking.objects.get()
    assert (booking.status, booking.route) == ("requested", "outbound")


def test_what_people_wrote_stands_in_the_results_as_they_wrote_it(
    dispatcher: Client, fleet: Organisation
) -> None:
    """An EVSE's uid, free and refused, a plate that is carried along, a partner's option without an EVSE."""
    odd = "<b>'\"&"
    make_vehicle(fleet, plate=odd)
    depot = make_depot(name="Kassel")
    make_evse(depot, uid=f"free{odd}", max_power_w=400_000)
    taken_by_somebody(make_evse(depot, uid=f"taken{odd}", max_power_w=300_000))
    partner = make_depot(make_fleet("Südnetz", is_partner=True), is_mirror=True, open_to_all=False)
    option = BookingOption.objects.create(
        depot=partner, code=f"P{odd}", is_mirror=True, calendar_at=NOW - timedelta(minutes=7)
    )
    option.offered_slots.create(calendar_id="c", period=slot(8, 20))

    page = dispatcher.get("/slots/", {"vehicle": odd, **ELEVEN}).content.decode()

    assert "<b>'" not in page
    assert page.count("&lt;b&gt;&#x27;&quot;&amp;") >= 10
    for uid in ("free", "taken", "P"):
        assert f'data-evse="{uid}&lt;b&gt;&#x27;&quot;&amp;"' in page


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"starts_at": "soon"}, "starts_at", "Write a date and a time"),
        ({"starts_at": ""}, "starts_at", "required"),
        ({"starts_at": "x\x00y"}, "starts_at", "Null characters"),
        ({"starts_at": "9" * 5_000}, "starts_at", "at most 40"),
        ({"starts_at": "2030-01-14T11:00", "ends_at": "2030-01-14T12:00"}, "starts_at", "in the past"),
        ({"starts_at": "2039-01-14T11:00", "ends_at": "2039-01-14T12:00"}, "starts_at", "more than a year"),
        ({"starts_at": "9999-12-31T22:00", "ends_at": "9999-12-31T23:00"}, "starts_at", "too far"),
        ({"ends_at": "2030-01-15T11:00"}, "ends_at", "before the start"),
        ({"ends_at": "2030-01-15T10:00"}, "ends_at", "before the start"),
        ({"ends_at": "2030-03-15T10:00"}, "ends_at", "7 days"),
        ({"starts_at": "2030-03-31T02:30", "ends_at": "2030-03-31T04:30"}, "starts_at", "does not exist"),
        ({"starts_at": "2030-10-27T02:30", "ends_at": "2030-10-27T04:30"}, "starts_at", "comes twice"),
        ({"depot": "NOWHERE"}, "depot", "no such depot"),
        ({"depot": "\x00"}, "depot", "no such depot"),
        ({"vehicle": "99999999999999999999999"}, "vehicle", "no such vehicle"),
        ({"vehicle": "XX-XX 999"}, "vehicle", "no such vehicle"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_at_its_field(
    dispatcher: Client, evse: Evse, given: dict[str, str], field: str, words: str
) -> None:
    make_vehicle(make_fleet(), plate="XX-XX 999")

    answer = dispatcher.get("/slots/", {"depot": "NF-KAS", **ELEVEN, **given})

    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])


@pytest.mark.parametrize(
    "given",
    [
        {"fleet": "0"}, {"fleet": "abc"}, {"fleet": "9" * 30}, {"fleet": ""}, {"option": "999999"}, {"option": "1\x00"},
        {"evse": "999999"}, {"evse": "x"}, {"vehicle": "999999"}, {"vehicle": "-1"}, {"starts_at": "never"},
        {"starts_at": ""}, {"ends_at": "2030-01-15T01:00Z"}, {"ends_at": "2031-12-15T01:00Z"}, {"request_id": "no uuid"},
        {"starts_at": "2030-10-27T02:30", "ends_at": "2030-10-27T04:00"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("url", ["/holds/", "/bookings/"])
def test_a_forged_slot_is_refused_and_nothing_changes(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle, given: dict[str, str], url: str
) -> None:
    answer = dispatcher.post(url, {**slot_of(evse, fleet, vehicle), **given})

    assert answer.status_code == 422
    assert next(iter(given)) in answer.context["refusal"] or "starts_at" in answer.context["refusal"]
    assert not Booking.objects.exists()


def test_somebody_elses_vehicle_fleet_or_closed_depot_cannot_be_slipped_in(
    dispatcher: Client, evse: Evse, fleet: Organisation, vehicle: Vehicle
) -> None:
    foreign = make_vehicle(make_fleet())
    hidden = make_evse(make_depot(open_to_all=False))
    for forged in (
        {"vehicle": foreign.pk}, {"fleet": foreign.fleet_id, "vehicle": foreign.pk}, {"option": option_of(hidden).pk},
        {"evse": hidden.pk},
    ):  # fmt: skip
        answer = dispatcher.post("/bookings/", {**slot_of(evse, fleet, vehicle), **forged})

        assert answer.status_code == 422
    assert not Booking.objects.exists()


def test_who_may_not_book_finds_no_finder(fleet: Organisation, evse: Evse) -> None:
    for role in (Membership.Role.VIEWER, Membership.Role.DEPOT_MANAGER):
        client = client_of(make_user(fleet, role))

        assert client.get("/slots/").status_code == 404
        assert client.post("/holds/", slot_of(evse, fleet)).status_code == 404
        assert client.post("/bookings/", slot_of(evse, fleet)).status_code == 404
    assert Client().get("/slots/")["Location"] == "/?next=/slots/"


def test_an_administrator_of_two_fleets_books_for_the_vehicles_fleet(evse: Evse) -> None:
    first, second = make_fleet("A-Fracht"), make_fleet("B-Fracht")
    user = make_user(first, Membership.Role.ADMIN)
    Membership.objects.create(user=user, organisation=second, role=Membership.Role.ADMIN)
    vehicle = make_vehicle(second, plate="B-F 1")
    client = client_of(user)

    page = client.get("/slots/", {"vehicle": "B-F 1", "depot": "NF-KAS", **ELEVEN})

    assert page.context["form"].chosen_fleet == second
    assert f'name="fleet" value="{second.pk}"' in page.content.decode()
    client.post("/bookings/", slot_of(evse, second, vehicle))
    assert Booking.objects.get().fleet == second


def test_more_evses_cost_no_more_queries(dispatcher: Client, evse: Evse, vehicle: Vehicle) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert dispatcher.get("/slots/", ELEVEN).status_code == 200
        return len(caught)

    taken_by_somebody(evse)
    few = queries()
    depot = make_depot()
    for _ in range(6):
        taken_by_somebody(make_evse(depot), period=slot(10, 11))

    assert BookingOption.objects.count() == 7
    assert queries() == few
    assert few <= 24
