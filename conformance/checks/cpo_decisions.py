"""Where a person decides at a CPO, lines 35, 45 to 47 and 54: somebody there is asked to approve, refuse and cancel."""

from __future__ import annotations

from typing import Any

from conformance.checks.cpo_steps import require_state
from conformance.run import CPO, Fault, Line, Run, Skipped, newest, period_of, push_of
from conformance.wire import Json

NEEDS_A_PERSON = "needs a person at the other side (--wait-decision SECONDS)"
MOST_TRIED = 12  # Locations that are tried until a booking waits
OF_AN_EMSP = ("TRAFFIC", "BROKEN_VEHICLE")


def approval(run: Run) -> str:
    booking = _waiting(run)
    require_state(booking, "PENDING", "PENDING", entries=1)
    if not run.settings.wait_decision_s:
        raise Skipped(f"a booking waits as it should; its approval {NEEDS_A_PERSON}")
    told = _decided(run, booking, f"approve {_name(booking)}")
    require_state(told, "RESERVED", "ACCEPTED", entries=1)
    run.noted["approved"] = told
    return f"at {run.noted['PENDING'][0]['id']}"


def _waiting(run: Run) -> Json:
    """A first booking that waits. Raises Skipped."""
    tried: set[str] = set()
    for place in run.places:
        if "PENDING" in run.noted or len(tried) == MOST_TRIED:
            break
        if place["location_id"] in tried:
            continue
        tried.add(place["location_id"])
        try:
            booking = run.success(run.ask(run.request(place, run.free_span(place))))
        except Skipped:
            continue
        run.noted.setdefault(booking["reservation_status"], (place, booking))
    if "PENDING" not in run.noted:
        raise Skipped(f"at none of {len(tried)} Locations that were tried a booking waits for an approval")
    return run.noted["PENDING"][1]


def edit_waits(run: Run) -> str:
    before = _approved(run)
    edited = _edit(run, before)
    require_state(edited, "RESERVED", "PENDING", entries=2)
    _same_period(before, edited)
    run.noted["edited"] = edited
    return ""


def second_edit(run: Run) -> str:
    before = _edited(run)
    after = _edit(run, before)
    require_state(after, "RESERVED", "PENDING", entries=3)
    if (older := after["booking_requests"][1]["request_status"]) != "DECLINED":
        raise Fault(f"the edit that waited is {older} after another; DECLINED is right")
    _same_period(before, after)
    run.noted["edited"] = after
    return ""


def edit_decided(run: Run) -> str:
    waiting = _edited(run)
    entries = len(waiting["booking_requests"])
    wanted = newest(waiting)["booking_request"]["period"]
    accepted = _decided(run, waiting, f"approve the change of {_name(waiting)}")
    require_state(accepted, "RESERVED", "ACCEPTED", entries=entries)
    if _span(accepted) != (wanted["start_date_time"], wanted["end_date_time"]):
        raise Fault(f"the approved period is {wanted}, and the booking's {accepted['period']}")
    run.noted["approved"] = accepted
    again = _edit(run, accepted)
    refused = _decided(run, again, f"refuse the change of {_name(again)}")
    require_state(refused, "RESERVED", "DECLINED", entries=entries + 1)
    _same_period(accepted, refused)
    return "approved, and another refused"


def cancelled_there(run: Run) -> str:
    if not run.settings.wait_decision_s:
        raise Skipped(NEEDS_A_PERSON)
    booking = run.noted["approved"] if "approved" in run.noted else run.book()
    if "approved" in run.noted:
        booking = _edit(run, booking)
    call = run.have_done(
        f"cancel {_name(booking)}, as the depot",
        push_of(booking, "CANCELED"), within_s=run.settings.wait_decision_s,
    )  # fmt: skip
    run.conforms("Booking", call.body, partial=call.method == "PATCH")
    gone = run.booking_now(booking)
    told = gone.get("canceled") or {}
    if told.get("who_canceled") != "CPO" or told.get("cancellation_reason") in OF_AN_EMSP:
        raise Fault(f"canceled is {told}; CPO and a reason of a CPO are right")
    if any(entry["request_status"] == "PENDING" for entry in gone["booking_requests"]):
        raise Fault("an entry is still PENDING")
    return str(told.get("cancellation_reason"))


def _decided(run: Run, booking: Json, what: str) -> Json:
    """The booking once its newest entry waits no more, as it was pushed. Raises Skipped."""
    is_of_it = push_of(booking)
    entries = len(booking["booking_requests"])

    def is_it(call: Any) -> bool:
        told = (call.body.get("booking_requests") or []) if is_of_it(call) else []
        return len(told) >= entries and bool(told[-1].get("request_status") != "PENDING")

    call = run.have_done(what, is_it, within_s=run.settings.wait_decision_s)
    run.conforms("Booking", call.body, partial=call.method == "PATCH")
    return call.body if call.method == "PUT" else run.booking_now(booking)


def _edit(run: Run, booking: Json) -> Json:
    """The same booking asked to be at another time; what of it is still asked for may stay free for that."""
    place = run.noted["PENDING"][0]
    asked = {entry["booking_request"]["period"]["start_date_time"] for entry in booking["booking_requests"]}
    for start, end, _ in run.fitting_spans(place):
        period = period_of((start, end))
        if period["start_date_time"] not in asked:
            edited = run.success(run.ask(run.again(booking, period=period)))
            run.conforms("Booking", edited)
            return edited
    raise Skipped(f"nothing else is free at {place['id']}")


def _same_period(before: Json, after: Json) -> None:
    if _span(before) != _span(after):
        raise Fault(f"the period moved from {before['period']} to {after['period']}")


def _span(booking: Json) -> tuple[str, str]:
    return booking["period"]["start_date_time"], booking["period"]["end_date_time"]


def _approved(run: Run) -> Json:
    if "approved" not in run.noted:
        raise Skipped(NEEDS_A_PERSON if not run.settings.wait_decision_s else "no booking was approved")
    return run.noted["approved"]


def _edited(run: Run) -> Json:
    if "edited" not in run.noted:
        raise Skipped(NEEDS_A_PERSON if not run.settings.wait_decision_s else "no change waits")
    return run.noted["edited"]


def _name(booking: Json) -> str:
    period = booking["period"]
    return f"booking {booking['id']} at {booking['location_id']} ({period['start_date_time']} to {period['end_date_time']})"


LINES = (
    Line(35, "Where a person decides: PENDING, and the decision is pushed", approval, CPO),
    Line(45, "An edit that waits leaves the booking RESERVED and its period as it is", edit_waits, CPO),
    Line(47, "A second edit replaces one that waits", second_edit, CPO),
    Line(46, "Its approval or refusal is pushed", edit_decided, CPO),
    Line(54, "A cancellation by the operator is pushed", cancelled_there, CPO),
)
