"""What the checks of a CPO have in common: where and what is booked, and how it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from conformance.run import CANCELLED_BY_EMSP, Fault, Run, Skipped, newest
from conformance.wire import Json, Party, read_time


def place_of(run: Run) -> Json:
    if run.place is None:
        raise Skipped("there is no BookingLocation that decides at once and has free time")
    return run.place


def some_place(run: Run) -> tuple[Json, tuple[datetime, datetime]]:
    for place in [run.place] if run.place else run.places[:1]:
        return place, run.free_span(place)
    raise Skipped("nothing is offered")


def created(run: Run) -> Any:
    if "created" not in run.noted:
        raise Skipped("no booking was granted at once")
    return run.noted["created"]


def require_state(booking: Json, status: str, decision: str, *, entries: int) -> None:
    told = (
        booking["reservation_status"],
        newest(booking)["request_status"],
        len(booking["booking_requests"]),
    )
    if told != (status, decision, entries):
        raise Fault(
            f"{booking['id']} is {told[0]} and its newest of {told[2]} entries {told[1]}; "
            f"{status}, {decision} and {entries} are right"
        )


def is_free_for(place: Json, span: tuple[datetime, datetime]) -> bool:
    """Is the whole of it inside one timeslot?"""
    slots = [slot for calendar in place.get("calendars") or [] for slot in calendar["available_timeslots"]]
    return any(
        read_time(s["start_date_time"]) <= span[0] and span[1] <= read_time(s["end_date_time"]) for s in slots
    )


def evse_uid(body: Json) -> str | None:
    """Of a BookingLocation or a Booking."""
    found: str | None = (body.get("booking_option") or {}).get("evse_uid")
    return found


def of_party(party: Party, request: Json) -> Json:
    """The same of another eMSP of ours."""
    mine = {"country_code": party[0], "party_id": party[1]}
    return {**request, **mine, "tokens": [{**token, **mine} for token in request["tokens"]]}


def party_of(request: Json) -> Party:
    return request["country_code"], request["party_id"]


def cancel_all(run: Run) -> list[str]:
    """Whatever of ours stands; the ids of those that could not be cancelled."""
    left, done = [], set()
    for request in reversed(run.booked):
        key = (request["party_id"].upper(), request["request_id"])
        if key in done:
            continue
        done.add(key)
        sender = run.second_party if key[0] == run.second_party[1] else run.settings.party
        answer = run.caller.send(
            "POST", run.bookings_url, {**request, "canceled": CANCELLED_BY_EMSP}, sender=sender
        )
        # 2001: it is over already, or never was.
        if answer.is_success and (answer.data or {}).get("reservation_status") in ("RESERVED", "PENDING"):
            left.append(answer.data["id"])
    return left
