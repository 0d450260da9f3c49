"""What becomes of a booking at a CPO: edits, cancellations, and its history, lines 18, 29, 48, 49, 51 to 53 and 59."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from conformance.checks.cpo_steps import (
    created,
    is_free_for,
    place_of,
    require_state,
    some_place,
)
from conformance.listener import Call
from conformance.run import CANCELLED_BY_EMSP, CPO, Fault, Line, Run, Skipped, newest
from conformance.wire import Json, read_time

UNTIL_CANCELLED_MIN = 5  # in which what was booked is cancelled again


def late_edit(run: Run) -> str:
    """Where edits are not allowed at all, or not any more and cancelling still is. It is cancelled at once, while it can be."""
    for place in run.places:
        terms = place.get("booking_terms") or {}
        change, cancel = terms.get("change_until_minutes", 0), terms.get("cancel_until_minutes", 0)
        if not terms.get("change_not_allowed") and change <= cancel + UNTIL_CANCELLED_MIN:
            continue
        try:
            booking = run.book(place) if terms.get("change_not_allowed") else _book_between(run, place)
        except Skipped:
            continue
        edited = run.success(run.ask(run.again(booking, authorization_reference=uuid.uuid4().hex)))
        gone = run.success(run.ask(run.again(booking, canceled=CANCELLED_BY_EMSP)))
        require_state(edited, "RESERVED", "DECLINED", entries=2)
        require_state(gone, "CANCELED", "ACCEPTED", entries=3)
        return f"at {place['id']}"
    raise Skipped(
        "no BookingLocation has free time at which a booking can still be cancelled and not changed"
    )


def _book_between(run: Run, place: Json) -> Json:
    """So soon that it cannot be changed any more, and late enough to be cancelled. Raises Skipped."""
    terms, now = place["booking_terms"], datetime.now(UTC)
    span = run.free_span(
        place, after=now + timedelta(minutes=terms["cancel_until_minutes"] + UNTIL_CANCELLED_MIN)
    )
    if span[0] >= now + timedelta(minutes=terms["change_until_minutes"]):
        raise Skipped("nothing is free soon enough")
    booking = run.success(run.ask(run.request(place, span)))
    if booking["reservation_status"] != "RESERVED":
        raise Skipped("it is not granted")
    return booking


def cancel(run: Run) -> str:
    booking, span, *_ = created(run)
    answer = run.ask(run.again(booking, canceled=CANCELLED_BY_EMSP))
    gone = run.success(answer)
    run.conforms("Booking", gone)
    require_state(gone, "CANCELED", "ACCEPTED", entries=2)
    if gone.get("canceled") != CANCELLED_BY_EMSP:
        raise Fault(f"canceled is {gone.get('canceled')}")
    if not is_free_for(run.offer(run.place["id"]), span):
        raise Fault("the cancelled time is not free again in the calendar")
    run.noted["cancelled"] = gone
    return ""


def cancel_leniently(run: Run) -> str:
    booking = run.book()
    country, party = run.settings.party
    body = {
        "country_code": country,
        "party_id": party,
        "request_id": booking["request_id"],
        "canceled": CANCELLED_BY_EMSP,
    }
    gone = run.success(run.caller.send("POST", run.bookings_url, body))
    if gone["reservation_status"] != "CANCELED":
        raise Fault(f"it is {gone['reservation_status']}")
    return ""


def final(run: Run) -> str:
    booking = run.noted.get("cancelled")
    if booking is None:
        raise Skipped("no booking was cancelled")
    url, last = run.bookings_url, run.again(booking)
    run.refused(run.caller.send("POST", url, {**last, "authorization_reference": uuid.uuid4().hex}), 2001)
    again = run.success(run.caller.send("POST", url, last))
    if (again["id"], again["reservation_status"]) != (booking["id"], "CANCELED") or len(
        again["booking_requests"]
    ) != 2:
        raise Fault("an identical retry does not give the booking as it is")
    return ""


def cancel_nothing(run: Run) -> str:
    place, span = some_place(run)
    run.refused(run.ask(run.request(place, span, canceled=CANCELLED_BY_EMSP)), 2001)
    return ""


def history(run: Run) -> str:
    extra = {"conformance_note": "kept"}
    booking = run.book(None, **extra)
    for moved in (uuid.uuid4().hex, uuid.uuid4().hex):
        booking = run.success(run.ask(run.again(booking, authorization_reference=moved)))
    sent = [one for one in run.booked if one["request_id"] == booking["request_id"]]
    entries = booking["booking_requests"]
    if [entry["booking_request"] for entry in entries] != sent:
        raise Fault("booking_requests does not hold what we posted, oldest first")
    for entry in entries:
        read_time(entry["request_received"])
    return f"{len(entries)} entries, an unknown field in them"


def unknown_fields(run: Run) -> str:
    """Line 18 at a CPO; at an eMSP it is judged on an object of ours."""
    booking = run.book(None, conformance_extension={"kept": True})
    read = run.get(f"{run.bookings_url}?date_from={booking['last_updated']}")
    mine = next(one for one in read if one["id"] == booking["id"])
    if "conformance_extension" not in newest(mine)["booking_request"]:
        raise Fault("an unknown field of a BookingRequest is not given back")
    return ""


def outage(run: Run) -> str:
    """Our Receiver fails while a booking is made, changed and cancelled, until its last state has been tried: what was under way
    when it was cancelled has failed by then. Then only that state may come."""
    place = place_of(run)
    run.listener.shown.failing = 503
    mark = run.listener.mark
    try:
        booking = run.book(place)
        run.success(run.ask(run.again(booking, authorization_reference=uuid.uuid4().hex)))
        run.success(run.ask(run.again(booking, canceled=CANCELLED_BY_EMSP)))
        tried = run.listener.wait(
            lambda call: _has_failed(call) and _status(call) == "CANCELED",
            mark=mark,
            within_s=run.settings.patience_s,
        ) or next(filter(_has_failed, run.listener.since(mark)), None)
    finally:
        run.listener.shown.failing = 0
    if tried is None:
        raise Skipped("nothing was pushed while our Receiver failed")
    mark = run.listener.mark
    told = run.pushed(booking, mark=mark, status="CANCELED")
    if told is None:
        raise Fault(
            f"the booking's state did not come within {run.settings.patience_s:.0f} s after the outage"
        )
    run.conforms("Booking", told.body, partial=told.method == "PATCH")
    mine = [call.body for call in run.listener.since(mark) if call.path == told.path]
    if stale := [one["reservation_status"] for one in mine if one["reservation_status"] != "CANCELED"]:
        raise Fault(f"after the outage {', '.join(stale)} was sent although the booking is CANCELED")
    return ""


def _has_failed(call: Call) -> bool:
    return call.is_push and call.status == 503


def _status(call: Call) -> object:
    return call.body.get("reservation_status") if isinstance(call.body, dict) else None


LINES = (
    Line(48, "An edit that is too late is DECLINED, the booking stays", late_edit, CPO),
    Line(49, "A cancellation in time gives CANCELED, and the time is free again", cancel, CPO),
    Line(51, "A cancellation with its identifiers alone is understood", cancel_leniently, CPO),
    Line(52, "A final booking gives 2001 to anything new, and itself to an identical retry", final, CPO),
    Line(53, "A cancellation of nothing gives 2001", cancel_nothing, CPO),
    Line(59, "The history keeps every request verbatim with request_received", history, CPO),
    Line(18, "Unknown fields are accepted, kept and given back", unknown_fields, CPO),
    Line(29, "After an outage pushes resume with the last state only", outage, CPO),
)
