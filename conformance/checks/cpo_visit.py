"""A vehicle that charges on a booking of ours, lines 56, 57 and 82. We start it from afar, where the platform has commands;
else it comes with the card that the run names."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance import specification
from conformance.checks import other_modules
from conformance.checks.cpo_no_show import is_record_of
from conformance.checks.cpo_steps import evse_uid
from conformance.run import CPO, Fault, Line, Run, Skipped, push_of
from conformance.wire import Json, read_time, time_text

NEEDS_A_VEHICLE = "needs a vehicle at a charger of theirs (--wait-vehicle SECONDS)"
BEFORE_START = timedelta(seconds=60)  # to be booked before it begins
CHARGES_S = 15.0
ACCEPTED, REFUSED = "ACCEPTED", "refused"


@dataclass
class Visit:
    """The booking, its tokens, and the mark of when it was made. `fellow` is of its token's group, and not in it."""

    booking: Json
    place: Json
    card: Json
    fellow: Json
    mark: int
    starter: Json  # whoever charges


def fulfilment(run: Run) -> str:
    visit = _visit(run)
    judged = ["a foreign token was refused", "before its time it was refused"]
    if _commands(run):
        _before_its_time(run)
        _foreign_token(run, visit)
    else:
        judged = ["no commands RECEIVER is listed: refusals were not looked at"]
    _charge(run, visit)
    call = run.listener.wait(
        push_of(visit.booking, "FULFILLED"), mark=visit.mark, within_s=run.settings.patience_s
    )
    if call is None:
        raise Fault(f"it charges, and FULFILLED did not come within {run.settings.patience_s:.0f} s")
    run.conforms("Booking", call.body, partial=call.method == "PATCH")
    return "; ".join(judged)


def group_token(run: Run) -> str:
    """Judged before the vehicle charges: with a token that is in the group of the booking's and not in the booking."""
    visit = _visit(run)
    supported = bool((visit.place.get("booking_terms") or {}).get("token_groups_supported"))
    result = run.noted.get("group")
    if result is None:
        raise Skipped(run.noted.get("no group", "no commands RECEIVER is listed"))
    if supported and result not in (REFUSED, ACCEPTED):
        raise Skipped(f"the platform let a token of the group in, and the charger answered {result}")
    if supported != (result == ACCEPTED):
        told = "let in" if result == ACCEPTED else "refused"
        raise Fault(f"token_groups_supported is {supported}, and a token of the group was {told}")
    return "it was let in" if supported else "it was refused, as the terms say"


def references(run: Run) -> str:
    other_modules.sessions_and_cdrs(run)
    visit = _visit(run)
    if "charging" not in run.noted:
        raise Skipped("no vehicle charged on the booking")
    session: Json = run.noted["charging"]
    run.conforms("Session", session)
    reference = visit.booking["authorization_reference"]
    if session["cdr_token"]["uid"].upper() != visit.starter["uid"].upper():
        raise Fault(f"cdr_token is {session['cdr_token']['uid']}, and {visit.starter['uid']} was let in")
    _end(run, session)
    found = run.listener.wait(
        lambda call: is_record_of(call, visit.booking), mark=visit.mark, within_s=run.settings.wait_vehicle_s
    )
    if found is None:
        raise Fault(f"no CDR came within {run.settings.wait_vehicle_s:.0f} s after the session")
    record = found.body
    run.conforms("CDR", record)
    wanted = {"authorization_reference": reference, "session_id": session["id"]}
    if run.version == specification.VERSIONS[0]:
        wanted["booking_id"] = visit.booking["id"]
    if wrong := {name: record.get(name) for name, value in wanted.items() if record.get(name) != value}:
        raise Fault(f"the CDR has {wrong}; {wanted} is right")
    return f"Session {session['id']}, CDR {record['id']} of {record['total_energy']} kWh"


