"""A fleet's POST over the JSON API against a partner's BookingRequest over OCPI, at the same server.

In turn, by clients of this process, so that noise hits both alike. No two clients ask for the same EVSE, and each client for one
slot after the other. The vehicles have a card each, as the requests of partners name one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from statistics import median
from uuid import uuid4

from django.utils import timezone

from benchmarks import http_load
from benchmarks.ocpi_post import Field as PartnersRequests
from benchmarks.ocpi_post import Figures
from benchmarks.result import Result
from benchmarks.serving import Server, served
from bookings.models import BookingOption, Vehicle
from depots.models import Agreement
from depots.operations.api_tokens import make_api_token
from tests.factories import make_depot, make_evse, make_fleet, make_vehicle, option_of
from tests.roaming.partners import Caller, make_partner

CLIENTS, ROUNDS, EACH = 16, 5, 12


@dataclass
class FleetsRequests:
    """The EVSEs that a fleet's system books, one a client, and the slot each is at."""

    url: str
    token: str
    options: list[BookingOption]
    vehicles: list[Vehicle]
    first: datetime
    _slots: Iterator[int] = field(default_factory=count)

    def requests(self, clients: int, each: int) -> list[list[bytes]]:
        """`each` requests for each client."""
        slots = [next(self._slots) for _ in range(each)]
        pairs = zip(self.options[:clients], self.vehicles[:clients], strict=True)
        return [[self._request(option, vehicle, slot) for slot in slots] for option, vehicle in pairs]

    def _request(self, option: BookingOption, vehicle: Vehicle, slot: int) -> bytes:
        start = self.first + timedelta(hours=slot)
        body = {
            "option": option.code,
            "vehicle": vehicle.plate,
            "starts_at": start.isoformat(),
            "ends_at": (start + timedelta(minutes=30)).isoformat(),
        }
        authorization = f"Bearer {self.token}\r\nIdempotency-Key: {uuid4()}"
        return http_load.request(self.url, "POST", authorization, body)


Requests = FleetsRequests | PartnersRequests


def run(names: list[str]) -> Iterator[Result]:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    first, caller, fleet = now + timedelta(hours=2), Caller(make_partner()), make_fleet()
    _, token = make_api_token(organisation=fleet, name="planner", now=now)
    vehicles = [make_vehicle(fleet) for _ in range(CLIENTS)]
    options = {name: _options(CLIENTS) for name in ("api", "ocpi")}
    # The tests' factories live in another year.
    Agreement.objects.update(starts_at=now - timedelta(days=30))
    with served(settings="benchmarks.served_settings") as server:
        base = server.url.rstrip("/")
        fields: dict[str, Requests] = {
            "api": FleetsRequests(f"{base}/api/v1/bookings", token, options["api"], vehicles, first),
            "ocpi": PartnersRequests(f"{base}/ocpi/cpo/2.3.0/bookings", caller, options["ocpi"], first),
        }
        for one in fields.values():
            _post(server, one, 2, Figures())  # what a process pays once
        figures = {name: Figures() for name in fields}
        for _ in range(ROUNDS):
            for name, one in fields.items():
                _post(server, one, EACH, figures[name])
    pairs = zip(figures["api"].per_s, figures["ocpi"].per_s, strict=True)
    ratio = median(api / ocpi for api, ocpi in pairs)
    detail = {name: found.summary() for name, found in figures.items()}
    yield Result("api_post_vs_ocpi", ratio, ">= 0.9", detail)


def _options(number: int) -> list[BookingOption]:
    """Offers of one EVSE each, on terms as a demo depot has them."""
    terms = {"early_start_min": 15, "turnaround_min": 5, "overlapping_tokens": False, "horizon_days": 60}
    depot = make_depot(terms=terms)
    return [option_of(make_evse(depot)) for _ in range(number)]


def _post(server: Server, one: Requests, each: int, figures: Figures) -> None:
    requests = one.requests(CLIENTS, each)
    before = server.cpu_s()
    answered = http_load.send(one.url, requests)
    figures.cpu_ms.append((server.cpu_s() - before) * 1000 / len(answered.answers))
    figures.per_s.append(answered.per_s)
    refused = [answer for answer in answered.answers if answer[0] != 201]
    if refused:
        raise RuntimeError(f"{one.url} answered {refused[0]}")
