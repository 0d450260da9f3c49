"""Doors to more than one booking, and to one that is not there yet: series, trips, and the waiting list, by the JSON API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bookings.models import Booking
from tests.doors.customers import Answer, Customer, Wish
from tests.doors.doors import wish_body


def by_series(customer: Customer, wish: Wish, *, days: int = 1, mode: str = "all") -> list[Answer]:
    """The same slot on so many days; of what is refused the code and the sentence by day."""
    body = {"rrule": f"FREQ=DAILY;COUNT={days}", "first": wish_body(wish), "mode": mode}
    response = customer.system.post("/series", body)
    told = _told(response)
    if response.status_code == 201:
        return [Answer(Booking.objects.get(pk=one["id"])) for one in told["bookings"]]
    return [_item(item) for item in told["items"] if item["code"]] if "items" in told else [_refusal(told)]


def change_series(
    customer: Customer, booking: Booking, scope: str, starts_at: datetime, ends_at: datetime
) -> Answer:
    body: dict[str, Any] = {
        "scope": scope, "starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat(),
        **({} if scope == "all" else {"booking": booking.pk}),
    }  # fmt: skip
    response = customer.system.send("PATCH", f"/series/{booking.series_id}", body)
    told = _told(response)
    return Answer(Booking.objects.get(pk=booking.pk)) if response.status_code == 200 else _refusal(told)


def cancel_series(customer: Customer, booking: Booking) -> Answer:
    response = customer.system.send("DELETE", f"/series/{booking.series_id}")
    return Answer(booking) if response.status_code == 204 else _refusal(_told(response))


def by_trip(customer: Customer, wishes: Sequence[Wish]) -> list[Answer]:
    response = customer.system.post("/trips", {"stops": [wish_body(wish) for wish in wishes]})
    told = _told(response)
    if response.status_code == 201:
        return [Answer(Booking.objects.get(pk=one["id"])) for one in told["bookings"]]
    return [_item(item) for item in told["items"] if item["code"]] if "items" in told else [_refusal(told)]


def cancel_trip(customer: Customer, booking: Booking) -> Answer:
    response = customer.system.send("DELETE", f"/trips/{booking.trip_id}")
    return Answer(booking) if response.status_code == 204 else _refusal(_told(response))


def wait_for(customer: Customer, wish: Wish) -> str:
    """What became of it: `waiting`, or the code of the refusal."""
    return _state_of(customer.system.post("/waitlist", wish_body(wish)))


def accept_offer(customer: Customer, entry_id: int) -> Answer:
    response = customer.system.post(f"/waitlist/{entry_id}/acceptance")
    told = _told(response)
    return Answer(Booking.objects.get(pk=told["id"])) if response.status_code == 200 else _refusal(told)


def stop_waiting(customer: Customer, entry_id: int) -> str:
    response = customer.system.send("DELETE", f"/waitlist/{entry_id}")
    return "done" if response.status_code == 204 else _state_of(response)


def _state_of(response: Any) -> str:
    told = _told(response)
    return str(told["status"]) if response.status_code == 201 else str(told["code"])


def _told(response: Any) -> Any:
    assert response.status_code < 500, response.content
    return json.loads(response.content) if response.content else {}


def _item(item: dict[str, Any]) -> Answer:
    return Answer(code=item["code"], words=item["detail"] or "")


def _refusal(told: dict[str, Any]) -> Answer:
    return Answer(code=told["code"], words=told["detail"], status=told["status"])