def _visit(run: Run) -> Visit:
    if not run.settings.wait_vehicle_s:
        raise Skipped(NEEDS_A_VEHICLE)
    if "visit" not in run.noted:
        run.noted["visit"] = _book_soonest(run)
    found: Visit = run.noted["visit"]
    return found


def _book_soonest(run: Run) -> Visit:
    card, fellow, mark = run.booking_token(), run.booking_token(), run.listener.mark
    _push_group(run, card, fellow)
    for start, end, place in sorted(_soon(run), key=lambda found: found[0]):
        if start > datetime.now(UTC) + timedelta(seconds=run.settings.wait_vehicle_s):
            break
        booking = run.success(run.ask(run.request(place, (start, end), tokens=[card])))
        if booking["reservation_status"] == "RESERVED":
            return Visit(booking, place, card, fellow, mark, card)
    raise Skipped(f"no booking is granted that begins within {run.settings.wait_vehicle_s:.0f} s")


def _soon(run: Run) -> Iterator[tuple[datetime, datetime, Json]]:
    for place in run.places:
        if evse_uid(place) in (None, "", "#NA"):
            continue
        for start, end, _ in run.fitting_spans(place, after=datetime.now(UTC) + BEFORE_START, minutes=15):
            yield start, end, place
            break


def _push_group(run: Run, *tokens: Json) -> None:
    """One group, so that whoever supports groups lets the second in as well."""
    try:
        url = run.endpoint("tokens", "RECEIVER")
    except Skipped as reason:
        run.noted["no group"] = str(reason)
        return
    group = f"CHKG{secrets.token_hex(4).upper()}"
    for token in tokens:
        body = _whole(token) | {"group_id": group}
        run.success(run.caller.send("PUT", _token_url(url, token), body))
    run.noted["pushed tokens"] = tokens


def withdraw(run: Run) -> None:
    """Tokens cannot be deleted: they are not valid any more."""
    for token in run.noted.get("pushed tokens", ()):
        body = _whole(token) | {"valid": False, "whitelist": "NEVER"}
        run.caller.send("PUT", _token_url(run.endpoint("tokens", "RECEIVER"), token), body)


def _token_url(base: str, token: Json) -> str:
    return f"{base}/{token['country_code']}/{token['party_id']}/{token['uid']}?type={token['type']}"


def _whole(token: Json) -> Json:
    """A Token object of what is in a booking."""
    return {
        **token, "issuer": "Conformance check", "valid": True, "whitelist": "ALLOWED",
        "last_updated": time_text(datetime.now(UTC)),
    }  # fmt: skip


def _before_its_time(run: Run) -> None:
    booking = run.book()
    token = booking["booking_tokens"][0]
    if _start(run, booking, token, booking["authorization_reference"]) == ACCEPTED:
        raise Fault(f"START_SESSION was accepted at {datetime.now(UTC):%F %H:%M} for {booking['period']}")


def _foreign_token(run: Run, visit: Visit) -> None:
    _await_window(run, visit)
    if _start(run, visit.booking, run.booking_token(), secrets.token_hex(12)) == ACCEPTED:
        raise Fault("a token that is not in the booking was let in at its EVSE, at its time")


def _await_window(run: Run, visit: Visit) -> None:
    start = read_time(visit.booking["period"]["start_date_time"])
    terms = visit.place.get("booking_terms") or {}
    early = terms.get("early_start_time", 0) if terms.get("early_start_allowed") else 0
    left = (start - timedelta(minutes=early) - datetime.now(UTC)).total_seconds()
    if left > 0:
        run.settings.say(f"For {left:.0f} s: booking {visit.booking['id']} may begin then.")
        run.listener.wait(lambda _: False, mark=visit.mark, within_s=left)


def _charge(run: Run, visit: Visit) -> None:
    """Have it begin, and wait for its Session. Raises Skipped where no vehicle came."""
    at = f"{visit.booking['location_id']}, EVSE {evse_uid(visit.booking)}"
    how = f"with the card {visit.card['uid']}"
    _await_window(run, visit)
    if _commands(run):
        _try_fellow(run, visit)
        if visit.starter is visit.card:
            _start(run, visit.booking, visit.card, visit.booking["authorization_reference"])
        how = f"we start it; a card that opens is {visit.card['uid']}"
    call = run.have_done(
        f"connect a vehicle at {at} ({how})", _session_of(visit),
        within_s=run.settings.wait_vehicle_s, mark=visit.mark,
    )  # fmt: skip
    run.noted["charging"] = call.body


def _try_fellow(run: Run, visit: Visit) -> None:
    if "pushed tokens" in run.noted:
        reference = visit.booking["authorization_reference"]
        run.noted["group"] = _start(run, visit.booking, visit.fellow, reference)
        visit.starter = visit.fellow if run.noted["group"] == ACCEPTED else visit.card


def _session_of(visit: Visit) -> Callable[[Any], bool]:
    def is_it(call: Any) -> bool:
        is_session = call.method == "PUT" and "/sessions/" in call.path and isinstance(call.body, dict)
        reference = visit.booking["authorization_reference"]
        return (
            is_session and call.body.get("authorization_reference") == reference and bool(call.body.get("id"))
        )

    return is_it


def _end(run: Run, session: Json) -> None:
    """It has charged for some seconds, and is stopped from afar; where that cannot be had the vehicle leaves."""
    mark = run.listener.mark
    run.listener.wait(lambda _: False, mark=mark, within_s=CHARGES_S)
    stopped = _command(run, "STOP_SESSION", {"session_id": session["id"]}) if _commands(run) else REFUSED
    ended = _is_ended(session["id"])
    if stopped == ACCEPTED:
        found = run.listener.wait(ended, mark=mark, within_s=run.settings.patience_s)
    else:
        found = run.have_done("end charging there", ended, within_s=run.settings.wait_vehicle_s, mark=mark)
    if found is None:
        raise Fault(
            f"COMPLETED did not come within {run.settings.patience_s:.0f} s after STOP_SESSION was accepted"
        )
    run.conforms("Session", found.body, partial=found.method == "PATCH")


def _is_ended(session_id: str) -> Callable[[Any], bool]:
    def is_it(call: Any) -> bool:
        is_session = call.method in ("PUT", "PATCH") and call.path.upper().endswith(f"/{session_id}".upper())
        return is_session and isinstance(call.body, dict) and call.body.get("status") == "COMPLETED"

    return is_it


def _commands(run: Run) -> bool:
    return ("commands", "RECEIVER") in run.endpoints


def _start(run: Run, booking: Json, token: Json, reference: str) -> str:
    """What comes of START_SESSION."""
    body = {
        "token": _whole(token), "location_id": booking["location_id"], "evse_uid": evse_uid(booking),
        "authorization_reference": reference,
    }  # fmt: skip
    return _command(run, "START_SESSION", body)


def _command(run: Run, name: str, body: Json) -> str:
    """What the charger answered; REFUSED where it was not asked at all."""
    path = f"/emsp/{run.version}/commands/{uuid.uuid4().hex}"
    mark = run.listener.mark
    answer = run.caller.send(
        "POST", f"{run.endpoint('commands', 'RECEIVER')}/{name}",
        {"response_url": f"{run.listener.url}{path}", **body},
    )  # fmt: skip
    response = run.success(answer)
    run.conforms("CommandResponse", response)
    if response["result"] != ACCEPTED:
        return REFUSED
    told = run.listener.wait(
        lambda call: call.path == path, mark=mark, within_s=max(response["timeout"], run.settings.patience_s)
    )
    if told is None:
        raise Fault(f"{name} was accepted, and no result came within its timeout of {response['timeout']} s")
    return str(told.body["result"])


LINES = (
    Line(
        56,
        "A session in the window fulfils, before it or with a foreign token it is refused",
        fulfilment,
        CPO,
    ),
    Line(57, "A group token opens where token groups are supported", group_token, CPO),
    Line(82, "A booking's reference goes on into Session and CDR", references, CPO),
)
