"""A partner network of its own: an OCPI 2.3.0 platform with bookable depots and with trucks that book at ours.

It shares no code with Berth's OCPI and nothing of its database: what the two agree on is what the protocol says. State
lives in one JSON file, so that it can be stopped and started like any partner. Also useful alone, to somebody who
builds the other side: see `manage.py simulate_partner --help`.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import secrets
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx

Json = dict[str, Any]
VERSION = "2.3.0"
STEP_MIN = 15
HORIZON = timedelta(days=7)
FINAL = {"CANCELED", "FAILED", "NO_SHOW", "FULFILLED", "REJECTED"}
MAX_BODY = 1_048_576
PAGE = 50
QUIET_HOURS_UTC = range(4)
TIMEOUT = httpx.Timeout(15, connect=5)


@dataclass(frozen=True)
class Site:
    """A bookable location: `bays` interchangeable EVSEs, deciding at once or after a while."""

    location_id: str
    name: str
    address: str
    city: str
    postal_code: str
    latitude: str
    longitude: str
    booking_location_id: str
    bays: tuple[str, ...]
    connector: str
    max_power_w: int
    vehicle_types: tuple[str, ...]
    decides_at_once: bool


SITES = (
    Site(
        "SIM-LYON", "Lyon Corbas Truck Park", "Boulevard des Nations 3", "Corbas", "69960", "45.6700", "4.9020",
        "SIM-LYON-CCS", ("SIM-LYON-1", "SIM-LYON-2"), "IEC_62196_T2_COMBO", 400_000,
        ("SEMI_TRACTOR", "TRUCK_WITH_TRAILER", "RIGID", "BUS"), True,
    ),
    Site(
        "SIM-METZ", "Metz Nord Logistics Yard", "Rue des Transporteurs 18", "Metz", "57050", "49.1500", "6.1500",
        "SIM-METZ-MCS", ("SIM-METZ-1",), "MCS", 1_000_000, ("SEMI_TRACTOR", "TRUCK_WITH_TRAILER"), False,
    ),
)  # fmt: skip
TERMS: Json = {
    "rfid_auth_required": True,
    "token_groups_supported": False,
    "remote_auth_supported": False,
    "supported_access_methods": ["TOKEN", "LICENSE_PLATE"],
    "change_until_minutes": 30,
    "cancel_until_minutes": 15,
    "early_start_allowed": True,
    "early_start_time": 10,
    "noshow_timeout": 20,
    "noshow_fee": False,
    "late_stop_allowed": False,
    "overlapping_bookings_allowed": True,
    "min_booking_duration": 15,
    "max_booking_duration": 180,
}


class Refusal(Exception):
    """An answer that is not a yes."""

    def __init__(self, status_code: int, message: str, http_status: int = 200) -> None:
        super().__init__(message)
        self.status_code, self.http_status = status_code, http_status


class CallFailed(Exception):
    """The other platform did not say yes."""


class SimulatedPartner:
    """The platform. `listen` is (host, port), port 0 for any; `url` tells where it listens.

    `clock` is for tests; `decide_after` is how long the slow location thinks; `book_every` of None never books with us.
    """

    def __init__(
        self,
        state_file: Path,
        *,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        public_url: str = "",
        country_code: str = "FR",
        party_id: str = "SIM",
        name: str = "Simulated Charging Network",
        decide_after: timedelta = timedelta(seconds=8),
        book_every: timedelta | None = None,
        quiet_hours: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.country_code, self.party_id, self.name = country_code.upper(), party_id.upper(), name
        self.decide_after, self.book_every, self.quiet_hours = decide_after, book_every, quiet_hours
        self.clock, self.say = clock, say
        self._state = State(state_file)
        self._chance = random.Random(7)  # noqa: S311 - which slot a simulated truck takes is no secret
        self._due: set[tuple[str, str]] = set()
        self._pause_until = datetime.min.replace(tzinfo=UTC)
        self._next_booking = self.clock() + (book_every or timedelta()) / 4
        self._awake, self._stopping = threading.Event(), threading.Event()
        self._server = _listen(listen, self._state.get("port", 0), self)
        self.port = int(self._server.server_address[1])
        host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
        self.url = (public_url or f"http://{host}:{self.port}").rstrip("/")
        self.versions_url = f"{self.url}/ocpi/versions"
        with self._state.changing() as state:
            state["port"] = self.port
        self._threads = [
            threading.Thread(
                target=self._server.serve_forever, args=(0.05,), name="simulated partner", daemon=True
            ),
            threading.Thread(target=self._work, name="simulated partner at work", daemon=True),
        ]

    # Life

    def start(self) -> SimulatedPartner:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        self._awake.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join(timeout=20)
        self._server.server_close()

    def __enter__(self) -> SimulatedPartner:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Registration

    def invite(self) -> str:
        """A token A with which somebody registers here."""
        # A letter first: what begins with a dash looks like an option where it is given to a command.
        token = f"A{secrets.token_urlsafe(24)}"
        with self._state.changing() as state:
            state.setdefault("invitations", []).append(token)
        return token

    @property
    def is_registered(self) -> bool:
        return "peer" in self._state.get_all()

    def register(self, versions_url: str, token_a: str) -> None:
        """Register with a platform that has invited us. Raises CallFailed."""
        offered = secrets.token_urlsafe(24)
        with self._state.changing() as state:
            state["pending_token"] = offered
        try:
            endpoints = self._endpoints_of(versions_url, token_a)
            answer = self._call(
                "POST",
                _endpoint(endpoints, "credentials"),
                token_a,
                self._credentials(offered),
                routing=False,
            )
        finally:
            with self._state.changing() as state:
                state.pop("pending_token", None)
        with self._state.changing() as state:
            state["peer"] = _peer(answer, endpoints, offered)
            state["invitation_used"] = token_a
            state["own_url"] = self.versions_url
        self._after_registration()

    def use_invitation(self, file: Path) -> bool:
        """Register with what stands in a file ({"versions_url", "token_a"}), if it is news. Raises CallFailed.

        So a demo hands over its token A, and a partner whose platform was set up anew registers again by itself.
        """
        try:
            invitation = json.loads(file.read_text())
        except (OSError, ValueError):
            return False
        state = self._state.get_all()
        if "peer" in state and state.get("invitation_used") == invitation["token_a"]:
            return False
        self.register(invitation["versions_url"], invitation["token_a"])
        return True

    def announce_address(self) -> bool:
        """Tell the other platform (PUT credentials) when our own address is another than at registration."""
        state = self._state.get_all()
        if "peer" not in state or state.get("own_url") == self.versions_url:
            return False
        self.renew()
        return True

    def renew(self) -> None:
        """PUT credentials: new tokens both ways, and each side reads the other's endpoints again. Raises CallFailed."""
        peer = self._peer()
        offered = secrets.token_urlsafe(24)
        with self._state.changing() as state:
            state["pending_token"] = offered
        endpoints = self._endpoints_of(peer["versions_url"], peer["token_out"])
        answer = self._call(
            "PUT",
            _endpoint(endpoints, "credentials"),
            peer["token_out"],
            self._credentials(offered),
            routing=False,
        )
        with self._state.changing() as state:
            state.pop("pending_token", None)
            state["peer"] = _peer(answer, endpoints, offered)
            state["own_url"] = self.versions_url

    def leave(self) -> None:
        """DELETE credentials. Raises CallFailed."""
        peer = self._peer()
        self._call("DELETE", _endpoint(peer["endpoints"], "credentials"), peer["token_out"], routing=False)
        with self._state.changing() as state:
            del state["peer"]

    def _after_registration(self) -> None:
        self.say(f"Registered with {self._peer()['versions_url']}")
        for site in SITES:
            self._push_soon("booking_location", site.booking_location_id)

    def _endpoints_of(self, versions_url: str, token: str) -> list[Json]:
        versions = self._call("GET", versions_url, token, routing=False)
        url = next((v["url"] for v in versions if v["version"] == VERSION), None)
        if url is None:
            raise CallFailed(f"{versions_url} does not offer {VERSION}")
        endpoints: list[Json] = self._call("GET", url, token, routing=False)["endpoints"]
        return endpoints

    def _credentials(self, token: str) -> Json:
        party = {
            "country_code": self.country_code,
            "party_id": self.party_id,
            "business_details": {"name": self.name},
        }
        return {
            "token": token,
            "url": self.versions_url,
            "roles": [{"role": "CPO", **party}, {"role": "EMSP", **party}],
        }

    def _peer(self) -> Json:
        peer: Json | None = self._state.get("peer")
        if peer is None:
            raise CallFailed("nobody is registered here")
        return peer

    # What others ask of us

    def answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, Json, dict[str, str]]:
        """One request: HTTP status, envelope, further headers."""
        parts = urlsplit(target)
        path = [unquote(p) for p in parts.path.strip("/").split("/")]
        try:
            caller = self._caller(headers.get("authorization", ""))
            body = _body(raw) if method in ("POST", "PUT", "PATCH") else None
            call = Call(method, path, dict(parse_qsl(parts.query)), headers, body, caller)
            data, status, extra = self._route(call)
        except Refusal as refusal:
            return refusal.http_status, self._envelope(None, refusal.status_code, str(refusal)), {}
        return status, self._envelope(data), {**extra, **_routing_back(headers)}

    def _route(self, call: Call) -> tuple[Any, int, dict[str, str]]:
        if call.path == ["ocpi", "versions"] and call.method == "GET":
            return [{"version": VERSION, "url": f"{self.url}/ocpi/{VERSION}"}], 200, {}
        if call.path == ["ocpi", VERSION] and call.method == "GET":
            return {"version": VERSION, "endpoints": self._endpoints()}, 200, {}
        if call.path == ["ocpi", VERSION, "credentials"]:
            return self._on_credentials(call), 200, {}
        if call.caller != "peer":
            raise Refusal(2000, "this token is for registration only", 401)
        rest = call.path[4:]
        if call.path[:4] == ["ocpi", "cpo", VERSION, "locations"]:
            return self._on_locations(call, rest)
        if call.path[:4] == ["ocpi", "cpo", VERSION, "bookings"]:
            return self._on_bookings_sender(call, rest)
        if call.path[:4] == ["ocpi", "emsp", VERSION, "bookings"]:
            return self._on_bookings_receiver(call, rest)
        raise Refusal(2000, "there is nothing here", 404)

    def _endpoints(self) -> list[Json]:
        return [
            {"identifier": identifier, "role": role, "url": f"{self.url}/ocpi/{path}"}
            for identifier, role, path in (
                ("credentials", "SENDER", f"{VERSION}/credentials"),
                ("locations", "SENDER", f"cpo/{VERSION}/locations"),
                ("Booking", "SENDER", f"cpo/{VERSION}/bookings"),
                ("Booking", "RECEIVER", f"emsp/{VERSION}/bookings"),
            )
        ]

    def _caller(self, header: str) -> str:
        token = _token_in(header)
        state = self._state.get_all()
        if token and token == state.get("peer", {}).get("token_in"):
            return "peer"
        if token and token == state.get("pending_token"):
            return "pending"
        if token in state.get("invitations", []):
            return token
        raise Refusal(2000, "this token is not known here", 401)

    def _on_credentials(self, call: Call) -> Json | None:
        if call.method == "GET":
            return self._credentials(self._peer()["token_in"] if self.is_registered else call.caller)
        if call.method == "DELETE" and call.caller == "peer":
            with self._state.changing() as state:
                del state["peer"]
            return None
        is_first = call.method == "POST" and call.caller not in ("peer", "pending")
        if not is_first and not (call.method == "PUT" and call.caller == "peer"):
            raise Refusal(2000, "not in this state", 405)
        body = call.body
        if not isinstance(body, dict) or not {"token", "url", "roles"} <= body.keys():
            raise Refusal(2001, "token, url and roles are required")
        try:
            endpoints = self._endpoints_of(body["url"], body["token"])
        except CallFailed as failure:
            raise Refusal(3001, f"your platform does not answer: {failure}") from failure
        given = secrets.token_urlsafe(24)
        with self._state.changing() as state:
            if is_first:
                state["invitations"].remove(call.caller)
            state["peer"] = _peer(body, endpoints, given)
            state["own_url"] = self.versions_url
        self._after_registration()
        return self._credentials(given)

    def _on_locations(self, call: Call, rest: list[str]) -> tuple[Any, int, dict[str, str]]:
        if call.method != "GET":
            raise Refusal(2000, "only GET", 405)
        if not rest:
            return self._page(call, [self.location(site) for site in SITES], "locations")
        site = next((s for s in SITES if s.location_id.upper() == rest[0].upper()), None)
        if site is None:
            raise Refusal(2003, "no such location", 404)
        return self.location(site), 200, {}

    def _on_bookings_sender(self, call: Call, rest: list[str]) -> tuple[Any, int, dict[str, str]]:
        if call.method == "POST" and not rest:
            booking, is_new = self._on_request(call)
            return booking, 201 if is_new else 200, {}
        if call.method != "GET":
            raise Refusal(2000, "not here", 405)
        if not rest:
            return self._page(
                call, sorted(self._state.get("bookings", {}).values(), key=lambda b: b["id"]), "bookings"
            )
        if rest[0] == "booking_locations":
            return self._on_booking_locations(call, rest[1:])
        raise Refusal(2000, "no such booking", 404)

    def _on_booking_locations(self, call: Call, rest: list[str]) -> tuple[Any, int, dict[str, str]]:
        if not rest:
            return self._page(
                call, [self.booking_location(site) for site in SITES], "bookings/booking_locations"
            )
        site = _site(rest[0])
        if site is None:
            raise Refusal(2003, "no such booking location", 404)
        found = self.booking_location(site)
        if len(rest) == 1:
            return found, 200, {}
        calendar = next((c for c in found["calendars"] if c["id"].upper() == rest[1].upper()), None)
        if calendar is None:
            raise Refusal(2000, "no such calendar", 404)
        return calendar, 200, {}

    def _on_bookings_receiver(self, call: Call, rest: list[str]) -> tuple[Any, int, dict[str, str]]:
        """What the other platform pushes to us as an eMSP: kept as it came."""
        kind, key = ("bookings", rest)
        if len(rest) > 2 and rest[2] == "booking_locations":
            kind, key = ("booking_locations", [*rest[:2], *rest[3:]])
        if len(key) != 3 or [p.upper() for p in key[:2]] not in self._peer_parties("CPO"):
            raise Refusal(2000, "no such object", 404)
        name = "/".join(key).upper()
        held = self._state.get("received", {}).get(kind, {}).get(name)
        if call.method == "GET":
            if held is None:
                raise Refusal(2000, "no such object", 404)
            return held, 200, {}
        if call.method != "PUT" or not isinstance(call.body, dict):
            raise Refusal(2000, "only GET and PUT of whole objects", 405)
        if str(call.body.get("id", "")).upper() != key[2].upper() or "last_updated" not in call.body:
            raise Refusal(2001, "id and last_updated are required, and the id is that of the path")
        with self._state.changing() as state:
            state.setdefault("received", {}).setdefault(kind, {})[name] = call.body
        return None, 200 if held else 201, {}

    def _peer_parties(self, role: str) -> list[list[str]]:
        roles = self._peer()["roles"]
        return [[r["country_code"].upper(), r["party_id"].upper()] for r in roles if r["role"] == role]

    def _page(self, call: Call, found: list[Json], path: str) -> tuple[list[Json], int, dict[str, str]]:
        try:
            offset, limit = int(call.query.get("offset", 0)), min(int(call.query.get("limit", PAGE)), PAGE)
        except ValueError:
            raise Refusal(2001, "offset and limit are numbers") from None
        if offset < 0 or limit < 1:
            raise Refusal(2001, "offset and limit are not negative")
        since, until = call.query.get("date_from"), call.query.get("date_to")
        found = [
            f
            for f in found
            if (not since or f["last_updated"] >= since) and (not until or f["last_updated"] < until)
        ]
        headers = {"X-Total-Count": str(len(found)), "X-Limit": str(PAGE)}
        if offset + limit < len(found):
            query = {**call.query, "offset": str(offset + limit), "limit": str(limit)}
            url = httpx.URL(f"{self.url}/ocpi/cpo/{VERSION}/{path}", params=query)
            headers["Link"] = f'<{url}>; rel="next"'
        return found[offset : offset + limit], 200, headers

    # Our depots

    def location(self, site: Site) -> Json:
        stamp = "2026-01-01T00:00:00Z"
        volts = 1250 if site.connector == "MCS" else 1000
        return {
            "country_code": self.country_code, "party_id": self.party_id, "id": site.location_id, "publish": True,
            "name": site.name, "address": site.address, "city": site.city, "postal_code": site.postal_code,
            "country": "FRA", "coordinates": {"latitude": site.latitude, "longitude": site.longitude},
            "time_zone": "Europe/Paris",
            "opening_times": {"twentyfourseven": True},
            "evses": [
                {
                    "uid": bay, "status": "AVAILABLE", "capabilities": ["RFID_READER"], "last_updated": stamp,
                    "connectors": [
                        {
                            "id": "1", "standard": site.connector, "format": "CABLE", "power_type": "DC",
                            "max_voltage": volts, "max_amperage": site.max_power_w // volts,
                            "max_electric_power": site.max_power_w, "last_updated": stamp,
                        }
                    ],
                }
                for bay in site.bays
            ],
            "last_updated": stamp,
        }  # fmt: skip

    def booking_location(self, site: Site) -> Json:
        option: Json = {
            "vehicle_types": list(site.vehicle_types),
            "connector_format": ["CABLE"],
            "connector_types": [site.connector],
            "power_types": ["DC"],
            "max_vehicle_length": 1875,
            "max_vehicle_height": 420,
            "max_vehicle_weight": 44000,
            "drive_through": True,
            "dangerous_goods_allowed": False,
            "refrigeration_outlet": site.decides_at_once,
        }
        if len(site.bays) == 1:
            option["evse_uid"] = site.bays[0]
        slots = self._free(site)
        begin, end = self._horizon()
        touched = self._state.get("touched", {}).get(site.booking_location_id, "2026-01-01T00:00:00Z")
        calendar = {
            "id": f"{site.booking_location_id}-C1",
            "begin_from": _z(begin),
            "end_before": _z(end),
            "timeslot_increment": STEP_MIN,
            "available_timeslots": [
                {"start_date_time": _z(s), "end_date_time": _z(e), "max_power": site.max_power_w}
                for s, e in slots
            ],
            "last_updated": touched,
        }
        return {
            "country_code": self.country_code,
            "party_id": self.party_id,
            "id": site.booking_location_id,
            "location_id": site.location_id,
            "booking_option": option,
            "policy": {"reservation_required": True},
            "booking_terms": TERMS,
            "calendars": [calendar] if slots else [],
            "last_updated": touched,
        }

    def _horizon(self) -> tuple[datetime, datetime]:
        now = self.clock().astimezone(UTC)
        begin = now.replace(minute=now.minute // STEP_MIN * STEP_MIN, second=0, microsecond=0)
        return begin, begin + HORIZON

    def _free(self, site: Site, without: str = "") -> list[tuple[datetime, datetime]]:
        """The time in which a bay is free, in steps joined to spans."""
        begin, end = self._horizon()
        step = timedelta(minutes=STEP_MIN)
        taken = [_span(b) for b in self._holding(site) if b["id"] != without]
        spans: list[tuple[datetime, datetime]] = []
        moment = begin
        while moment < end:
            used = sum(1 for s, e in taken if s < moment + step and moment < e)
            is_free = used < len(site.bays) and not (self.quiet_hours and moment.hour in QUIET_HOURS_UTC)
            if is_free and spans and spans[-1][1] == moment:
                spans[-1] = (spans[-1][0], moment + step)
            elif is_free:
                spans.append((moment, moment + step))
            moment += step
        return spans

    def _holding(self, site: Site) -> list[Json]:
        bookings = self._state.get("bookings", {}).values()
        return [
            b
            for b in bookings
            if b["location_id"] == site.location_id and b["reservation_status"] in ("PENDING", "RESERVED")
        ]

    # Bookings at our depots

    def _on_request(self, call: Call) -> tuple[Json, bool]:
        """A BookingRequest: a new booking, an edit or a cancellation, told apart by its request_id."""
        ask = _checked_request(call.body)
        if [ask["country_code"].upper(), ask["party_id"].upper()] not in self._peer_parties("EMSP"):
            raise Refusal(2001, f"{ask['country_code']}*{ask['party_id']} is no party of yours")
        key = "/".join([ask["country_code"], ask["party_id"], ask["request_id"]]).upper()
        with self._state.changing() as state:
            bookings = state.setdefault("bookings", {})
            known = bookings.get(state.setdefault("booking_of", {}).get(key))
            if known is None:
                booking = self._new_booking(ask)
                bookings[booking["id"]] = booking
                state["booking_of"][key] = booking["id"]
            else:
                booking = known
                if booking["booking_requests"][-1]["booking_request"] == ask:
                    return booking, False
                if booking["reservation_status"] in FINAL:
                    raise Refusal(2001, f"this booking is {booking['reservation_status']} for good")
                self._edit(booking, ask)
            self._touch(state, booking)
        return booking, known is None

    def _new_booking(self, ask: Json) -> Json:
        if "canceled" in ask:
            raise Refusal(2001, "request_id: there is no such booking to cancel")
        site = _site(ask["booking_location_id"])
        if site is None or site.location_id.upper() != ask["location_id"].upper():
            raise Refusal(2003, "booking_location_id: not known at this location")
        refusal = self._objection(site, ask)
        status, decision = ("RESERVED", "ACCEPTED") if site.decides_at_once else ("PENDING", "PENDING")
        if refusal:
            status, decision = "REJECTED", "DECLINED"
        booking = {
            "id": f"SB-{uuid.uuid4().hex[:12].upper()}",
            "country_code": self.country_code,
            "party_id": self.party_id,
            "request_id": ask["request_id"],
            "location_id": site.location_id,
            "booking_option": self._granted(site, ask),
            "booking_tokens": ask.get("tokens", []),
            "period": {**ask["period"], "max_power": site.max_power_w},
            "reservation_status": status,
            "access_information": ask.get("access_information", []),
            "authorization_reference": ask["authorization_reference"],
            "booking_terms": TERMS,
            "booking_requests": [self._entry(ask, decision)],
            "last_updated": _z(self.clock()),
        }
        self.say(
            f"{booking['id']} {status} for {ask['period']['start_date_time']} at {site.name} {refusal}".rstrip()
        )
        return booking

    def _edit(self, booking: Json, ask: Json) -> None:
        for entry in booking["booking_requests"]:
            if entry["request_status"] == "PENDING":
                entry["request_status"] = "DECLINED"
        site = next(s for s in SITES if s.location_id == booking["location_id"])
        before = timedelta(
            minutes=TERMS["cancel_until_minutes" if "canceled" in ask else "change_until_minutes"]
        )
        is_late = self.clock() > _span(booking)[0] - before and booking["reservation_status"] == "RESERVED"
        if "canceled" in ask:
            booking["booking_requests"].append(self._entry(ask, "DECLINED" if is_late else "ACCEPTED"))
            if not is_late:
                booking["reservation_status"], booking["canceled"] = "CANCELED", ask["canceled"]
        elif is_late or self._objection(site, ask, without=booking["id"]):
            booking["booking_requests"].append(self._entry(ask, "DECLINED"))
        else:
            booking["booking_requests"].append(self._entry(ask, "PENDING"))
            if site.decides_at_once and booking["reservation_status"] == "RESERVED":
                self._grant(booking, site)

    def decide(self, booking_id: str, *, accept: bool) -> Json:
        """Answer what waits at a booking. Raises KeyError for a booking without anything to decide."""
        with self._state.changing() as state:
            booking: Json = state["bookings"][booking_id]
            site = next(s for s in SITES if s.location_id == booking["location_id"])
            entry = booking["booking_requests"][-1]
            if entry["request_status"] != "PENDING":
                raise KeyError(booking_id)
            if accept and not self._objection(
                site, entry["booking_request"], without=booking_id, late_is_fine=True
            ):
                self._grant(booking, site)
            else:
                entry["request_status"] = "DECLINED"
                if booking["reservation_status"] == "PENDING":
                    booking["reservation_status"] = "REJECTED"
            self._touch(state, booking)
        self._push_soon("booking", booking_id)
        return booking

    def cancel(self, booking_id: str, reason: str = "BROKEN_CHARGER") -> Json:
        """As the operator of the depot: the charger is broken, say."""
        with self._state.changing() as state:
            booking: Json = state["bookings"][booking_id]
            booking["reservation_status"] = "CANCELED"
            booking["canceled"] = {"cancellation_reason": reason, "who_canceled": "CPO"}
            self._touch(state, booking)
        self._push_soon("booking", booking_id)
        return booking

    def bookings(self) -> dict[str, Json]:
        """The bookings at our depots, by id."""
        found: dict[str, Json] = self._state.get("bookings", {})
        return found

    def received(self, kind: str) -> dict[str, Json]:
        """What was pushed to us as an eMSP: "bookings" or "booking_locations", by CC/PID/ID."""
        found: dict[str, Json] = self._state.get("received", {}).get(kind, {})
        return found

    def _grant(self, booking: Json, site: Site) -> None:
        entry = booking["booking_requests"][-1]
        ask = entry["booking_request"]
        entry["request_status"], booking["reservation_status"] = "ACCEPTED", "RESERVED"
        booking["period"] = {**ask["period"], "max_power": site.max_power_w}
        booking["booking_option"] = self._granted(site, ask, without=booking["id"])
        booking["booking_tokens"] = ask.get("tokens", booking["booking_tokens"])

    def _granted(self, site: Site, ask: Json, without: str = "") -> Json:
        """The first bay that is free; which one is told, since the truck should know where to go."""
        start, end = _read(ask["period"]["start_date_time"]), _read(ask["period"]["end_date_time"])
        clashing = [
            b for b in self._holding(site) if b["id"] != without and _span(b)[0] < end and start < _span(b)[1]
        ]
        used = {b.get("booking_option", {}).get("evse_uid") for b in clashing}
        bay = next((bay for bay in site.bays if bay not in used), "#NA")
        return {"evse_uid": bay, "connector_types": [site.connector], "drive_through": True}

    def _objection(self, site: Site, ask: Json, without: str = "", *, late_is_fine: bool = False) -> str:
        """Why a request cannot be granted, empty when it can."""
        start, end = _read(ask["period"]["start_date_time"]), _read(ask["period"]["end_date_time"])
        minutes = (end - start).total_seconds() / 60
        if not late_is_fine and start < self.clock() - timedelta(seconds=60):
            return "starts in the past"
        if start.minute % STEP_MIN or end.minute % STEP_MIN or start.second or end.second:
            return "not on the step"
        if not TERMS["min_booking_duration"] <= minutes <= TERMS["max_booking_duration"]:
            return "too short or too long"
        if float(ask.get("power_required") or 0) * 1000 > site.max_power_w:
            return "more power than there is"
        free = self._free(site, without)
        begin = self._horizon()[0]
        if not any(s <= max(start, begin) and end <= e for s, e in free):
            return "not free"
        return ""

    def _entry(self, ask: Json, decision: str) -> Json:
        return {"request_status": decision, "booking_request": ask, "request_received": _z(self.clock())}

    def _touch(self, state: Json, booking: Json) -> None:
        """A booking has changed, and with it the calendar it is taken from."""
        now = _z(self.clock())
        booking["last_updated"] = now
        site = next(s for s in SITES if s.location_id == booking["location_id"])
        state.setdefault("touched", {})[site.booking_location_id] = now
        self._push_soon("booking_location", site.booking_location_id)

    # What we do by ourselves

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._awake.wait(0.25)
            self._awake.clear()
            if self._stopping.is_set():
                return
            try:
                self.tick()
            except CallFailed as failure:
                self.say(f"{failure}")
                self._pause_until = self.clock() + timedelta(seconds=5)

    def tick(self) -> None:
        """Whatever is due: decisions, trucks that arrive, pushes, a booking with the others. Raises CallFailed."""
        now = self.clock()
        for booking in list(self.bookings().values()):
            waiting = booking["booking_requests"][-1]
            if (
                waiting["request_status"] == "PENDING"
                and _read(waiting["request_received"]) + self.decide_after <= now
            ):
                self.decide(booking["id"], accept=True)
            elif booking["reservation_status"] == "RESERVED" and _span(booking)[0] <= now:
                self._arrive(booking["id"])
        if self.is_registered and now >= self._pause_until:
            self._push_due()
            if self.book_every and now >= self._next_booking:
                self._next_booking = now + self.book_every
                self.book_with_them()

    def _arrive(self, booking_id: str) -> None:
        with self._state.changing() as state:
            booking = state["bookings"][booking_id]
            booking["reservation_status"] = "FULFILLED"
            self._touch(state, booking)
        self._push_soon("booking", booking_id)

    def _push_soon(self, kind: str, key: str) -> None:
        self._due.add((kind, key))
        self._awake.set()

    def _push_due(self) -> None:
        base = _endpoint(self._peer()["endpoints"], "booking", "RECEIVER")
        own = f"{base.rstrip('/')}/{self.country_code}/{self.party_id}"
        while self._due:
            kind, key = self._due.pop()  # before the push: a change while it is under way is sent again
            if kind == "booking":
                body, url = self.bookings()[key], f"{own}/{quote(key)}"
                party = (
                    body["booking_requests"][0]["booking_request"]["country_code"],
                    body["booking_requests"][0]["booking_request"]["party_id"],
                )
            else:
                site = _site(key)
                assert site is not None
                body, url, party = self.booking_location(site), f"{own}/booking_locations/{quote(key)}", None
            try:
                self._call("PUT", url, self._peer()["token_out"], body, to_party=party)
            except CallFailed:
                self._due.add((kind, key))
                raise

    def book_with_them(self) -> Json | None:
        """As an eMSP: take a free hour at one of the other platform's depots. The Booking it answered, if any."""
        base = _endpoint(self._peer()["endpoints"], "booking", "SENDER").rstrip("/")
        offers = [o for o in self._all(f"{base}/booking_locations") if o.get("calendars")]
        self._chance.shuffle(offers)
        for offer in offers:
            period = self._free_hour(offer)
            if period:
                return self.ask(offer, *period)
        return None

    def ask(
        self,
        offer: Json,
        start: datetime,
        end: datetime,
        *,
        request_id: str = "",
        canceled: Json | None = None,
    ) -> Json:
        """POST a BookingRequest for a BookingLocation of theirs. Gives their Booking; raises CallFailed."""
        base = _endpoint(self._peer()["endpoints"], "booking", "SENDER").rstrip("/")
        party = {"country_code": self.country_code, "party_id": self.party_id}
        request: Json = {
            **party,
            "request_id": request_id or str(uuid.uuid4()),
            "location_id": offer["location_id"],
            "booking_location_id": offer["id"],
            "tokens": [
                {
                    **party,
                    "uid": "04F05E11AA01",
                    "type": "RFID",
                    "contract_id": f"{self.country_code}{self.party_id}C00001",
                }
            ],
            "access_information": [{"method": "LICENSE_PLATE", "value": "GA-118-SM"}],
            "period": {"start_date_time": _z(start), "end_date_time": _z(end)},
            "authorization_reference": f"SIM-{uuid.uuid4().hex[:12]}",
        }
        if canceled:
            request["canceled"] = canceled
        to_party = (offer["country_code"], offer["party_id"])
        booking: Json = self._call("POST", base, self._peer()["token_out"], request, to_party=to_party)
        with self._state.changing() as state:
            state.setdefault("asked", {})[request["request_id"]] = booking
        self.say(
            f"asked for {request['period']['start_date_time']} at {offer['id']}: {booking['reservation_status']}"
        )
        return booking

    def _free_hour(self, offer: Json) -> tuple[datetime, datetime] | None:
        # Some hours ahead, and not where slots are cut to the minute: somebody tries something out there.
        earliest = self.clock() + timedelta(hours=self._chance.randint(3, 30))
        for calendar in offer["calendars"]:
            step = timedelta(minutes=calendar.get("timeslot_increment") or STEP_MIN)
            if step < timedelta(minutes=5):
                continue
            for slot in calendar["available_timeslots"]:
                start, end = _read(slot["start_date_time"]), _read(slot["end_date_time"])
                while start < earliest:
                    start += step
                if start + timedelta(hours=1) <= end:
                    return start, start + timedelta(hours=1)
        return None

    def _all(self, url: str) -> Iterator[Json]:
        following: str | None = url
        while following:
            response = self._send("GET", following, self._peer()["token_out"])
            yield from _data(response)
            following = response.links.get("next", {}).get("url")

    def _call(
        self, method: str, url: str, token: str, body: Json | None = None, *, routing: bool = True,
        to_party: tuple[str, str] | None = None,
    ) -> Any:  # fmt: skip
        return _data(self._send(method, url, token, body, routing=routing, to_party=to_party))

    def _send(
        self, method: str, url: str, token: str, body: Json | None = None, *, routing: bool = True,
        to_party: tuple[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        headers = {
            "Authorization": f"Token {base64.b64encode(token.encode()).decode()}",
            "X-Request-ID": str(uuid.uuid4()),
            "X-Correlation-ID": str(uuid.uuid4()),
        }
        if routing:
            headers |= {"OCPI-from-country-code": self.country_code, "OCPI-from-party-id": self.party_id}
        if to_party:
            headers |= {"OCPI-to-country-code": to_party[0], "OCPI-to-party-id": to_party[1]}
        try:
            return httpx.request(method, url, json=body, headers=headers, timeout=TIMEOUT, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CallFailed(f"{method} {url}: {error or type(error).__name__}") from error

    def _envelope(self, data: Any, status_code: int = 1000, message: str = "") -> Json:
        envelope: Json = {"status_code": status_code, "timestamp": _z(self.clock())}
        if message:
            envelope["status_message"] = message
        if data is not None:
            envelope["data"] = data
        return envelope


@dataclass(frozen=True)
class Call:
    """A request of an authenticated caller: "peer", "pending", or the token A it holds."""

    method: str
    path: list[str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    caller: str


class State:
    """A JSON file, written whole and moved into place, so that a kill leaves the old one or the new one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._text = file.read_text() if file.exists() else "{}"
        json.loads(self._text)

    def get_all(self) -> Json:
        with self._lock:
            state: Json = json.loads(self._text)
            return state

    def get(self, name: str, default: Any = None) -> Any:
        return self.get_all().get(name, default)

    @contextmanager
    def changing(self) -> Iterator[Json]:
        """The state, to be changed in place; nothing is kept when the block raises."""
        with self._lock:
            state = json.loads(self._text)
            yield state
            text = json.dumps(state, indent=1)
            if text != self._text:
                fresh = self._file.with_suffix(".new")
                fresh.write_text(text)
                fresh.chmod(0o600)
                os.replace(fresh, self._file)
                self._text = text


def _listen(listen: tuple[str, int], last_port: int, partner: SimulatedPartner) -> ThreadingHTTPServer:
    """On the port asked for; with port 0 on the one we had last time if it is still free, so that our address stays."""
    host, port = listen
    if port == 0 and last_port:
        with suppress(OSError):
            return _Server((host, last_port), _handler(partner))
    return _Server((host, port), _handler(partner))


class _Server(ThreadingHTTPServer):
    """Its end is the end of its open connections too, as when a process ends."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[Any] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up is nothing to report."""


def _handler(partner: SimulatedPartner) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def _any(self) -> None:
            length = self.headers.get("Content-Length") or "0"
            if not length.isdigit() or int(length) > MAX_BODY:
                self.close_connection = True
                self._reply(413, {"status_code": 2000, "timestamp": _z(partner.clock())}, {})
                return
            raw = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                status, envelope, extra = partner.answer(self.command, self.path, headers, raw)
            except Exception as fault:
                partner.say(f"{self.command} {self.path}: {fault!r}")
                status, envelope, extra = 500, {"status_code": 3000, "timestamp": _z(partner.clock())}, {}
            for name in ("x-request-id", "x-correlation-id"):
                if name in headers:
                    extra[name] = headers[name]
            self._reply(status, envelope, extra)

        def _reply(self, status: int, envelope: Json, extra: dict[str, str]) -> None:
            body = json.dumps(envelope).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                **extra,
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _token_in(header: str) -> str:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "token":
        return ""
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return ""


def _body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal(2001, "the body is not JSON", 400) from None


def _checked_request(body: Any) -> Json:
    """A BookingRequest of 1.1, taken strictly. Raises Refusal."""
    if not isinstance(body, dict):
        raise Refusal(2001, "the body must be a BookingRequest")
    texts = (
        "country_code",
        "party_id",
        "request_id",
        "location_id",
        "booking_location_id",
        "authorization_reference",
    )
    for name in texts:
        if not isinstance(body.get(name), str) or not 0 < len(body[name]) <= 36:
            raise Refusal(2001, f"{name} is required, a text of at most 36 characters")
    if (
        "evse_uid" in body
        or not isinstance(body.get("period"), dict)
        or set(body["period"]) != {"start_date_time", "end_date_time"}
    ):
        raise Refusal(2001, "period is required, with start_date_time and end_date_time and nothing else")
    tokens = body.get("tokens", [])
    wanted = {"country_code", "party_id", "uid", "type", "contract_id"}
    if not isinstance(tokens, list) or not all(isinstance(t, dict) and wanted <= t.keys() for t in tokens):
        raise Refusal(2001, f"tokens need {', '.join(sorted(wanted))}")
    if _read(body["period"]["start_date_time"]) >= _read(body["period"]["end_date_time"]):
        raise Refusal(2001, "period ends before it starts")
    checked: Json = body
    return checked


def _peer(credentials: Json, endpoints: list[Json], token_in: str) -> Json:
    return {
        "token_in": token_in,
        "token_out": credentials["token"],
        "versions_url": credentials["url"],
        "roles": credentials["roles"],
        "endpoints": endpoints,
    }


def _endpoint(endpoints: list[Json], identifier: str, role: str = "") -> str:
    for endpoint in endpoints:
        if endpoint["identifier"].lower().rstrip("s") == identifier.rstrip("s") and endpoint["role"] in (
            role,
            role or endpoint["role"],
        ):
            return str(endpoint["url"])
    raise CallFailed(f"the other platform has no {identifier} {role}")


def _data(response: httpx.Response) -> Any:
    try:
        envelope = response.json()
    except ValueError:
        envelope = {}
    code = envelope.get("status_code") if isinstance(envelope, dict) else None
    if not response.is_success or not isinstance(code, int) or not 1000 <= code < 2000:
        said = envelope.get("status_message", "") if isinstance(envelope, dict) else ""
        request = response.request
        raise CallFailed(
            f"{request.method} {request.url}: HTTP {response.status_code}, {code} {said}".rstrip()
        )
    return envelope.get("data")


def _routing_back(headers: dict[str, str]) -> dict[str, str]:
    swapped = {"from": "to", "to": "from"}
    return {
        f"OCPI-{swapped[way]}-{part}": headers[f"ocpi-{way}-{part}"]
        for way in swapped
        for part in ("country-code", "party-id")
        if f"ocpi-{way}-{part}" in headers
    }


def _site(booking_location_id: str) -> Site | None:
    return next((s for s in SITES if s.booking_location_id.upper() == booking_location_id.upper()), None)


def _span(booking: Json) -> tuple[datetime, datetime]:
    return _read(booking["period"]["start_date_time"]), _read(booking["period"]["end_date_time"])


def _read(value: Any) -> datetime:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
        raise Refusal(2001, f"{value!r:.40} is not a DateTime")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise Refusal(2001, f"{value} does not exist") from None


def _z(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
