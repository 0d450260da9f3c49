"""A booking that nobody comes to, lines 50, 55 and 84. It cannot be taken back any more, and may cost something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.checks.cpo_steps import evse_uid, require_state
from conformance.run import CANCELLED_BY_EMSP, CPO, Fault, Line, Run, Skipped, push_of
from conformance.wire import Json, read_time

LEAVES_ONE = "leaves a booking that cannot be taken back (--wait-no-show SECONDS)"
BEFORE_START = timedelta(seconds=45)  # to be booked before it begins
GRACE_S = 60.0
OUT_OF_ORDER = frozenset({"INOPERATIVE", "OUTOFORDER", "PLANNED", "REMOVED", "UNKNOWN"})
SECOND_S = 10.0  # in which a second NO_SHOW would come


def late_cancellation(run: Run) -> str:
    booking, _ = _left_alone(run)
    _until(run, booking, _deadline(booking) + timedelta(seconds=2))
    if (held := run.booking_now(booking)["reservation_status"]) != "RESERVED":
        raise Skipped(f"it is {held}: somebody was quicker")
    kept = run.success(run.ask(run.again(booking, canceled=CANCELLED_BY_EMSP)))
    require_state(kept, "RESERVED", "DECLINED", entries=2)
    return f"{_terms(booking).get('cancel_until_minutes')} minutes before the start, by its terms"


def _left_alone(run: Run) -> tuple[Json, int]:
    """The booking, and the mark of when it was made. Raises Skipped."""
    if not run.settings.wait_no_show_s:
        raise Skipped(LEAVES_ONE)
    if "left alone" not in run.noted:
        mark = run.listener.mark
        run.noted["left alone"] = (_book_soonest(run), mark)
    return run.noted["left alone"]


def _book_soonest(run: Run) -> Json:
    give_up_at = datetime.now(UTC) + timedelta(seconds=run.settings.wait_no_show_s)
    visited = run.noted["visit"].place["id"] if "visit" in run.noted else ""
    broken = _out_of_order(run)

    def last_resort(place: Json) -> tuple[bool, bool]:
        """Nobody pays for not coming where nobody could charge; a vehicle may still stand where one charged for us."""
        return evse_uid(place) in broken, place["id"] == visited

    over = sorted(_over(run), key=lambda found: (last_resort(found[1]), found[0]))
    for at, place, span in over:
        if at < give_up_at and span[0] > datetime.now(UTC):
            booking = run.success(run.ask(run.request(place, span)))
            if booking["reservation_status"] == "RESERVED":
                run.noted["out of order"] = broken.get(evse_uid(place) or "")
                return booking
    soonest = f"; the soonest is over at {min(at for at, _, _ in over):%H:%M} UTC" if over else ""
    raise Skipped(f"no booking is granted that runs out within {run.settings.wait_no_show_s:.0f} s{soonest}")


def _out_of_order(run: Run) -> dict[str, str]:
    """The states of EVSEs at which nobody can charge, as the platform tells them in its Locations; none where it lists none."""
    try:
        told = run.list(run.endpoint("locations", "SENDER"))
    except Skipped:
        return {}
    evses = [evse for location in told for evse in location.get("evses") or []]
    return {evse["uid"]: evse["status"] for evse in evses if evse["status"] in OUT_OF_ORDER}


def _over(run: Run) -> Iterator[tuple[datetime, Json, tuple[datetime, datetime]]]:
    """When a booking at each place, from as soon as it is free, would be a no-show."""
    for place in run.places:
        timeout = (place.get("booking_terms") or {}).get("noshow_timeout")
        if timeout is None or evse_uid(place) in (None, "", "#NA"):
            continue
        for start, end, _ in run.fitting_spans(place, after=datetime.now(UTC) + BEFORE_START):
            yield start + timedelta(minutes=timeout), place, (start, end)
            break


def no_show(run: Run) -> str:
    booking, mark = _left_alone(run)
    over = read_time(booking["period"]["start_date_time"]) + timedelta(
        minutes=_terms(booking)["noshow_timeout"]
    )
    within_s = max(0.0, (over - datetime.now(UTC)).total_seconds()) + max(GRACE_S, run.settings.patience_s)
    ended = run.listener.wait(
        lambda call: any(push_of(booking, status)(call) for status in ("NO_SHOW", "FULFILLED", "CANCELED")),
        mark=mark, within_s=within_s,
    )  # fmt: skip
    if ended is None:
        raise Fault(f"nothing was pushed although the time to come was over at {over:%H:%M:%S} UTC")
    if ended.body["reservation_status"] != "NO_SHOW":
        raise Skipped(f"it became {ended.body['reservation_status']}: somebody was quicker")
    run.conforms("Booking", ended.body, partial=ended.method == "PATCH")
    run.listener.wait(lambda _: False, mark=mark, within_s=SECOND_S)
    told = {
        call.body.get("last_updated")
        for call in run.listener.since(mark)
        if push_of(booking, "NO_SHOW")(call)
    }
    if len(told) != 1:
        raise Fault(f"it became NO_SHOW {len(told)} times")
    if (held := run.booking_now(booking)["reservation_status"]) != "NO_SHOW":
        raise Fault(f"it is {held} afterwards")
    run.noted["no show"] = booking
    return f"{_terms(booking)['noshow_timeout']} minutes after the start"


def no_show_record(run: Run) -> str:
    booking, mark = _left_alone(run)
    if "no show" not in run.noted:
        raise Skipped("no booking became a no-show")
    found = run.listener.wait(
        lambda call: is_record_of(call, booking), mark=mark, within_s=run.settings.patience_s
    )
    if found is None and not _terms(booking).get("noshow_fee"):
        raise Skipped("a no-show costs nothing here, and no CDR came")
    if found is None and (state := run.noted["out of order"]):
        raise Skipped(f"no CDR came; the platform told {state} of the EVSE, and may have waived the fee")
    if found is None:
        raise Fault(f"noshow_fee is true, and no CDR came within {run.settings.patience_s:.0f} s")
    record = found.body
    run.conforms("CDR", record)
    if "session_id" in record or record["total_energy"]:
        raise Fault(
            f"session_id {record.get('session_id')}, total_energy {record['total_energy']}; none and 0 are right"
        )
    if record.get("total_reservation_cost") != record["total_cost"]:
        raise Fault(
            f"total_reservation_cost is {record.get('total_reservation_cost')}, total_cost {record['total_cost']}"
        )
    return f"{record['id']}, {record['total_cost']}"


def is_record_of(call: Any, booking: Json) -> bool:
    """A CDR that names the booking; under 2.2.1 the reference alone can."""
    if call.method != "POST" or not call.path.endswith("/cdrs") or not isinstance(call.body, dict):
        return False
    named, reference = call.body.get("booking_id"), call.body.get("authorization_reference")
    return named == booking["id"] if named else reference == booking.get("authorization_reference")


def _terms(booking: Json) -> Json:
    return booking.get("booking_terms") or {}


def _deadline(booking: Json) -> datetime:
    """Until when it can be cancelled."""
    start = read_time(booking["period"]["start_date_time"])
    return start - timedelta(minutes=_terms(booking).get("cancel_until_minutes") or 0)


def _until(run: Run, booking: Json, moment: datetime) -> None:
    left = (moment - datetime.now(UTC)).total_seconds()
    if left > 0:
        run.settings.say(f"For {left:.0f} s: nobody comes to booking {booking['id']}.")
        run.listener.wait(lambda _: False, mark=run.listener.mark, within_s=left)


LINES = (
    Line(50, "A cancellation that is too late is DECLINED", late_cancellation, CPO),
    Line(55, "A booking nobody comes to is NO_SHOW once", no_show, CPO),
    Line(84, "The CDR of a no-show has no session and no energy", no_show_record, CPO),
)
