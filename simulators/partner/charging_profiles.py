"""ChargingProfiles: others limit sessions at our sites (Receiver), and we those of our trucks at theirs (Sender).

A limit is kept as its first period says, from now on; the result follows a moment later, as a bare object.
"""

from __future__ import annotations

import uuid
from urllib.parse import quote, urlencode

from simulators.partner.charging import ChargingDesk
from simulators.partner.ocpi_format import Json, Refusal, read_time, write_time
from simulators.partner.other_platform import OtherPlatform, PlatformError
from simulators.partner.owed_results import OwedResults, said
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.requests import Request, RoutedAnswer
from simulators.partner.state_file import StateFile

MODULE = "chargingprofiles"
SHOWN_FOR_S = 900
UNITS = ("W", "A")
# More than any site has, in either unit.
MOST = 1e12


class ChargingProfilesReceiver:
    identifier, role, side, path = MODULE, "RECEIVER", "cpo", MODULE

    def __init__(self, settings: PartnerSettings, charging: ChargingDesk, peer: OtherPlatform) -> None:
        self._settings, self._charging, self._peer = settings, charging, peer
        self._owed = OwedResults(settings, peer)
        self._changed: set[str] = set()

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if len(rest) != 1 or request.method not in ("GET", "PUT", "DELETE"):
            raise Refusal(2000, "no such request", 405)
        body = request.body if request.method == "PUT" else request.query
        if not isinstance(body, dict) or not str(body.get("response_url", "")).startswith("http"):
            raise Refusal(2001, "response_url: is required")
        if request.method == "GET" and not str(body.get("duration", "")).isdigit():
            raise Refusal(2001, "duration: is required")
        profile = read_profile(body.get("charging_profile")) if request.method == "PUT" else None
        session = self._charging.sessions().get(rest[0])
        if session is None:
            return said("UNKNOWN_SESSION")
        if session["status"] != "ACTIVE":
            return said("REJECTED")
        if profile is not None and profile["charging_rate_unit"] == "A":
            return said("REJECTED")  # the plugs at our sites are DC, where amperes say nothing of power
        return self._owed.owe(request, body["response_url"], self._result(request, session, profile))

    def tell_results(self) -> None:
        """What is owed of requests that were carried out, and what sessions may take since. Raises PlatformError; what could not
        be told stays owed."""
        self._owed.tell()
        while self._changed and self._peer.has(MODULE, "SENDER"):
            session_id = (
                self._changed.pop()
            )  # before it is told: a change while it is under way is told again
            try:
                self._tell_active(session_id)
            except PlatformError:
                self._changed.add(session_id)
                raise

    def _tell_active(self, session_id: str) -> None:
        url = f"{self._peer.endpoint(MODULE, 'SENDER')}/{quote(session_id, safe='')}"
        token = self._charging.sessions()[session_id]["cdr_token"]
        customer = token["country_code"], token["party_id"]
        self._peer.call("PUT", url, self.active(session_id), to_party=customer)

    def _result(self, request: Request, session: Json, profile: Json | None) -> Json:
        if profile is not None:
            self._charging.limit(session["id"], profile["charging_profile_period"][0]["limit"])
            self._changed.add(session["id"])
            return {"result": "ACCEPTED"}
        if request.method == "DELETE":
            if not self._charging.limit(session["id"], None):
                return {"result": "UNKNOWN"}
            self._changed.add(session["id"])
            return {"result": "ACCEPTED"}
        shown = self.active(session["id"], int(request.query["duration"]))
        return {"result": "ACCEPTED", "profile": shown}

    def active(self, session_id: str, duration_s: int = SHOWN_FOR_S) -> Json:
        """The ActiveChargingProfile of a session."""
        now = write_time(self._settings.clock())
        return {
            "start_date_time": now,
            "charging_profile": {
                "start_date_time": now,
                "duration": duration_s,
                "charging_rate_unit": "W",
                "charging_profile_period": [
                    {"start_period": 0, "limit": self._charging.allowed_w(session_id)}
                ],
            },
        }


class ChargingProfilesSender:
    """Limits sessions at the other platform's depots, and hears of it."""

    identifier, role, side, path = MODULE, "SENDER", "emsp", MODULE

    def __init__(self, state: StateFile, peer: OtherPlatform) -> None:
        self._state, self._peer = state, peer
        self.url = ""

    def limit(self, session_id: str, watts: float) -> Json:
        """The ChargingProfileResponse, with the `key` under which the result will be kept. Raises PlatformError."""
        period = {"start_period": 0, "limit": watts}
        profile = {"charging_rate_unit": "W", "charging_profile_period": [period]}
        url, callback = self._address(session_id)
        body = {"charging_profile": profile, "response_url": callback}
        return self._keyed(self._peer.call("PUT", url, body), callback)

    def lift(self, session_id: str) -> Json:
        url, callback = self._address(session_id)
        asked = f"{url}?{urlencode({'response_url': callback})}"
        return self._keyed(self._peer.call("DELETE", asked), callback)

    def show(self, session_id: str, duration_s: int = SHOWN_FOR_S) -> Json:
        url, callback = self._address(session_id)
        asked = f"{url}?{urlencode({'duration': duration_s, 'response_url': callback})}"
        return self._keyed(self._peer.call("GET", asked), callback)

    def results(self) -> dict[str, Json]:
        """By the key of their request."""
        found: dict[str, Json] = self._state.get("profile_results", {})
        return found

    def active(self) -> dict[str, Json]:
        """The ActiveChargingProfile of each session that we were told last."""
        found: dict[str, Json] = self._state.get("active_profiles", {})
        return found

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        """Strictly: a bare result at the address we named, an ActiveChargingProfile at that of a session."""
        body = request.body
        if request.method == "POST" and len(rest) == 2 and rest[0] == "result":
            if not isinstance(body, dict) or body.get("result") not in ("ACCEPTED", "REJECTED", "UNKNOWN"):
                raise Refusal(2001, "result: is required")
            name, key = "profile_results", rest[1]
        elif request.method == "PUT" and len(rest) == 1:
            if not isinstance(body, dict):
                raise Refusal(2001, "an ActiveChargingProfile is required")
            read_time(body.get("start_date_time"))
            read_profile(body.get("charging_profile"))
            name, key = "active_profiles", rest[0]
        else:
            raise Refusal(2000, "no such request", 405)
        with self._state.changing() as state:
            state.setdefault(name, {})[key] = body
        return RoutedAnswer(None)

    def _address(self, session_id: str) -> tuple[str, str]:
        base = self._peer.endpoint(MODULE, "RECEIVER")
        return f"{base}/{quote(session_id, safe='')}", f"{self.url}/result/{uuid.uuid4().hex}"

    @staticmethod
    def _keyed(answer: Json, callback: str) -> Json:
        return {**answer, "key": callback.rpartition("/")[2]}


def read_profile(told: object) -> Json:
    """A ChargingProfile that limits something. Raises Refusal."""
    if not isinstance(told, dict) or told.get("charging_rate_unit") not in UNITS:
        raise Refusal(2001, "charging_profile: is required, with its charging_rate_unit")
    periods = told.get("charging_profile_period")
    if not isinstance(periods, list) or not periods:
        raise Refusal(2001, "charging_profile_period: is required")
    for period in periods:
        if not isinstance(period, dict) or not all(
            map(_is_amount, map(period.get, ("start_period", "limit")))
        ):
            raise Refusal(2001, "charging_profile_period: start_period and limit are numbers, not below 0")
    return told


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST
