"""Commands: what others have our chargers do (Receiver), and where they tell what became of ours (Sender).

Of commands to us the start of a booking and the end of its session are carried out; there are no reservations to cancel. The
result follows a moment later, as a bare object.
"""

from __future__ import annotations

import uuid

from simulators.partner.booking_desk import BookingDesk
from simulators.partner.charging import ChargingDesk
from simulators.partner.ocpi_format import Json, Refusal, read_period
from simulators.partner.other_platform import OtherPlatform
from simulators.partner.owed_results import OwedResults, said
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.requests import Request, RoutedAnswer
from simulators.partner.state_file import StateFile

KNOWN = {"START_SESSION", "STOP_SESSION", "RESERVE_NOW", "CANCEL_RESERVATION", "UNLOCK_CONNECTOR"}


class CommandsReceiver:
    identifier, role, side, path = "commands", "RECEIVER", "cpo", "commands"

    def __init__(
        self, settings: PartnerSettings, desk: BookingDesk, charging: ChargingDesk, peer: OtherPlatform
    ) -> None:
        self._settings, self._desk, self._charging = settings, desk, charging
        self._owed = OwedResults(settings, peer)

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "POST" or len(rest) != 1 or rest[0] not in KNOWN:
            raise Refusal(2000, "no such command", 404)
        body = request.body
        if not isinstance(body, dict) or not str(body.get("response_url", "")).startswith("http"):
            raise Refusal(2001, "response_url: is required")
        match rest[0]:
            case "START_SESSION":
                booking = self._booking(body)
                if booking is None:
                    return said("REJECTED")
                self._desk.begin(booking["id"])
                return self._accepted(request, "ACCEPTED")
            case "STOP_SESSION":
                is_stopped = self._charging.stop(str(body.get("session_id", "")), self._desk.bookings())
                return self._accepted(request, "ACCEPTED") if is_stopped else said("UNKNOWN_SESSION")
            case "CANCEL_RESERVATION":
                return self._accepted(request, "UNKNOWN_RESERVATION")
        return said("NOT_SUPPORTED")

    def _accepted(self, request: Request, result: str) -> RoutedAnswer:
        """What its charger says follows a moment later."""
        return self._owed.owe(request, request.body["response_url"], {"result": result})

    def tell_results(self) -> None:
        """What is owed of commands that were carried out. Raises PlatformError."""
        self._owed.tell()

    def _booking(self, body: Json) -> Json | None:
        """The booking of a reference that one of its tokens may start by now."""
        now, token = self._settings.clock(), body.get("token") or {}
        for booking in self._desk.bookings().values():
            start, end = read_period(booking)
            is_meant = booking["authorization_reference"] == body.get("authorization_reference")
            is_its = any(each["uid"] == token.get("uid") for each in booking["booking_tokens"])
            may_start = booking["reservation_status"] in ("RESERVED", "FULFILLED") and start <= now < end
            if is_meant and is_its and may_start:
                return booking
        return None


class CommandsSender:
    """Has the other platform's chargers do something, and hears of it."""

    identifier, role, side, path = "commands", "SENDER", "emsp", "commands"

    def __init__(self, state: StateFile, peer: OtherPlatform) -> None:
        self._state, self._peer = state, peer
        self.url = ""

    def command(self, name: str, body: Json) -> Json:
        """The CommandResponse, with the `key` under which the result will be kept. Raises PlatformError."""
        key = uuid.uuid4().hex
        asked = {"response_url": f"{self.url}/{name}/{key}", **body}
        answer: Json = self._peer.call("POST", f"{self._peer.endpoint('commands', 'RECEIVER')}/{name}", asked)
        return {**answer, "key": key}

    def results(self) -> dict[str, Json]:
        """By the key of their command."""
        found: dict[str, Json] = self._state.get("command_results", {})
        return found

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        """Strictly: a bare CommandResult, once for each command."""
        if request.method != "POST" or len(rest) != 2:
            raise Refusal(2000, "no such command", 404)
        if not isinstance(request.body, dict) or "result" not in request.body:
            raise Refusal(2001, "result: is required")
        with self._state.changing() as state:
            state.setdefault("command_results", {})[rest[1]] = request.body
        return RoutedAnswer(None)
