"""Somebody at an eMSP who books with us, and cancels, lines 72, 73, 77 and 78."""

from __future__ import annotations

from conformance.cpo_objects import CpoObjects
from conformance.listener import Call
from conformance.run import CANCELLED_BY_EMSP, EMSP, Fault, Line, Run, Skipped
from conformance.wire import Answer, Json, NoAnswer

NEEDS_A_DISPATCHER = "needs a dispatcher of theirs who books with us (--wait-booking SECONDS)"
PUSHED, LOST = "pushed before it was answered", "answer that was lost"
WHERE = "Conformance depot 1"


def answer(run: Run, request: Json) -> Json:
    """The Booking for a BookingRequest that came. The first is told before it is answered, and the answer to the second is lost.

    None: say nothing, and hang up.
    """
    mine: CpoObjects = run.noted["objects"]
    asked: list[Json] = run.noted.setdefault("asked", [])
    asked.append(request)
    ids = list(dict.fromkeys(one.get("request_id") for one in asked))
    booking = mine.granted(request)
    bookings = [one for one in run.listener.shown.lists.get("bookings", []) if one["id"] != booking["id"]]
    run.listener.shown.lists["bookings"] = [*bookings, booking]
    if len(asked) == 1:
        run.noted[PUSHED] = (booking, _tell(run, booking))
    if ids.index(request.get("request_id")) == 1 and LOST not in run.noted:
        run.noted[LOST] = (request, run.listener.mark)
        return None
    return booking


def _tell(run: Run, booking: Json) -> Answer | str:
    url = f"{run.receiver_url}/{booking['country_code']}/{booking['party_id']}/{booking['id']}"
    try:
        return run.caller.send("PUT", url, booking)
    except NoAnswer as error:
        return str(error)


def their_request(run: Run) -> str:
    if run.settings.wait_booking_s and not run.noted.get("asked"):
        run.have_done(
            f"book at {WHERE}, for any vehicle and time that is free",
            _is_request, mark=0, within_s=run.settings.wait_booking_s,
        )  # fmt: skip
    asked = run.noted.get("asked")
    if not asked:
        raise Skipped(NEEDS_A_DISPATCHER)
    run.conforms("BookingRequest", asked[0])
    if not asked[0].get("tokens"):
        raise Fault("tokens is empty")
    if named := {"min_power", "max_power", "power"} & set(asked[0]["period"]):
        raise Fault(f"period has {', '.join(sorted(named))}")
    return f"{len(asked)} requests"


def early_push(run: Run) -> str:
    if PUSHED not in run.noted:
        raise Skipped(NEEDS_A_DISPATCHER)
    booking, told = run.noted[PUSHED]
    if isinstance(told, str):
        raise Fault(f"while its request was not answered yet: {told}")
    run.success(told)
    base = f"{run.receiver_url}/{booking['country_code']}/{booking['party_id']}"
    for name in (booking["id"], booking["request_id"]):
        if (found := run.get(f"{base}/{name}"))["id"] != booking["id"]:
            raise Fault(f"GET {name} gives {found['id']}, and {booking['id']} was told and answered")
    return "told, then answered: GET gives one, by both its ids"


def their_cancellation(run: Run) -> str:
    if not run.noted.get("asked"):
        raise Skipped(NEEDS_A_DISPATCHER)
    found = run.have_done(
        f"cancel what was booked at {WHERE}", _is_cancellation, mark=0, within_s=run.settings.wait_booking_s
    )
    run.conforms("BookingRequest", found.body)
    if found.body["canceled"].get("who_canceled") != CANCELLED_BY_EMSP["who_canceled"]:
        raise Fault(f"canceled is {found.body['canceled']}")
    return ""


def lost_answer(run: Run) -> str:
    """It hears nothing, and must find out."""
    if not run.settings.wait_booking_s or not run.noted.get("asked"):
        raise Skipped(NEEDS_A_DISPATCHER)
    if LOST not in run.noted:
        run.have_done(f"book at {WHERE} once more", _is_hung_up, mark=0, within_s=run.settings.wait_booking_s)
    request, mark = run.noted[LOST]
    found = run.listener.wait(
        lambda call: _finds_out(call, request), mark=mark, within_s=run.settings.patience_s
    )
    asked = [one for one in run.noted["asked"] if one.get("period") == request["period"]]
    if others := {one["request_id"] for one in asked} - {request["request_id"]}:
        raise Fault(f"the same was asked for anew as {min(others)}")
    if found is None:
        raise Fault(f"it neither asked again nor read our list within {run.settings.patience_s:.0f} s")
    how = "the identical request came again" if found.method == "POST" else "our list was read"
    return f"after a connection that we closed {how}"


def _is_request(call: Call) -> bool:
    return call.method == "POST" and call.path.endswith("/bookings")


def _is_cancellation(call: Call) -> bool:
    return _is_request(call) and isinstance(call.body, dict) and bool(call.body.get("canceled"))


def _is_hung_up(call: Call) -> bool:
    return _is_request(call) and call.status == 0


def _finds_out(call: Call, request: Json) -> bool:
    if _is_request(call):
        return bool(call.status and call.body == request)
    return call.method == "GET" and call.path.endswith("/bookings")


LINES = (
    Line(77, "BookingRequests are complete, without power in the period", their_request, EMSP),
    Line(72, "A push before the answer to its request ends as one booking", early_push, EMSP),
    Line(78, "A cancellation is a complete BookingRequest with canceled", their_cancellation, EMSP),
    Line(73, "After a lost answer the booking is found in our list, not made twice", lost_answer, EMSP),
)
