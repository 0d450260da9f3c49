"""/events and /webhooks: what an organisation's own systems are told, and where."""

from __future__ import annotations

import json

import pytest

from bookings import operations
from bookings.models import BookingEvent, FeedEvent, KeptAnswer, Webhook
from bookings.notifications import expansion
from bookings.webhooks.registry import make_webhook
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.factories import DISPATCHER, NOW, make_fleet

pytestmark = pytest.mark.django_db
URL = "https://hooks.example/berth"


def tell_all() -> None:
    told = FeedEvent.objects.values("source")
    expansion.tell(list(BookingEvent.objects.exclude(pk__in=told).order_by("pk")), now=NOW)


def test_events_are_read_on_behind_the_last_one(site: Site) -> None:
    booked = site.book()
    operations.cancel_booking(
        booking_id=booked["id"], by="fleet", reason="TRAFFIC", actor=DISPATCHER, now=NOW
    )
    tell_all()

    [first, second] = site.system.get("/events").json()["items"]
    behind = site.system.get("/events", after=first["id"]).json()
    nothing = site.system.get("/events", after=second["id"]).json()

    assert [first["type"], second["type"]] == ["booking.confirmed", "booking.cancelled"]
    assert behind == {"items": [second], "next": None}
    assert nothing == {"items": [], "next": None}
    assert first["timestamp"] == "2030-01-15T08:00:00.000Z"
    listed = site.system.get("/bookings").json()["items"][0]
    assert second["data"] == listed
    assert set(first["data"]) == set(listed)


def test_events_come_in_pages(site: Site) -> None:
    site.book()
    operations.cancel_booking(
        booking_id=site.system.get("/bookings").json()["items"][0]["id"], by="fleet", reason="TRAFFIC",
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip
    tell_all()

    page = site.system.get("/events", limit=1).json()
    rest = site.system.get("/events", limit=1, cursor=page["next"]).json()

    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [1, 1, None]


def test_nobody_reads_the_events_of_others(site: Site) -> None:
    site.book()
    tell_all()

    assert FleetSystem.of(make_fleet()).get("/events").json()["items"] == []


@pytest.mark.parametrize("after", ["1", "evt_", "evt_0", "evt_-1", "evt_1x", "evt_" + "9" * 19, "test_1"])
def test_what_is_no_id_of_an_event_is_refused_by_its_field(site: Site, after: str) -> None:
    response = site.system.get("/events", after=after)

    assert refused(response) == (422, "invalid")
    assert response.json()["field"] == "after"


def test_a_webhook_shows_its_secret_once(site: Site) -> None:
    response = site.system.post("/webhooks", {"url": URL, "events": ["booking.cancelled"]})
    made = response.json()
    read = site.system.get(f"/webhooks/{made['id']}").json()

    assert response.status_code == 201
    assert response["Location"] == f"/api/v1/webhooks/{made['id']}"
    assert made.pop("secret").startswith("whsec_")
    assert made == read == {"id": made["id"], "url": URL, "events": ["booking.cancelled"], "state": "active"}
    assert site.system.get("/webhooks").json()["items"] == [read]


def test_a_repeated_post_makes_one_webhook(site: Site) -> None:
    first, again = (site.system.post("/webhooks", {"url": URL}, key="once") for _ in range(2))

    assert first.json() == again.json()
    assert Webhook.objects.count() == 1
    assert "whsec_" not in KeptAnswer.objects.get(key="once").body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "http://hooks.example/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": URL, "events": ["booking.lost"]}, "events"),
        ({"url": URL, "events": "booking.held"}, "events"),
        ({"url": URL, "secret": "mine"}, "secret"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_by_its_field(site: Site, body: object, field: str) -> None:
    response = site.system.post("/webhooks", body)

    assert response.status_code == 422
    assert response.json()["field"] == field
    assert not Webhook.objects.exists()


def test_a_webhook_of_others_is_not_there(site: Site) -> None:
    theirs, _ = make_webhook(organisation=make_fleet(), url=URL, now=NOW)

    assert refused(site.system.get(f"/webhooks/{theirs.pk}")) == (404, "not_found")
    assert refused(site.system.send("DELETE", f"/webhooks/{theirs.pk}")) == (404, "not_found")
    assert Webhook.objects.get() == theirs


def test_a_deleted_webhook_is_gone(site: Site) -> None:
    made = site.system.post("/webhooks", {"url": URL}).json()

    response = site.system.send("DELETE", f"/webhooks/{made['id']}")

    assert response.status_code == 204
    assert not Webhook.objects.exists()
    assert json.loads(site.system.get("/webhooks").content)["items"] == []
