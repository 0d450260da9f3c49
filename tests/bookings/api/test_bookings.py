"""Bookings over the API: the object, what is refused, and what a change may be asked of."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings.models import Booking, BookingEvent, FeedEvent, Trailer
from bookings.notifications import expansion
from bookings.operations import CounterOffer, offer_instead
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.factories import MANAGER, NOW, at, make_depot, make_evse, make_fleet, make_vehicle, slot

pytestmark = pytest.mark.django_db
OBJECT = {
    "id", "reference", "status", "enforcement", "interrupted", "depot", "option", "evse", "vehicle", "starts_at", "ends_at",
    "promised_power_kw", "tokens", "held_until", "series", "trip", "created_at", "updated_at",
}  # fmt: skip


def test_a_slot_is_booked_and_told_whole(site: Site) -> None:
    response = site.system.post("/bookings", site.wanted())

    told = response.json()
    assert response.status_code == 201
    assert response["Location"] == f"/api/v1/bookings/{told['id']}"
    assert told.keys() == OBJECT | {"terms", "quote", "offer", "events"}
    assert (told["status"], told["evse"], told["vehicle"]) == ("confirmed", site.evse.uid, site.vehicle.plate)
    assert (told["starts_at"], told["ends_at"]) == ("2030-01-15T12:00:00Z", "2030-01-15T13:00:00Z")
    assert told["tokens"] == [site.vehicle.tokens.get().uid]
    assert told["promised_power_kw"] == 350
    again = site.system.get(f"/bookings/{told['id']}")
    assert (again.json(), again["ETag"]) == (told, response["ETag"])


def test_a_list_is_by_change_and_goes_on_where_it_stopped(site: Site) -> None:
    made = [site.book(period=slot(hour, hour + 1))["id"] for hour in (10, 12, 14)]
    Booking.objects.filter(pk=made[0]).update(updated_at=NOW + timedelta(minutes=1))

    first = site.system.get("/bookings", limit=2).json()
    second = site.system.get("/bookings", limit=2, cursor=first["next"]).json()

    assert [one["id"] for one in first["items"] + second["items"]] == [made[1], made[2], made[0]]
    assert second["next"] is None
    assert first["items"][0].keys() == OBJECT
    since = site.system.get("/bookings", changed_since="2030-01-15T09:01:00+01:00").json()
    assert [one["id"] for one in since["items"]] == [made[0]]


@pytest.mark.parametrize(
    ("filters", "found"),
    [({"status": "held"}, 0), ({"status": "confirmed"}, 1), ({"depot": "nowhere"}, 0), ({"vehicle": "hh-nf 0"}, 0)],
)  # fmt: skip
def test_a_list_is_of_what_is_asked_for(site: Site, filters: dict[str, str], found: int) -> None:
    site.book()

    assert len(site.system.get("/bookings", **filters).json()["items"]) == found


def test_a_list_of_many_costs_no_more_queries(site: Site, django_assert_num_queries) -> None:
    for hour in (10, 12, 14):
        site.book(period=slot(hour, hour + 1))
    site.system.get("/bookings")  # the token is noted as used

    with django_assert_num_queries(3):
        assert len(site.system.get("/bookings").json()["items"]) == 3


WRONG = [
    ({"starts_at": "2030-01-15T12:00:00"}, 422, "invalid", "starts_at"),
    ({"starts_at": 1900000000}, 422, "invalid", "starts_at"),
    ({"option": None}, 422, "invalid", "option"),
    ({"colour": "red"}, 422, "invalid", "colour"),
    ({"power_kw": "150"}, 422, "invalid", "power_kw"),
    ({"tokens": "04AA"}, 422, "invalid", "tokens"),
    ({"option": "nothing"}, 422, "unknown_option", "option"),
    ({"vehicle": "X-Y 1"}, 422, "unknown_vehicle", "vehicle"),
    ({"evse": "E-1"}, 422, "unknown_evse", "evse"),
    ({"tokens": ["04FF00FF"]}, 422, "token_unusable", "tokens"),
    ({"ends_at": "2030-01-15T11:00:00Z"}, 422, "ends_before_start", "ends_at"),
    ({"starts_at": "2030-01-15T12:07:00Z"}, 422, "not_aligned", "starts_at"),
    ({"power_kw": 900}, 409, "power_unavailable", "power_kw"),
    ({"depot": "nowhere"}, 422, "unknown_option", "option"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "code", "field"), WRONG)
def test_what_is_wrong_is_named_and_nothing_is_booked(site: Site, change, status, code, field) -> None:
    response = site.system.post("/bookings", site.wanted(**change))

    assert refused(response) == (status, code)
    assert response.json()["field"] == field
    assert not Booking.objects.exists()


def test_a_taken_slot_tells_the_nearest(site: Site) -> None:
    site.book()

    response = site.system.post("/bookings", site.wanted())

    assert refused(response) == (409, "slot_taken")
    nearest = response.json()["nearest"]
    assert site.system.post("/bookings", site.wanted(**nearest)).status_code == 201


def test_a_slot_as_it_is_told_can_be_booked_and_costs_no_more_than_shown(site: Site) -> None:
    told = {
        "depot": site.depot.code,
        "promised_power_kw": 350,
        "max_power_kw": 400,
        "distance_km": None,
        "calendar_age_s": None,
    }

    response = site.system.post("/bookings", site.wanted(evse=site.evse.uid, price=None, **told))

    assert response.status_code == 201


def test_a_change_asks_for_what_is_named_and_keeps_the_rest(site: Site) -> None:
    made = site.book(power_kw=200)

    response = site.system.send("PATCH", f"/bookings/{made['id']}", {"ends_at": at(14).isoformat()})

    told = response.json()
    assert response.status_code == 200
    assert (told["starts_at"], told["ends_at"]) == (made["starts_at"], "2030-01-15T14:00:00Z")
    assert told["promised_power_kw"] == 200
    assert response["ETag"] != '"1"'


def test_a_change_asks_for_another_option_of_the_depot_and_for_states_of_charge(site: Site) -> None:
    told, other = site.book(), make_evse(site.depot)
    site.vehicle.battery_wh = 500_000
    site.vehicle.save()

    moved = site.system.send("PATCH", f"/bookings/{told['id']}", {"option": other.uid})
    longer = site.system.send("PATCH", f"/bookings/{told['id']}", {"soc_from": 20, "soc_to": 80})

    assert moved.status_code == longer.status_code == 200, (moved.content, longer.content)
    assert (moved.json()["option"], moved.json()["evse"]) == (other.uid, other.uid)
    assert (moved.json()["starts_at"], moved.json()["ends_at"]) == (told["starts_at"], told["ends_at"])
    assert Booking.objects.get(pk=told["id"]).energy_wh == 300_000


def test_a_change_of_an_older_version_is_refused_whatever_it_is_about(site: Site) -> None:
    made = site.book()
    other = make_vehicle(site.fleet)
    path = f"/bookings/{made['id']}"
    seen = site.system.get(path)["ETag"]
    assert site.system.send("PATCH", path, {"vehicle": other.plate}, If_Match=seen).status_code == 200

    stale = site.system.send("PATCH", path, {"ends_at": at(14).isoformat()}, If_Match=seen)
    blind = site.system.send("PATCH", path, {"ends_at": at(14).isoformat()})

    assert refused(stale) == (412, "changed_meanwhile")
    assert blind.status_code == 200


@pytest.mark.parametrize("change", [{"starts_at": None}, {"option": "X"}, {"evse": "E-1"}])
def test_a_wrong_change_changes_nothing(site: Site, change) -> None:
    made = site.book()

    response = site.system.send("PATCH", f"/bookings/{made['id']}", change)

    assert response.status_code == 422
    assert response.json()["field"] == next(iter(change))
    assert site.system.get(f"/bookings/{made['id']}").json() == made


def test_a_booking_is_cancelled_once_with_a_reason(site: Site) -> None:
    path = f"/bookings/{site.book()['id']}/cancellation"

    assert refused(site.system.post(path, {"reason": "NO_IDEA"})) == (422, "unknown_reason")
    assert site.system.post(path, {"reason": "TRAFFIC"}).json()["status"] == "cancelled"
    assert refused(site.system.post(path, {"reason": "TRAFFIC"})) == (409, "wrong_status")


def test_a_hold_is_a_booking_until_it_is_given_back(site: Site) -> None:
    held = site.system.post("/holds", site.wanted()).json()
    other = site.system.post("/holds", site.wanted(slot(15, 16))).json()

    assert (held["status"], held["held_until"]) == ("held", "2030-01-15T08:10:00Z")
    assert len(site.system.get("/bookings", status="held").json()["items"]) == 2
    assert site.system.post(f"/holds/{held['id']}/confirmation").json()["status"] == "confirmed"
    assert site.system.send("DELETE", f"/holds/{other['id']}").status_code == 204
    assert refused(site.system.send("DELETE", f"/holds/{other['id']}")) == (409, "wrong_status")
    assert refused(site.system.post(f"/holds/{other['id']}/confirmation")) == (409, "wrong_status")


def test_who_may_not_book_there_and_whose_charger_is_away_is_told_so(site: Site) -> None:
    closed = make_evse(make_depot(open_to_all=False))
    made = site.book()

    assert refused(site.system.post("/bookings", site.wanted(option=closed.uid))) == (422, "unknown_option")
    assert refused(site.system.post(f"/bookings/{made['id']}/start")) == (422, "not_yet")
    assert refused(site.system.post(f"/bookings/{made['id']}/stop")) == (409, "wrong_status")


def test_of_an_event_only_colleagues_are_named(site: Site) -> None:
    made = site.book()

    assert made["events"][0]["actor"] == "API: planner"


def test_another_fleets_booking_is_not_there(site: Site) -> None:
    made = site.book()
    stranger = FleetSystem.of(make_fleet())

    assert refused(stranger.get(f"/bookings/{made['id']}")) == (404, "not_found")
    assert stranger.get("/bookings").json() == {"items": [], "next": None}


def test_a_post_costs_so_many_statements(site: Site, django_assert_max_num_queries) -> None:
    site.book(period=slot(10, 11))  # the token is noted as used, and the depot's configuration kept

    with django_assert_max_num_queries(20):
        site.book(period=slot(12, 13))


def test_a_trailer_comes_with_a_booking_is_changed_and_left_behind(site: Site) -> None:
    for plate in ("HH-T 1", "HH-T 2"):
        Trailer.objects.create(fleet=site.fleet, plate=plate)
    made = site.book(trailer="hh-t 1")
    trailer = Booking.objects.filter(pk=made["id"]).values_list("trailer__plate", flat=True)
    assert trailer.get() == "HH-T 1"

    path = f"/bookings/{made['id']}"
    for told, then in (("HH-T 2", "HH-T 2"), (None, None)):
        assert site.system.send("PATCH", path, {"trailer": told}).status_code == 200
        assert trailer.get() == then
    assert refused(site.system.send("PATCH", path, {"trailer": "X-Y 1"})) == (422, "unknown_trailer")


def test_a_fleets_system_reads_what_is_offered_and_answers(site: Site) -> None:
    made = [site.book(period=slot(hour, hour + 1))["id"] for hour in (10, 12)]
    for pk, hour in zip(made, (16, 18), strict=True):
        offer = CounterOffer(period=slot(hour, hour + 1), note="Roadworks")
        offer_instead(booking_id=pk, offer=offer, actor=MANAGER, now=NOW)

    offered = site.system.get(f"/bookings/{made[0]}/offer").json()
    assert site.system.get(f"/bookings/{made[0]}").json()["offer"] == offered
    events = BookingEvent.objects.filter(booking=made[0], kind="offered")
    expansion.tell(list(events), now=NOW)
    told = FeedEvent.objects.filter(type="booking.offered", booking=made[0])
    assert {event.organisation_id for event in told} == {site.fleet.pk, site.depot.operator_id}
    assert [event.content["offer"] for event in told] == [offered] * len(told)
    taken = site.system.post(f"/bookings/{made[0]}/offer/acceptance").json()
    left = site.system.post(f"/bookings/{made[1]}/offer/refusal").json()

    version = offered.pop("version")
    assert isinstance(version, int)
    assert offered == {
        "evse": site.evse.uid, "starts_at": "2030-01-15T16:00:00Z", "ends_at": "2030-01-15T17:00:00Z",
        "promised_power_kw": 350, "until": "2030-01-15T08:30:00Z", "note": "Roadworks", "otherwise": "stays",
    }  # fmt: skip
    assert (taken["starts_at"], taken["offer"], left["offer"]) == ("2030-01-15T16:00:00Z", None, None)
    assert (left["starts_at"], left["status"]) == ("2030-01-15T12:00:00Z", "confirmed")
    assert refused(site.system.get(f"/bookings/{made[0]}/offer")) == (404, "not_found")
    again = site.system.post(f"/bookings/{made[1]}/offer/acceptance")
    assert refused(again) == (409, "nothing_to_decide")


@pytest.mark.parametrize("answer", ["acceptance", "refusal"])
def test_an_answer_means_the_offer_that_was_seen(site: Site, answer: str) -> None:
    pk = site.book()["id"]
    path = f"/bookings/{pk}/offer"
    offer_instead(booking_id=pk, offer=CounterOffer(period=slot(14, 15)), actor=MANAGER, now=NOW)
    seen = site.system.get(path)
    offer_instead(booking_id=pk, offer=CounterOffer(period=slot(20, 21)), actor=MANAGER, now=NOW)

    by_header = site.system.post(f"{path}/{answer}", **{"If-Match": seen["ETag"]})
    by_body = site.system.post(f"{path}/{answer}", {"version": seen.json()["version"]})

    assert [refused(by_header), refused(by_body)] == [(412, "changed_meanwhile")] * 2
    newest = site.system.get(path)
    assert newest.json()["starts_at"] == "2030-01-15T20:00:00Z"
    assert site.system.post(f"{path}/{answer}", **{"If-Match": newest["ETag"]}).status_code == 200
