"""Bookings of our trucks and offers, as the other platform pushes them (Receiver), in the spellings that are out in the field."""

from __future__ import annotations

from simulators.partner.ocpi_format import Json, Refusal
from simulators.partner.received_objects import ReceivedObjects, merged
from simulators.partner.requests import Request, RoutedAnswer

OFFERS = {"booking_locations", "bookinglocations"}
STATUSES = {"CANCELLED": "CANCELED", "FULLFILLED": "FULFILLED"}


class BookingsReceiver:
    identifier, role, side, path = "Booking", "RECEIVER", "emsp", "bookings"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        rest = [part for part in rest if part]
        offers = [part for part in rest if part.lower() in OFFERS]
        if not offers:
            return self._booking(request, rest)
        rest.remove(offers[0])
        if len(rest) == 4:
            return self._calendar(request, rest)
        return self._received.answer(request, "booking_locations", rest)

    def _booking(self, request: Request, key: list[str]) -> RoutedAnswer:
        """Under its id, also where the path has its request_id."""
        self._received.check_owner(key, "CPO", length=3)
        body, held = request.body, self._held(key)
        if isinstance(body, dict) and request.method == "PUT" and _same(body.get("request_id"), key[2]):
            key = [*key[:2], str(body.get("id", ""))]
        elif held is not None:
            key = [*key[:2], str(held["id"])]
        if isinstance(body, dict):
            request = request.with_body(_usual(body, held or {}))
        return self._received.answer(request, "bookings", key)

    def _held(self, key: list[str]) -> Json | None:
        owner = "/".join(key[:2]).upper() + "/"
        for name, held in self._received.of("bookings").items():
            is_it = _same(held.get("id"), key[2]) or _same(held.get("request_id"), key[2])
            if name.startswith(owner) and is_it:
                return held
        return None

    def _calendar(self, request: Request, key: list[str]) -> RoutedAnswer:
        """A part of its BookingLocation."""
        self._received.check_owner(key, "CPO", length=4)
        offer = self._received.find("booking_locations", key[:3])
        calendars = offer.get("calendars") or []
        held = next((one for one in calendars if _same(one.get("id"), key[3])), None)
        if request.method == "GET":
            if held is None:
                raise Refusal(2000, "no such calendar", 404)
            return RoutedAnswer(held)
        if request.method not in ("PUT", "PATCH"):
            raise Refusal(2000, "only GET, PUT and PATCH", 405)
        self._received.check(request.body, key[3], is_whole=request.method == "PUT")
        if request.method == "PATCH":
            if held is None:
                raise Refusal(2000, "no such calendar", 404)
            calendar = merged(held, request.body)
        else:
            calendar = request.body
        others = [one for one in calendars if one is not held]
        self._received.store("booking_locations", key[:3], {**offer, "calendars": [*others, calendar]})
        return RoutedAnswer(None, 200 if held is not None else 201)


def _usual(body: Json, held: Json) -> Json:
    """A whole booking or a part of one: `status` for reservation_status, and `evse_uid` beside booking_option, in it."""
    made = dict(body)
    if "status" in made:
        made["reservation_status"] = made.pop("status")
    if "reservation_status" in made:
        made["reservation_status"] = STATUSES.get(made["reservation_status"], made["reservation_status"])
    if "evse_uid" in made:
        option = made.get("booking_option") or held.get("booking_option") or {}
        made["booking_option"] = {**option, "evse_uid": made.pop("evse_uid")}
    return made


def _same(one: object, other: str) -> bool:
    return str(one or "").upper() == other.upper()
