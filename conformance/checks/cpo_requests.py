"""What a CPO makes of a first BookingRequest, lines 34 and 36 to 44."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta

from conformance.checks.cpo_steps import (
    created,
    is_free_for,
    of_party,
    party_of,
    place_of,
    require_state,
    some_place,
)
from conformance.run import CPO, Fault, Line, Run, Skipped
from conformance.wire import Answer, Json


def create(run: Run) -> str:
    if run.place is None:
        raise Skipped("every booking that was tried waits, or is refused")
    place = run.place
    mark, span = run.listener.mark, run.free_span(place)
    answer = run.ask(run.request(place, span))
    booking = run.success(answer)
    run.conforms("Booking", booking)
    require_state(booking, "RESERVED", "ACCEPTED", entries=1)
    if answer.status != 201:
        raise Fault(f"{answer}; HTTP 201 is right for a new booking")
    after = run.offer(place["id"])
    if is_free_for(after, span):
        raise Fault("the calendar still shows the booked time as free")
    run.noted["created"] = (booking, span, after, mark)
    return ""


def taken(run: Run) -> str:
    booking, span, *_ = created(run)
    answer = run.ask(run.request(run.place, span))
    refused = run.success(answer)
    require_state(refused, "REJECTED", "DECLINED", entries=1)
    run.noted["rejected"] = refused
    return f"{booking['id']} stands" if answer.message else "without status_message"


def unknown_place(run: Run) -> str:
    place, span = some_place(run)
    for change in ({"location_id": "CONFORMANCE-NONE"}, {"booking_location_id": "CONFORMANCE-NONE"}):
        run.refused(run.ask(run.request(place, span, **change)), 2003)
    return ""


def foreign_party(run: Run) -> str:
    place, span = some_place(run)
    run.refused(run.ask(run.request(place, span, country_code="ZZ", party_id="ZZZ")), 2001)
    return ""


def wrong_period(run: Run) -> str:
    place, (start, end) = some_place(run)
    past = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=2)
    for span in ((end, start), (start, start), (past, past + (end - start))):
        run.refused(run.ask(run.request(place, span)), 2001)
    return ""


def odd_period(run: Run) -> str:
    place, (start, end) = some_place(run)
    terms = place.get("booking_terms") or {}
    step = _step(place)
    odd = {}
    if step > 1:
        odd["not aligned"] = (start + timedelta(minutes=1), end + timedelta(minutes=1))
    if (least := terms.get("min_booking_duration") or 0) > step:
        odd["too short"] = (start, start + timedelta(minutes=least - step))
    if most := terms.get("max_booking_duration"):
        odd["too long"] = (start, start + timedelta(minutes=most + step))
    if not odd:
        raise Skipped("the terms name neither a step nor limits of the duration")
    for what, span in odd.items():
        answer = run.ask(run.request(place, span))
        booking = run.success(answer)
        if booking["reservation_status"] != "REJECTED" or not answer.message:
            raise Fault(f"{what}: {booking['reservation_status']} with message {answer.message!r}")
    return ", ".join(odd)


def _step(place: Json) -> int:
    steps = [calendar.get("timeslot_increment") for calendar in place.get("calendars") or []]
    return int(next((step for step in steps if step), 1))


def power(run: Run) -> str:
    place = place_of(run)
    with_power = (one for one in run.fitting_spans(place) if one[2].get("max_power"))
    start, end, slot = next(with_power, (None, None, None))
    if slot is None or start is None or end is None:
        raise Skipped("no timeslot says what power there is")
    most = slot["max_power"]
    refused = run.success(
        run.ask(run.request(place, (start, end), power_required=math.floor(most / 1000) + 1))
    )
    if refused["reservation_status"] != "REJECTED":
        raise Fault(f"{math.floor(most / 1000) + 1} kW of {most} W is {refused['reservation_status']}")
    granted = run.success(run.ask(run.request(place, (start, end), power_required=math.floor(most / 1000))))
    if granted["reservation_status"] != "RESERVED":
        raise Fault(f"{math.floor(most / 1000)} kW of {most} W is {granted['reservation_status']}")
    return f"{most} W"


def identical(run: Run) -> str:
    booking = run.book()
    again = run.success(run.caller.send("POST", run.bookings_url, run.again(booking)))
    if again["id"] != booking["id"] or len(again["booking_requests"]) != len(booking["booking_requests"]):
        raise Fault(f"the second gave {again['id']} with {len(again['booking_requests'])} entries")
    return ""


def last_slot(run: Run) -> str:
    place, second = place_of(run), run.second_party
    span = run.free_span(place)
    requests = [run.request(place, span), of_party(second, run.request(place, span))]
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda one=one: answers.append(run.ask(one, sender=party_of(one))))
        for one in requests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _need_second(answers)
    found = sorted(run.success(one)["reservation_status"] for one in answers)
    if found.count("RESERVED") != 1:
        raise Fault(f"two at once for one slot are {' and '.join(found)}")
    return ""


def same_request_id(run: Run) -> str:
    place, second = place_of(run), run.second_party
    first = run.book()
    span = run.free_span(place)
    request = of_party(second, run.request(place, span, request_id=first["request_id"]))
    answer = run.ask(request, sender=second)
    _need_second([answer])
    other = run.success(answer)
    if other["id"] == first["id"] or len(other["booking_requests"]) != 1:
        raise Fault(f"the second eMSP's request became an edit of {first['id']}")
    return ""


def _need_second(answers: list[Answer]) -> None:
    if any(answer.code == 2001 or answer.status == 404 for answer in answers):
        raise Skipped("the platform does not take a second eMSP party of ours")


LINES = (
    Line(34, "A valid request gives 201, RESERVED, ACCEPTED, and the time is gone", create, CPO),
    Line(36, "A taken slot gives 1000, REJECTED and DECLINED", taken, CPO),
    Line(37, "An unknown location or BookingLocation gives 2003", unknown_place, CPO),
    Line(38, "A party that is not the caller's gives 2001", foreign_party, CPO),
    Line(39, "An end before the start, or a start in the past, gives 2001", wrong_period, CPO),
    Line(40, "A period off the step, too short or too long is REJECTED with a message", odd_period, CPO),
    Line(41, "power_required above max_power is REJECTED, up to it granted", power, CPO),
    Line(42, "The identical request twice is one booking with one entry", identical, CPO),
    Line(43, "Two eMSPs at once for the last slot: one RESERVED", last_slot, CPO),
    Line(44, "The same request_id of two eMSPs makes two bookings", same_request_id, CPO),
)
