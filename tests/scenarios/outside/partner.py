"""A partner network of nobody's make: OCPI 2.3.0 over plain HTTP, as eMSP, as CPO, or both."""

import base64
import json
import re
import secrets
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.scenarios.outside.berth import free_port, instant
from tests.scenarios.outside.waiting import eventually

Body = dict[str, Any]
ANSWER_S = 30.0


class Network:
    """Its server runs from `open` to `close` on a port of its own; what Berth pushed is in `held` and `pushes`.

    `decide` is what it answers, as CPO, to a BookingRequest: a status of Bookings. `failing` is an HTTP status that
    every functional address answers instead, while it is set.
    """

    def __init__(self, country: str, party: str, *roles: str) -> None:
        self.country, self.party, self.roles = country, party, roles or ("EMSP",)
        self.port = free_port()
        self.token_for_berth = secrets.token_urlsafe(24)  # what Berth must send us
        self.token_of_berth = ""  # what we send
        self.endpoints: dict[tuple[str, str], str] = {}
        self.held: dict[str, Body] = {}  # path below the Receiver → newest body
        self.pushes: list[tuple[str, str, Body]] = []
        self.failing = 0
        self.decide = "RESERVED"
        self.locations: list[Body] = []
        self.booking_locations: list[Body] = []
        self.bookings: dict[str, Body] = {}
        self.asked: list[Body] = []
        self._server: _Server | None = None
        self._news = threading.Condition()
        self._client = httpx.Client(timeout=ANSWER_S, trust_env=False)

    # Being there

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def versions_url(self) -> str:
        return f"{self.base}/ocpi/versions"

    def open(self) -> "Network":
        self._server = _Server(("127.0.0.1", self.port), type("Door", (_Door,), {"network": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def close(self) -> None:
        """Nobody listens any more: connections are refused."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_lines()
            self._server = None

    def __enter__(self) -> "Network":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()
        self._client.close()

    def credentials(self) -> Body:
        roles = [
            {
                "role": role,
                "country_code": self.country,
                "party_id": self.party,
                "business_details": {"name": f"Outside {self.party}"},
            }
            for role in self.roles
        ]
        return {"token": self.token_for_berth, "url": self.versions_url, "roles": roles}

    # Calling Berth

    def register(self, versions_url: str, token_a: str) -> Body:
        """The handshake with token A; Berth's credentials, whose token is used from now on."""
        self.token_of_berth = token_a
        versions = self.get(versions_url)
        details = self.get(next(each["url"] for each in versions if each["version"] == "2.3.0"))
        self._learn(details)
        given = self.data(self.send("POST", self.endpoints["credentials", "SENDER"], self.credentials()))
        self.token_of_berth = given["token"]
        return given

    def _learn(self, details: Body) -> None:
        for each in details["endpoints"]:
            self.endpoints[each["identifier"].lower(), each["role"]] = each["url"]

    @property
    def bookings_url(self) -> str:
        return self.endpoints["booking", "SENDER"]

    def send(self, method: str, url: str, body: Any = None, **headers: str) -> httpx.Response:
        known = base64.b64encode(self.token_of_berth.encode()).decode()
        return self._client.request(
            method, url, json=body, headers={"Authorization": f"Token {known}", **headers}
        )

    @staticmethod
    def data(answer: httpx.Response) -> Any:
        told = answer.json()
        assert answer.is_success, (answer.status_code, told)
        assert told["status_code"] == 1000, told
        return told["data"]

    def get(self, url: str) -> Any:
        return self.data(self.send("GET", url))

    def pages(self, url: str, limit: int) -> list[list[Body]]:
        """Every page, by following Link as it is given."""
        found, link = [], f"{url}?limit={limit}"
        while link:
            answer = self.send("GET", link)
            found.append(self.data(answer))
            link = answer.links.get("next", {}).get("url", "")
        return found

    def request_for(self, place: Body, start: datetime, end: datetime, **more: Any) -> Body:
        """A BookingRequest for this BookingLocation."""
        return {
            "country_code": self.country,
            "party_id": self.party,
            "request_id": str(uuid.uuid4()),
            "location_id": place["location_id"],
            "booking_location_id": place["id"],
            "tokens": [self.token()],
            "period": {"start_date_time": instant(start), "end_date_time": instant(end)},
            "authorization_reference": secrets.token_hex(8),
            **more,
        }

    def token(self, uid: str = "0411223344") -> Body:
        return {
            "country_code": self.country,
            "party_id": self.party,
            "uid": uid,
            "type": "RFID",
            "contract_id": f"{self.country}{self.party}C00000001",
        }

    def ask(self, request: Body) -> Body:
        """POST a BookingRequest; the Booking."""
        booking: Body = self.data(self.send("POST", self.bookings_url, request))
        return booking

    def insist(self, request: Body, *, within_s: float = 60) -> Body:
        """POST the same until it is answered."""

        def tries() -> Body | None:
            try:
                answer = self.send("POST", self.bookings_url, request)
            except httpx.HTTPError:
                return None
            return None if answer.status_code >= 500 else self.data(answer)

        return eventually(tries, of="an answer to a BookingRequest", within_s=within_s)

    # What Berth told us

    def told(
        self, path: str, where: Callable[[Body], Any] = bool, *, within_s: float = ANSWER_S, of: str = ""
    ) -> Body:
        """The object we hold at the end of this path, once it is so."""

        def look() -> Body | None:
            with self._news:
                found = [body for known, body in self.held.items() if known.endswith(path) and where(body)]
            return found[0] if found else None

        return eventually(look, of=of or f"{path} as wanted among {sorted(self.held)}", within_s=within_s)

    def pushes_of(self, path: str) -> list[Body]:
        with self._news:
            return [body for _, known, body in self.pushes if known.endswith(path)]

    def take(self, method: str, path: str, body: Body) -> int:
        """Keep what was pushed; the HTTP status to answer."""
        with self._news:
            self.pushes.append((method, path, body))
            is_new = path not in self.held
            self.held[path] = {**self.held.get(path, {}), **body} if method == "PATCH" else body
        return 201 if is_new else 200

    # As CPO

    def offer(self, number: int = 1) -> Body:
        """One location with one EVSE that can be booked from the next quarter for two days."""
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        slots = [
            {
                "start_date_time": instant(now),
                "end_date_time": instant(now + timedelta(days=2)),
                "max_power": 300000,
            }
        ]
        owner = {"country_code": self.country, "party_id": self.party}
        evse = f"{self.party}-{number}-1"
        self.locations.append(
            {
                **owner, "id": f"L{number}", "publish": True, "name": f"Outside depot {number}",
                "address": "Harbour Road 1", "city": "Antwerpen", "postal_code": "2000", "country": "BEL",
                "coordinates": {"latitude": "51.2600", "longitude": "4.3900"}, "time_zone": "Europe/Brussels",
                "last_updated": instant(now),
                "evses": [
                    {
                        "uid": evse, "status": "AVAILABLE", "last_updated": instant(now),
                        "connectors": [
                            {
                                "id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
                                "max_voltage": 1000, "max_amperage": 400, "max_electric_power": 300000,
                                "last_updated": instant(now),
                            }
                        ],
                    }
                ],
            }
        )  # fmt: skip
        place = {
            **owner, "id": f"BL{number}-{self.party}", "location_id": f"L{number}", "last_updated": instant(now),
            "booking_option": {"evse_uid": evse, "connector_types": ["IEC_62196_T2_COMBO"], "power_types": ["DC"]},
            "booking_terms": TERMS,
            "calendars": [
                {
                    "id": "C1", "begin_from": instant(now), "end_before": instant(now + timedelta(days=2)),
                    "timeslot_increment": 15, "available_timeslots": slots, "last_updated": instant(now),
                }
            ],
        }  # fmt: skip
        self.booking_locations.append(place)
        return place

    def answer_request(self, request: Body) -> Body:
        """The Booking we make of a BookingRequest, or change by it."""
        self.asked.append(request)
        known = next((b for b in self.bookings.values() if b["request_id"] == request["request_id"]), None)
        status = "CANCELED" if "canceled" in request else self.decide
        decision = {"PENDING": "PENDING", "REJECTED": "DECLINED", "FAILED": "FAILED"}.get(status, "ACCEPTED")
        entry = {
            "request_status": decision,
            "booking_request": request,
            "request_received": instant(datetime.now(UTC)),
        }
        booking = {
            "country_code": self.country,
            "party_id": self.party,
            "id": known["id"] if known else f"CB-{len(self.bookings) + 1}",
            "request_id": request["request_id"],
            "location_id": request["location_id"],
            "booking_option": self.booking_locations[0]["booking_option"],
            "booking_tokens": request.get("tokens", []),
            "period": request["period"],
            "reservation_status": status,
            "authorization_reference": request["authorization_reference"],
            "booking_terms": TERMS,
            "booking_requests": [*(known["booking_requests"] if known else []), entry],
            "last_updated": _after(known),
        }
        if "canceled" in request:
            booking["canceled"] = request["canceled"]
        self.bookings[booking["id"]] = booking
        return booking

    def decide_later(self, booking_id: str, status: str) -> httpx.Response:
        """Settle a PENDING booking and push it to Berth's Receiver."""
        booking = self.bookings[booking_id]
        decision = "ACCEPTED" if status == "RESERVED" else "DECLINED"
        booking["booking_requests"][-1]["request_status"] = decision
        booking |= {"reservation_status": status, "last_updated": _after(booking)}
        receiver = self.endpoints["booking", "RECEIVER"]
        return self.send("PUT", f"{receiver}/{self.country}/{self.party}/{booking_id}", booking)


def _after(known: Body | None) -> str:
    """When a booking is updated now: later than what was told of it before, however fast that follows."""
    now = datetime.now(UTC)
    if known:
        now = max(now, datetime.fromisoformat(known["last_updated"]) + timedelta(seconds=1))
    return instant(now)


TERMS = {
    "rfid_auth_required": True, "supported_access_methods": ["OPEN"], "change_until_minutes": 0,
    "cancel_until_minutes": 0, "min_booking_duration": 15, "max_booking_duration": 240, "noshow_timeout": 15,
}  # fmt: skip


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that they end with it."""

    daemon_threads = True

    def __init__(self, *where: Any) -> None:
        self._lines: list[socket.socket] = []
        super().__init__(*where)

    def get_request(self) -> tuple[socket.socket, Any]:
        line, address = super().get_request()
        self._lines.append(line)
        return line, address

    def cut_lines(self) -> None:
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """A line that was cut is not worth a word."""


class _Door(BaseHTTPRequestHandler):
    """What a network answers; `network` is set by the class each of them serves with."""

    network: Network
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        if path == "/ocpi/versions":
            return self._say(200, [{"version": "2.3.0", "url": f"{self.network.base}/ocpi/2.3.0"}])
        if path == "/ocpi/2.3.0":
            return self._say(200, {"version": "2.3.0", "endpoints": _endpoints(self.network)})
        if path.endswith("/credentials"):
            return self._say(200, self.network.credentials())
        if self.network.failing:
            return self._say(self.network.failing)
        return self._read(path)

    def _read(self, path: str) -> None:
        lists = {
            "/ocpi/cpo/locations": self.network.locations,
            "/ocpi/cpo/bookings/booking_locations": self.network.booking_locations,
            "/ocpi/cpo/bookings": list(self.network.bookings.values()),
            "/ocpi/cpo/tariffs": [],
        }
        if path in lists:
            return self._say(200, lists[path])
        if path.startswith("/ocpi/cpo/bookings/booking_locations/"):
            wanted = path.rpartition("/")[2]
            found = [each for each in self.network.booking_locations if each["id"] == wanted]
            return self._say(200, found[0]) if found else self._say(404)
        held = self.network.held.get(_below_receiver(path))
        return self._say(200, held) if held else self._say(404)

    def do_POST(self) -> None:
        body = self._body()
        if self.path.endswith("/credentials"):  # Berth started the handshake
            self.network.token_of_berth = body["token"]
            return self._say(200, self.network.credentials())
        if self.network.failing:
            return self._say(self.network.failing)
        if self.path == "/ocpi/cpo/bookings":
            return self._say(201, self.network.answer_request(body))
        return self._say(404)

    def do_PUT(self) -> None:
        body = self._body()
        if self.path.endswith("/credentials"):
            self.network.token_of_berth = body["token"]
            return self._say(200, self.network.credentials())
        if self.network.failing:
            return self._say(self.network.failing)
        return self._say(self.network.take(self.command, _below_receiver(self.path), body))

    do_PATCH = do_PUT  # noqa: N815 - the base class looks it up by this name

    def do_DELETE(self) -> None:
        self._say(200)

    def _body(self) -> Body:
        body: Body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        return body

    def _say(self, status: int, data: Any = None) -> None:
        told: Body = {
            "status_code": 1000 if status < 400 else 3000 if status >= 500 else 2000,
            "timestamp": instant(datetime.now(UTC)),
        }
        if data is not None:
            told["data"] = data
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


def _endpoints(network: Network) -> list[Body]:
    found = [("credentials", "SENDER", "2.3.0/credentials")]
    if "EMSP" in network.roles:
        found += [("Booking", "RECEIVER", "emsp/bookings"), ("locations", "RECEIVER", "emsp/locations")]
    if "CPO" in network.roles:
        found += [("Booking", "SENDER", "cpo/bookings"), ("locations", "SENDER", "cpo/locations")]
    return [
        {"identifier": identifier, "role": role, "url": f"{network.base}/ocpi/{path}"}
        for identifier, role, path in found
    ]


def _below_receiver(path: str) -> str:
    return re.sub(r"^/ocpi/emsp/", "", path.partition("?")[0].rstrip("/"))
