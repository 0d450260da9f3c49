"""Bookings of an eMSP, lines 22, 25 to 28, 64 to 71 and 74 to 76: we are a CPO that offers, and tells of bookings."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from conformance.checks import emsp_dispatcher
from conformance.checks.deviating_objects import DEVIATIONS, as_edition_1_0
from conformance.cpo_objects import CpoObjects
from conformance.listener import Call
from conformance.run import EMSP, Fault, Line, Run, Skipped
from conformance.wire import Answer, Json, Party

ALIASES = "bookinglocations"


def show(run: Run) -> None:
    """What we offer is in our lists before we register, so that it can be read at once."""
    mine = CpoObjects(run.settings.party, datetime.now(UTC))
    offer = mine.booking_location()
    run.noted |= {"objects": mine, "shown": offer}
    # Three locations are two pages.
    run.listener.shown.lists = {
        "locations": [mine.location(number) for number in (1, 2, 3)],
        "bookings/booking_locations": [offer],
    }
    run.listener.shown.on_request = lambda request: emsp_dispatcher.answer(run, request)


def strict_paths(run: Run) -> str:
    mine = _objects(run)
    offer, booking = mine.booking_location(), mine.unsolicited_booking(_their_party(run))
    for path, body in (
        (f"booking_locations/{offer['id']}", offer),
        (f"booking_locations/{offer['id']}/{offer['calendars'][0]['id']}", mine.calendar()),
        (booking["id"], booking),
    ):
        _put(run, path, body)
        _holds(run, path, body)
        run.success(_send(run, "PATCH", path, {"last_updated": mine.newer()}))
    run.noted |= {
        "offer": offer,
        "offer url": _url(run, f"booking_locations/{offer['id']}"),
        "booking": booking,
    }
    return ""


def other_paths(run: Run) -> str:
    offer, party = _offer(run), run.settings.party
    base = run.receiver_url
    for url in (
        f"{base}/{ALIASES}/{party[0]}/{party[1]}/{offer['id']}",
        f"{base}/{party[0]}/{party[1]}/{ALIASES}/{offer['id']}",
        f"{_url(run, 'booking_locations')}/{offer['id']}/",
    ):
        found = run.get(url)
        if found.get("id") != offer["id"]:
            raise Fault(f"GET {url} gives {found.get('id')}")
    return ""


def path_is_request_id(run: Run) -> str:
    booking = {**_booking(run), "last_updated": _objects(run).newer()}
    run.success(_send(run, "PUT", booking["request_id"], booking))
    _holds(run, booking["id"], booking)
    _holds(run, booking["request_id"], booking)
    return ""


def older_edition(run: Run) -> str:
    """Objects as Bookings 1.0 has them are taken; what becomes of them inside is not seen."""
    mine = _objects(run)
    offer = as_edition_1_0(mine.booking_location(2), ("booking_option", "bookable_parking_options"))
    calendar = offer["calendars"][0]
    calendar["step_size"] = calendar.pop("timeslot_increment")
    booking = as_edition_1_0(
        mine.unsolicited_booking(_their_party(run), 2), ("booking_option", "bookable_parking_option")
    )
    _put(run, f"booking_locations/{offer['id']}", offer)
    _put(run, booking["id"], booking)
    _take_back(run, booking, offer)
    return "taken; what becomes of them inside is not seen"


def deviating(run: Run) -> str:
    """Spellings that are out in the field (§4): each alone in an object that is right otherwise."""
    mine = _objects(run)
    for what, change in DEVIATIONS.items():
        offer = mine.booking_location(3)
        change(offer)
        answer = _send(run, "PUT", f"booking_locations/{offer['id']}", offer)
        if not answer.is_success:
            raise Fault(f"{what}: {answer}")
    _take_back(run, None, mine.booking_location(3))
    return f"{len(DEVIATIONS)} spellings; whether they are counted is not seen"


def patch_evse(run: Run) -> str:
    before = run.get(_url(run, _booking(run)["id"]))
    run.success(
        _send(
            run,
            "PATCH",
            before["id"],
            {"evse_uid": _objects(run).evse_uids[1], "last_updated": _objects(run).newer()},
        )
    )
    after = run.get(_url(run, before["id"]))
    if (after.get("booking_option") or {}).get("evse_uid") != _objects(run).evse_uids[1]:
        raise Fault(f"booking_option is {after.get('booking_option')}")
    _same(before, after, "booking_option", "last_updated", "evse_uid")
    return ""


def patch_terms(run: Run) -> str:
    offer = _offer(run)
    path = f"booking_locations/{offer['id']}"
    before: Json = run.get(_url(run, path))["booking_terms"]
    run.success(
        _send(
            run,
            "PATCH",
            path,
            {"booking_terms": {"noshow_timeout": 20}, "last_updated": _objects(run).newer()},
        )
    )
    after = run.get(_url(run, path))["booking_terms"]
    if after != {**before, "noshow_timeout": 20}:
        lost = sorted(set(before) - set(after))
        raise Fault(f"the other terms did not stay: {', '.join(lost) or after}")
    return ""


def patch_status(run: Run) -> str:
    booking = _booking(run)
    for spelling, right in (("FULLFILLED", "FULFILLED"), ("CANCELLED", "CANCELED"), ("CANCELED", "CANCELED")):
        patch: Json = {"status": spelling, "last_updated": _objects(run).newer()}
        if right == "CANCELED":
            patch["canceled"] = {"cancellation_reason": "FULL", "who_canceled": "CPO"}
        run.success(_send(run, "PATCH", booking["id"], patch))
        held = run.get(_url(run, booking["id"]))
        if held.get("reservation_status") not in (right, spelling):
            raise Fault(f"status {spelling} left reservation_status {held.get('reservation_status')}")
    return ""


def irregular(run: Run) -> str:
    mine, booking = _objects(run), _booking(run)
    for status in ("FULFILLED", "RESERVED"):
        moved = {**booking, "reservation_status": status, "last_updated": mine.newer()}
        run.success(_send(run, "PUT", booking["id"], moved))
        _holds(run, booking["id"], moved)
    return "followed; whether it is flagged is not seen"


def unknown_offer(run: Run) -> str:
    calendar = _objects(run).calendar()
    answer = _send(run, "PUT", f"booking_locations/CHK-NONE/{calendar['id']}", calendar)
    if answer.status != 404:
        raise Fault(f"{answer}; HTTP 404 is right")
    return ""


def unsolicited(run: Run) -> str:
    booking = _objects(run).unsolicited_booking(_their_party(run), 3)
    _put(run, booking["id"], booking)
    _holds(run, booking["id"], booking)
    _take_back(run, booking, None)
    return "kept; whether somebody is alerted is not seen"


def unknown_fields(run: Run) -> str:
    offer = {**_offer(run), "conformance_extension": {"kept": True}, "last_updated": _objects(run).newer()}
    path = f"booking_locations/{offer['id']}"
    run.success(_send(run, "PUT", path, offer))
    if "conformance_extension" not in run.get(_url(run, path)):
        raise Fault("an unknown field of a BookingLocation is not given back")
    return ""


def identity(run: Run) -> str:
    offer = {**_offer(run), "last_updated": _objects(run).newer()}
    run.refused(_send(run, "PUT", "booking_locations/CHK-OTHER", offer), 2001)
    foreign = {**offer, "country_code": "ZZ", "party_id": "ZZZ"}
    answer = run.caller.send("PUT", f"{run.receiver_url}/ZZ/ZZZ/booking_locations/{offer['id']}", foreign)
    if answer.status != 404:
        raise Fault(f"a party that is not ours: {answer}; HTTP 404 is right")
    return ""


def patch_times(run: Run) -> str:
    path = f"booking_locations/{_offer(run)['id']}"
    run.refused(_send(run, "PATCH", path, {"policy": {"reservation_required": False}}), 2001)
    before = run.get(_url(run, path))
    late = {"policy": {"reservation_required": False}, "last_updated": _objects(run).older()}
    run.success(_send(run, "PATCH", path, late))
    _same(before, run.get(_url(run, path)))
    return ""


def patch_unknown(run: Run) -> str:
    for path in ("booking_locations/CHK-NONE", "CHK-NONE"):
        answer = _send(run, "PATCH", path, {"last_updated": _objects(run).newer()})
        if answer.status != 404:
            raise Fault(f"{answer}; HTTP 404 is right")
    return ""


def follows_links(run: Run) -> str:
    """Judged on what was read of our lists since we registered."""
    run.listener.wait(_is_second_page, mark=0, within_s=run.settings.patience_s)
    calls = [call for call in run.listener.since(0) if call.method == "GET" and "/locations" in call.path]
    if not calls:
        raise Skipped(f"our lists were not read within {run.settings.patience_s:.0f} s")
    if not any(_is_second_page(call) for call in calls):
        raise Fault("the second page of our locations was not asked for")
    if run.noted["foreign"].calls:
        raise Fault(f"a Link to {urlsplit(run.noted['foreign'].url).netloc} was followed")
    return ""


def _is_second_page(call: Call) -> bool:
    return call.method == "GET" and call.path.endswith("/locations") and call.query.get("offset") == ["2"]


def offer_beside(run: Run) -> Json:
    """A BookingLocation that is not pushed."""
    return _objects(run).booking_location(4)


def is_offered(run: Run, offer: Json) -> bool:
    """As far as GET tells: there, and with a calendar."""
    answer = run.caller.send("GET", _url(run, f"booking_locations/{offer['id']}"))
    return answer.is_success and bool(answer.data.get("calendars"))


def withdraw(run: Run) -> None:
    """What we pushed: bookings cancelled, the offer without calendars."""
    if "booking" in run.noted:
        _take_back(run, run.noted["booking"], run.noted["offer"])


def _take_back(run: Run, booking: Json, offer: Json) -> None:
    mine = _objects(run)
    if booking is not None:
        gone = {
            **mine.unsolicited_booking(_their_party(run)), "id": booking["id"], "request_id": booking["request_id"],
            "reservation_status": "CANCELED", "canceled": {"cancellation_reason": "UNKNOWN", "who_canceled": "CPO"},
        }  # fmt: skip
        _send(run, "PUT", booking["id"], gone)
    if offer is not None:
        bare = {name: value for name, value in offer.items() if name != "calendars"}
        _send(run, "PUT", f"booking_locations/{offer['id']}", {**bare, "last_updated": mine.newer()})


def _objects(run: Run) -> CpoObjects:
    found: CpoObjects = run.noted["objects"]
    return found


def _offer(run: Run) -> Json:
    if "offer" not in run.noted:
        raise Skipped("our BookingLocation was not taken")
    return run.noted["offer"]


def _booking(run: Run) -> Json:
    if "booking" not in run.noted:
        raise Skipped("our Booking was not taken")
    return run.noted["booking"]


def _their_party(run: Run) -> Party:
    for role, country, party in run.parties:
        if role == EMSP:
            return country, party
    raise Skipped("the platform's credentials name no EMSP")


def _url(run: Run, path: str) -> str:
    country, party = run.settings.party
    return f"{run.receiver_url}/{country}/{party}/{path}"


def _send(run: Run, method: str, path: str, body: Json) -> Answer:
    return run.caller.send(method, _url(run, path), body)


def _put(run: Run, path: str, body: Json) -> None:
    answer = _send(run, "PUT", path, body)
    run.success(answer)
    if answer.status not in (200, 201):
        raise Fault(f"{answer}; HTTP 200 or 201 is right")


def _holds(run: Run, path: str, body: Json) -> None:
    """GET gives back what was sent, as far as it was sent."""
    found = run.get(_url(run, path))
    for name in ("id", "request_id", "reservation_status", "period", "booking_option", "available_timeslots"):
        if name in body and found.get(name) != body[name]:
            raise Fault(f"GET {path}: {name} is {found.get(name)!r} after a PUT of {body[name]!r}")


def _same(before: Json, after: Json, *but: str) -> None:
    changed = {name for name in before | after if before.get(name) != after.get(name)} - set(but)
    if changed:
        raise Fault(f"{', '.join(sorted(changed))} changed, too")


LINES = (
    Line(
        64,
        "PUT, PATCH and GET of BookingLocation, Calendar and Booking work on the strict paths",
        strict_paths,
        EMSP,
    ),
    Line(65, "They work with the other order and with a slash at the end", other_paths, EMSP),
    Line(66, "A Booking that is PUT by its request_id is stored once", path_is_request_id, EMSP),
    Line(67, "Objects as Bookings 1.0 has them are read", older_edition, EMSP),
    Line(68, "Deviating spellings are read", deviating, EMSP),
    Line(
        69, "PATCH of a top-level evse_uid changes booking_option.evse_uid and nothing else", patch_evse, EMSP
    ),
    Line(70, "PATCH of a part of booking_terms keeps the rest", patch_terms, EMSP),
    Line(74, "An irregular move of the status is stored", irregular, EMSP),
    Line(71, "status, CANCELLED and FULLFILLED are read", patch_status, EMSP),
    Line(75, "A Calendar of an unknown BookingLocation gives 404", unknown_offer, EMSP),
    Line(76, "A Booking nobody asked for is stored", unsolicited, EMSP),
    Line(18, "Unknown fields are accepted, kept and given back", unknown_fields, EMSP),
    Line(25, "Path and body must name the same object; a foreign party gives 404", identity, EMSP),
    Line(26, "PATCH without last_updated gives 2001, an older one changes nothing", patch_times, EMSP),
    Line(27, "PATCH of an unknown object gives 404", patch_unknown, EMSP),
    Line(22, "next is followed from page to page, and not to a foreign host", follows_links, EMSP),
)
