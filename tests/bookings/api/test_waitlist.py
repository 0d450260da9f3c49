"""The waiting list over the API: joined like a booking, offered, accepted, left."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings import operations
from bookings.core import calendars
from bookings.scheduler import serve_waitlist
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.factories import DISPATCHER, NOW, book_slot, make_fleet, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db


def test_a_taken_slot_is_waited_for_offered_and_accepted(site: Site) -> None:
    other = make_fleet()
    taken = book_slot(
        fleet=other, option=option_of(site.evse), vehicle=make_vehicle(other), period=slot(12, 13)
    )
    assert refused(site.system.post("/bookings", site.wanted())) == (409, "slot_taken")

    response = site.system.post("/waitlist", site.wanted())
    entry = response.json()
    path = f"/waitlist/{entry['id']}"
    assert (response.status_code, response["Location"]) == (201, f"/api/v1{path}")
    assert (entry["status"], entry["offer"]) == ("waiting", None)
    assert refused(site.system.post(f"{path}/acceptance")) == (409, "wrong_status")
    assert refused(site.system.post("/waitlist", site.wanted())) == (409, "waits_already")

    operations.cancel_booking(booking_id=taken.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW)
    now = NOW + timedelta(seconds=1)
    calendars.raise_marked(lambda: now)
    serve_waitlist(now)

    offered = site.system.get(path).json()
    assert offered["status"] == "offered"
    assert offered["offer"] == {
        "option": site.evse.uid, "evse": site.evse.uid, "starts_at": "2030-01-15T12:00:00Z",
        "ends_at": "2030-01-15T13:00:00Z", "until": "2030-01-15T08:15:01Z",
    }  # fmt: skip
    assert [one["id"] for one in site.system.get("/waitlist", status="offered").json()["items"]] == [
        entry["id"]
    ]

    for stale in ({"version": entry["version"]}, {"version": offered["version"] + 1}):
        assert refused(site.system.post(f"{path}/acceptance", stale)) == (412, "changed_meanwhile")
    old = site.system.send("DELETE", path, **{"If-Match": response["ETag"]})
    assert refused(old) == (412, "changed_meanwhile")

    booking = site.system.post(f"{path}/acceptance", **{"If-Match": site.system.get(path)["ETag"]})
    assert (booking.status_code, booking.json()["status"]) == (200, "confirmed")
    accepted = site.system.get(path).json()
    assert (accepted["status"], accepted["offer"], accepted["booking"]) == (
        "accepted",
        None,
        booking.json()["id"],
    )


def test_who_leaves_waits_no_more_and_a_stranger_sees_nothing(site: Site) -> None:
    site.book()
    path = f"/waitlist/{site.system.post('/waitlist', site.wanted()).json()['id']}"
    stranger = FleetSystem.of(make_fleet())
    assert refused(stranger.get(path)) == (404, "not_found")
    assert stranger.get("/waitlist").json()["items"] == []

    assert site.system.send("DELETE", path).status_code == 204

    assert site.system.get(path).json()["status"] == "withdrawn"
    assert refused(site.system.send("DELETE", path)) == (409, "wrong_status")


@pytest.mark.parametrize(
    ("more", "code"),
    [({"starts_at": "2030-01-15T12:01:00Z"}, "not_aligned"), ({"evse": "E-1"}, "unknown_evse")],
)
def test_what_waiting_would_not_mend_is_refused_like_a_booking(
    site: Site, more: dict[str, str], code: str
) -> None:
    site.book()

    assert refused(site.system.post("/waitlist", site.wanted(**more))) == (422, code)
