"""Other modules, lines 79 to 90, as far as nothing is started, unlocked or billed by looking."""

from __future__ import annotations

import uuid

from conformance import specification
from conformance.cpo_objects import CpoObjects
from conformance.run import CPO, EMSP, Fault, Line, Run, Skipped, not_judged
from conformance.wire import Json


def locations(run: Run) -> str:
    found = run.list(run.endpoint("locations", "SENDER"))
    for one in found:
        run.conforms("Location", one)
        places = {place["id"] for place in one.get("parking_places") or []}
        named = {bay["parking_id"] for evse in one.get("evses") or [] for bay in evse.get("parking") or []}
        if lost := named - places:
            raise Fault(f"Location {one['id']}: EVSE.parking names {min(lost)}, which is no parking place")
    run.noted["locations"] = found
    heavy = sum(
        1
        for one in found
        if any("TRUCK_WITH_TRAILER" in p["vehicle_types"] for p in one.get("parking_places") or [])
    )
    return f"{len(found)} Locations, {heavy} of them with bays for trucks with trailers"


def booking_tariffs(run: Run) -> str:
    """Also: every Tariff is one."""
    tariffs = run.list(run.endpoint("tariffs", "SENDER"))
    for one in tariffs:
        run.conforms("Tariff", one)
    of_bookings = {one["id"].upper() for one in tariffs if any(map(_is_of_bookings, one["elements"]))}
    connectors = [
        c
        for one in run.noted.get("locations", [])
        for evse in one.get("evses") or []
        for c in evse["connectors"]
    ]
    mixed = {
        tariff for c in connectors for tariff in c.get("tariff_ids") or [] if tariff.upper() in of_bookings
    }
    if mixed:
        raise Fault(f"tariff {min(mixed)} has booking elements and is named by a connector")
    return f"{len(tariffs)} Tariffs, {len(of_bookings)} of them for bookings"


def _is_of_bookings(element: Json) -> bool:
    return "booking" in (element.get("restrictions") or {})


def command_result(run: Run) -> str:
    """By the one command that moves nothing: cancelling a reservation that there is not."""
    url = run.endpoint("commands", "RECEIVER")
    path = f"/emsp/{run.version}/commands/{uuid.uuid4().hex}"
    body = {"response_url": f"{run.listener.url}{path}", "reservation_id": uuid.uuid4().hex}
    mark = run.listener.mark
    to = next(((country, party) for role, country, party in run.parties if role == CPO), None)
    response = run.success(run.caller.send("POST", f"{url}/CANCEL_RESERVATION", body, to=to))
    run.conforms("CommandResponse", response)
    if response["result"] != "ACCEPTED":
        raise Skipped(f"CANCEL_RESERVATION of nothing is {response['result']} at once; no result follows")
    told = run.listener.wait(lambda call: call.path == path, mark=mark, within_s=run.settings.patience_s)
    if told is None:
        raise Fault(f"no result came to response_url within {run.settings.patience_s:.0f} s")
    if found := specification.faults("CommandResult", told.body, run.version):
        raise Fault(f"the result is no bare CommandResult: {found[0]}")
    if "ocpi-from-party-id" not in told.headers or "ocpi-to-party-id" not in told.headers:
        raise Fault("the result came without routing headers")
    return f"with {told.body['result']}"


def authorize(run: Run) -> str:
    url = run.endpoint("tokens", "SENDER")
    answer = run.caller.send("POST", f"{url}/CHK-{uuid.uuid4().hex[:12]}/authorize?type=RFID", {})
    run.refused(answer, 2004, http=(404,))
    return "the unknown token; blocked and booked ones are not known to us"


def session_periods(run: Run) -> str:
    base = run.endpoint("sessions", "RECEIVER")
    mine: CpoObjects = run.noted["objects"]
    country, party = run.settings.party
    session = mine.session(_emsp(run))
    url = f"{base}/{country}/{party}/{session['id']}"
    run.success(run.caller.send("PUT", url, session))
    added = [mine.charging_period(15)]
    run.success(
        run.caller.send("PATCH", url, {"charging_periods": added, "kwh": 3.0, "last_updated": mine.newer()})
    )
    _has_periods(run, url, [*session["charging_periods"], *added])
    ended: Json = {
        **session,
        "charging_periods": added,
        "kwh": 0,
        "status": "INVALID",
        "last_updated": mine.newer(),
    }
    run.success(run.caller.send("PUT", url, ended))
    _has_periods(run, url, added)
    return f"{session['id']} stays there as INVALID: sessions cannot be taken back"


def _has_periods(run: Run, url: str, wanted: list[Json]) -> None:
    held = run.get(url).get("charging_periods") or []
    if [one["start_date_time"] for one in held] != [one["start_date_time"] for one in wanted]:
        raise Fault(f"{len(held)} charging_periods, {len(wanted)} are right")


def sessions_and_cdrs(run: Run) -> None:
    """What is there already, of which no line speaks by itself."""
    for identifier, name, query in (
        ("sessions", "Session", "?date_from=2020-01-01T00:00:00Z"),
        ("cdrs", "CDR", ""),
    ):
        for one in run.list(f"{run.endpoint(identifier, 'SENDER')}{query}"):
            run.conforms(name, one)


def _emsp(run: Run) -> tuple[str, str]:
    for role, country, party in run.parties:
        if role == EMSP:
            return country, party
    raise Skipped("the platform's credentials name no EMSP")


INSIDE = "is computed inside"
LINES = (
    Line(79, "Locations are complete; EVSE.parking names bays of the Location", locations, CPO),
    Line(80, "Tariffs with booking elements are named by no connector", booking_tariffs, CPO),
    Line(81, "Worked tariff samples compute to the published totals", not_judged(INSIDE)),
    Line(83, "A CommandResult is sent bare, with routing headers", command_result, CPO),
    Line(88, "authorize gives 404 and 2004 for an unknown token", authorize, EMSP),
    Line(89, "PATCH of a Session appends charging_periods, PUT replaces them", session_periods, EMSP),
    Line(90, "A party a hub says is OFFLINE is sent nothing, others are", not_judged("needs a hub between the platform and us")),
)  # fmt: skip
