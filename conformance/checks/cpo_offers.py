"""What a CPO offers, and how its lists and calendars are, lines 30 to 33 and 58 to 63."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.checks.cpo_steps import (
    created,
    evse_uid,
)
from conformance.checks.transport import is_whole_seconds
from conformance.run import CPO, Fault, Line, Run, Skipped
from conformance.wire import Json, read_time, time_text

MOST_TRIED = 4  # BookingLocations that are tried until one decides at once
SAME_MOMENT = timedelta(seconds=1)  # a booking and its calendar are written one after the other
LEAST_W = 1000  # below that a power can only be meant as kW


def own_offers(run: Run) -> str:
    run.places = run.list(f"{run.bookings_url}/booking_locations")
    for place in run.places:
        run.conforms("BookingLocation", place)
    if not run.places:
        raise Fault("no BookingLocation is offered: nothing can be booked")
    told = f"{len(run.places)} of them; what another eMSP sees was not looked at"
    wanted = {name.upper() for name in run.settings.places}
    run.places = [place for place in run.places if not wanted or place["id"].upper() in wanted]
    if not run.places:
        raise Fault(f"--place {' '.join(run.settings.places)}: not among {told}")
    return told


def find_place(run: Run) -> None:
    """A BookingLocation of one EVSE with free time, whose bookings are decided at once; and one that waits, if met."""
    tried = 0
    for place in run.places:
        is_single = evse_uid(place) not in (None, "", "#NA")
        if not is_single or tried == MOST_TRIED:
            continue
        try:
            booking = run.success(run.ask(run.request(place, run.free_span(place))))
        except Skipped:
            continue
        tried += 1
        if booking["reservation_status"] == "RESERVED":
            run.place, run.noted["first"] = place, booking
            return
        run.noted.setdefault(booking["reservation_status"], (place, booking))


def free_in_span(run: Run) -> str:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    end = start + timedelta(hours=1)
    query = f"timeslot_from={time_text(start)}&timeslot_to={time_text(end)}"
    found = {one["id"] for one in run.list(f"{run.bookings_url}/booking_locations?{query}")}
    expected = {
        place["id"]
        for place in run.list(f"{run.bookings_url}/booking_locations")
        if _is_free(place, start, end)
    }
    if found != expected:
        raise Fault(f"{len(found - expected)} too many and {len(expected - found)} too few with {query}")
    return f"{len(found)} of {len(run.places)}"


def _is_free(place: Json, start: datetime, end: datetime) -> bool:
    slots = [slot for calendar in place.get("calendars") or [] for slot in calendar["available_timeslots"]]
    return any(read_time(s["start_date_time"]) < end and start < read_time(s["end_date_time"]) for s in slots)


def single_objects(run: Run) -> str:
    place = next((one for one in run.places if one.get("calendars")), None)
    if place is None:
        raise Skipped("no BookingLocation has a calendar")
    run.conforms("BookingLocation", run.offer(place["id"]))
    calendar = place["calendars"][0]["id"]
    url = f"{run.bookings_url}/booking_locations"
    run.conforms("Calendar", run.get(f"{url}/{place['id']}/{calendar}"))
    for unknown in (f"{url}/CONFORMANCE-NONE", f"{url}/{place['id']}/CONFORMANCE-NONE"):
        answer = run.caller.send("GET", unknown)
        if answer.status != 404:
            raise Fault(f"{answer}; HTTP 404 is right")
    return ""


def calendar_is_told(run: Run) -> str:
    booking, _, after, mark = created(run)
    if read_time(after["last_updated"]) < read_time(booking["last_updated"]) - SAME_MOMENT:
        raise Fault(f"last_updated is {after['last_updated']}, although {booking['id']} took time since")
    path = f"/booking_locations/{after['id']}".upper()
    told = run.listener.wait(
        lambda call: (
            call.method in ("PUT", "PATCH") and path in call.path.upper() and _shows_less(call.body, after)
        ),
        mark=mark,
        within_s=run.settings.patience_s,
    )
    if told is None:
        raise Fault(f"no push of {after['id']} came within {run.settings.patience_s:.0f} s")
    run.conforms(
        "BookingLocation" if "location_id" in told.body else "Calendar",
        told.body,
        partial=told.method == "PATCH",
    )
    return ""


def _shows_less(body: Json, after: Json) -> bool:
    return isinstance(body, dict) and read_time(body["last_updated"]) >= read_time(after["last_updated"])


def unassigned(run: Run) -> str:
    pool = next((one for one in run.places if one.get("calendars") and not evse_uid(one)), None)
    if pool is None:
        raise Skipped("no BookingLocation is a pool of EVSEs")
    booking = run.book(pool)
    told = evse_uid(booking)
    if told is None:
        raise Fault("booking_option.evse_uid is missing; before the assignment it is #NA")
    return f"at a pool it is {told}; the assignment itself comes shortly before the start"


def methods(run: Run) -> str:
    booking = run.noted.get("first") or {"id": "CONFORMANCE-NONE"}
    offers = f"{run.bookings_url}/booking_locations"
    place = run.places[0]["id"] if run.places else "CONFORMANCE-NONE"
    for url in (run.bookings_url, offers, f"{offers}/{place}", f"{run.bookings_url}/{booking['id']}"):
        for method in ("PUT", "PATCH", "DELETE"):
            answer = run.caller.send(method, url, {} if method != "DELETE" else None)
            if answer.status != 405:
                raise Fault(f"{answer}; HTTP 405 is right")
    return ""


def own_bookings(run: Run) -> str:
    found = run.list(run.bookings_url)
    for booking in found:
        run.conforms("Booking", booking)
    mine = {one["request_id"] for one in run.booked}
    if strangers := [one["id"] for one in found if one["request_id"] not in mine]:
        raise Fault(f"{len(strangers)} bookings are not ours: {strangers[0]}")
    return f"{len(found)} of them"


def empty_calendars(run: Run) -> str:
    """In everything that was read and pushed."""
    seen = 0
    for calendar in _calendars(run):
        seen += 1
        if not calendar.get("available_timeslots"):
            raise Fault(f"calendar {calendar.get('id')} was sent without timeslots")
    return f"of {seen} calendars"


def units(run: Run) -> str:
    for calendar in _calendars(run):
        for slot in calendar.get("available_timeslots") or []:
            powers = [slot[name] for name in ("min_power", "max_power") if name in slot]
            if any(value < LEAST_W for value in powers):
                raise Fault(f"a timeslot of calendar {calendar['id']} has {powers} W")
            if not (is_whole_seconds(slot["start_date_time"]) and is_whole_seconds(slot["end_date_time"])):
                raise Fault(f"a timeslot of calendar {calendar['id']} is no whole second: {slot}")
    return ""


def _calendars(run: Run) -> list[Json]:
    bodies: list[Any] = [call.body for call in run.listener.since(0)]
    for answer in run.caller.answers:
        bodies += answer.data if isinstance(answer.data, list) else [answer.data]
    found = []
    for body in bodies:
        if isinstance(body, dict):
            found += [one for one in body.get("calendars") or [] if isinstance(one, dict)]
            found += [body] if "available_timeslots" in body else []
    return found


OFFERS = (Line(30, "GET booking_locations lists what the caller may book", own_offers, CPO),)
LINES = (
    Line(31, "timeslot_from and timeslot_to give the BookingLocations that are free then", free_in_span, CPO),
    Line(
        32, "BookingLocations and calendars are given one by one; unknown ones are 404", single_objects, CPO
    ),
)
AFTER_BOOKING = (
    Line(61, "A changed calendar raises last_updated and is pushed", calendar_is_told, CPO),
    Line(58, "booking_option.evse_uid is #NA until it is assigned and pushed", unassigned, CPO),
    Line(63, "PUT, PATCH and DELETE on the Sender's urls give 405", methods, CPO),
    Line(33, "GET lists the caller's own bookings", own_bookings, CPO),
)
AT_THE_END = (
    Line(60, "No calendar is sent without timeslots", empty_calendars, CPO),
    Line(62, "Powers of timeslots are W, times whole seconds", units, CPO),
)
