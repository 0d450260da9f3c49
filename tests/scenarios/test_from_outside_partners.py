"""Partner networks of somebody else's make book with Berth, hear of it, and are booked by its dispatchers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.scenarios.outside.berth import Berth, Slot, instant
from tests.scenarios.outside.partner import Network
from tests.scenarios.outside.partner_offers import free_span, moment, offers, registered
from tests.scenarios.outside.waiting import eventually

NetworkOf = Callable[..., Network]


def is_free(calendar: dict[str, Any], start: datetime, end: datetime) -> bool:
    return any(
        moment(slot["start_date_time"]) <= start and end <= moment(slot["end_date_time"])
        for slot in calendar.get("available_timeslots") or []
    )


def is_free_at(place: dict[str, Any], start: datetime, end: datetime) -> bool:
    return any(is_free(calendar, start, end) for calendar in place.get("calendars") or [])


def told_of_place(
    network: Network, place: dict[str, Any], wanted: Callable[[Any], bool], within_s: float
) -> None:
    """Until what Berth pushed last of this BookingLocation or its calendar is so."""
    path = f"booking_locations/{place['id']}"

    def look() -> bool:
        newest = [body for _, known, body in network.pushes if f"/{path}" in known]
        if not newest:
            return False
        body = newest[-1]
        return wanted(body if "calendars" in body or "booking_option" in body else {"calendars": [body]})

    eventually(look, of=f"a push of {path}", within_s=within_s)


def test_a_partner_books_changes_and_cancels_and_hears_of_it_all(berth: Berth, network: NetworkOf) -> None:
    partner = registered(berth, network("EMSP"))
    places = offers(partner)
    assert len(places) >= 24
    pages = partner.pages(f"{partner.bookings_url}/booking_locations", 7)
    assert [len(page) for page in pages[:-1]] == [7] * (len(pages) - 1)
    assert sorted(place["id"] for page in pages for place in page) == sorted(places)

    place = places["DEMO-3-2"]
    start, end = free_span(place, then=timedelta(hours=1))
    request = partner.request_for(place, start, end)
    booked = partner.ask(request)
    assert booked["reservation_status"] == "RESERVED"
    assert booked["booking_option"]["evse_uid"] == "DEMO-3-2"
    assert booked["authorization_reference"] == request["authorization_reference"]
    told_of_place(partner, place, lambda now: not is_free_at(now, start, end), within_s=70)

    again = partner.ask(request)
    assert (again["id"], len(again["booking_requests"])) == (booked["id"], 1)

    later = {
        "start_date_time": instant(start + timedelta(hours=1)),
        "end_date_time": instant(end + timedelta(hours=1)),
    }
    moved = partner.ask({**request, "period": later})
    assert moved["reservation_status"] == "RESERVED"
    assert moved["period"]["start_date_time"] == later["start_date_time"]
    assert [entry["request_status"] for entry in moved["booking_requests"]] == ["ACCEPTED", "ACCEPTED"]
    told_of_place(partner, place, lambda now: is_free_at(now, start, end), within_s=10)

    gone = partner.ask({**request, "canceled": {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}})
    assert gone["reservation_status"] == "CANCELED"
    held = partner.told(
        f"/{booked['id']}", lambda told: told["reservation_status"] == "CANCELED", within_s=20
    )
    assert held["canceled"] == {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}
    told_of_place(partner, place, lambda now: is_free_at(now, start, end + timedelta(hours=1)), within_s=10)
    assert partner.get(f"{partner.bookings_url}?limit=10")[0]["reservation_status"] == "CANCELED"
    assert berth.booking(booked["id"])["status"] == "cancelled"


def test_a_taken_slot_and_a_wrong_request_are_answered_and_change_nothing(
    berth: Berth, network: NetworkOf
) -> None:
    partner, rival = registered(berth, network("EMSP")), registered(berth, network("EMSP"))
    place = offers(partner)["VEN-10-1"]
    start, end = free_span(place)
    first = partner.ask(partner.request_for(place, start, end))
    assert first["reservation_status"] == "RESERVED"

    second = rival.ask(rival.request_for(place, start, end))

    assert second["reservation_status"] == "REJECTED"
    assert second["booking_requests"][0]["request_status"] == "DECLINED"
    assert rival.send("GET", f"{rival.bookings_url}/{first['id']}").status_code == 404
    assert first["id"] not in str(rival.get(rival.bookings_url))

    for change in (
        {"period": {"start_date_time": instant(end), "end_date_time": instant(start)}},
        {"period": {"start_date_time": "tomorrow", "end_date_time": instant(end)}},
        {"period": None},
        {"location_id": "NOWHERE"},
        {"booking_location_id": "NOWHERE"},
        {"party_id": partner.party},
        {"request_id": "x" * 400},
        {"tokens": "none"},
    ):
        answer = rival.send("POST", rival.bookings_url, {**rival.request_for(place, start, end), **change})
        assert answer.status_code in {200, 404}, (change, answer.text)
        assert 2000 <= answer.json()["status_code"] < 3000, (change, answer.text)
    assert len(rival.get(rival.bookings_url)) == 1


def test_the_depot_decides_and_the_partner_hears_it(berth: Berth, network: NetworkOf) -> None:
    partner = registered(berth, network("EMSP"))
    place = offers(partner)["LNZ-2-2"]
    start, end = free_span(place, then=timedelta(hours=3))
    accepted = partner.ask(partner.request_for(place, start, end))
    declined = partner.ask(partner.request_for(place, end + timedelta(hours=2), end + timedelta(hours=3)))
    assert {accepted["reservation_status"], declined["reservation_status"]} == {"PENDING"}

    assert berth.run("decide", accepted["id"], "--accept").one["status"] == "confirmed"
    assert (
        berth.run("decide", declined["id"], "--decline", "--reason", "No staff that day.").one["status"]
        == "declined"
    )

    held = partner.told(f"/{accepted['id']}", lambda told: told["reservation_status"] == "RESERVED")
    assert held["booking_requests"][-1]["request_status"] == "ACCEPTED"
    held = partner.told(f"/{declined['id']}", lambda told: told["reservation_status"] == "REJECTED")
    assert held["booking_requests"][-1]["request_status"] == "DECLINED"
    assert berth.run("decide", accepted["id"], "--accept").code == 1

    gone = berth.run("cancel_booking", accepted["id"], "--reason", "BROKEN_CHARGER", "--by", "depot").one
    assert gone["status"] == "cancelled"
    held = partner.told(f"/{accepted['id']}", lambda told: told["reservation_status"] == "CANCELED")
    assert held["canceled"] == {"cancellation_reason": "BROKEN_CHARGER", "who_canceled": "CPO"}


@pytest.mark.long
@pytest.mark.parametrize("trouble", ["absent", "failing"])
def test_a_partner_that_was_away_catches_up(berth: Berth, network: NetworkOf, trouble: str) -> None:
    partner = registered(berth, network("EMSP"))
    place = offers(partner)["VEN-11-2"]
    start, end = free_span(place)
    request = partner.request_for(place, start, end)
    booked = partner.ask(request)
    partner.told(f"/{booked['id']}", within_s=70)

    if trouble == "absent":
        partner.close()
    else:
        partner.failing = 500
    berth.run("cancel_booking", booked["id"], "--reason", "POWER_OUTAGE", "--by", "depot").one  # noqa: B018
    failed = eventually(
        lambda: next((d for d in berth.booking(booked["id"])["deliveries"] if d["last_error"]), None),
        of="a failed delivery",
    )
    assert not failed["is_delivered"]
    partner.failing = 0
    if trouble == "absent":
        partner.open()

    held = partner.told(
        f"/{booked['id']}", lambda told: told["reservation_status"] == "CANCELED", within_s=60
    )
    assert held["canceled"]["cancellation_reason"] == "POWER_OUTAGE"
    eventually(
        lambda: all(d["is_delivered"] for d in berth.booking(booked["id"])["deliveries"]), of="the end of it"
    )


def test_a_dispatcher_books_at_a_partners_depot_and_sees_the_answer(berth: Berth, network: NetworkOf) -> None:
    stub = network("CPO")
    place = stub.offer()
    stub.decide = "PENDING"
    agreed = berth.run(
        "add_partner", "--name", f"Outside {stub.party}", "--country-code", stub.country, "--party-id", stub.party,
        "--role", "CPO", "--connect", stub.versions_url, "--token", stub.token_for_berth,
    )  # fmt: skip
    assert agreed.code == 0, agreed.words
    _read_endpoints(berth, stub)
    start = (datetime.now(UTC) + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    slot = Slot.between(start, start + timedelta(minutes=45))

    booked = eventually(
        lambda: _booked_once_known(berth, place["id"], slot), of="the mirrored place", within_s=70
    )

    assert (booked["route"], booked["status"]) == ("outbound", "requested")
    asked = eventually(lambda: stub.asked and stub.asked[0], of="a BookingRequest")
    assert asked["booking_location_id"] == place["id"]
    assert asked["period"] == {"start_date_time": slot.start, "end_date_time": slot.end}
    assert [token["uid"] for token in asked["tokens"]] == ["04AABBCCDD10"]
    shown = eventually(lambda: _with_remote(berth, booked), of="the partner's id")
    assert (shown["status"], shown["remote_status"]) == ("requested", "PENDING")

    assert stub.decide_later("CB-1", "RESERVED").json()["status_code"] == 1000

    berth.until(booked, status="confirmed", remote_status="RESERVED")
    berth.cancel(booked, "BROKEN_VEHICLE")
    berth.until(booked, status="cancelled", remote_status="CANCELED")
    assert stub.asked[-1]["canceled"] == {"cancellation_reason": "BROKEN_VEHICLE", "who_canceled": "EMSP"}


def _booked_once_known(berth: Berth, option: str, slot: Slot) -> dict[str, Any] | None:
    said = berth.run(
        "book", "--vehicle", "HH-NF 100", "--option", option, "--start", slot.start, "--end", slot.end
    )
    return said.one if said.code == 0 else None


def _with_remote(berth: Berth, booking: dict[str, Any]) -> dict[str, Any] | None:
    shown = berth.booking(booking)
    return shown if shown["remote_status"] else None


def _read_endpoints(berth: Berth, network: Network) -> None:
    """What Berth answers to, read with the token it gave."""
    versions = network.get(f"{berth.url}/ocpi/versions")
    details = network.get(next(each["url"] for each in versions if each["version"] == "2.3.0"))
    network.endpoints = {
        (each["identifier"].lower(), each["role"]): each["url"] for each in details["endpoints"]
    }
