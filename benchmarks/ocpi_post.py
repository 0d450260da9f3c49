"""A partner's BookingRequest over OCPI against a hand-written view that does the same lock and the same writes.

Both are served by `manage.py serve`, in turn, by clients of this process, so that noise hits both alike. No two clients ask
for the same EVSE, and each client for one slot after the other. Afterwards the database is asked whether anything overlaps,
and the calendars of the partner's offers are held against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from statistics import median
from typing import Any

from django.db import connection
from django.utils import timezone

from benchmarks import http_load
from benchmarks.result import Result
from benchmarks.serving import Server, served
from bookings.models import BookingOption
from depots.models import Agreement
from depots.periods import Period
from roaming.ocpi.times import read_time
from tests.factories import make_depot, make_evse, option_of
from tests.roaming.partners import Caller, booking_request, make_partner

CLIENTS, ROUNDS, EACH, ALONE = 16, 5, 12, 30
PATHS = {"product": "/ocpi/cpo/2.3.0/bookings", "bare": "/bare/bookings", "insert": "/bare/insert"}


@dataclass
class Field:
    """The EVSEs that one of the views books, one a client, and the slot each is at."""

    url: str
    caller: Caller
    options: list[BookingOption]
    first: datetime
    _slots: Iterator[int] = field(default_factory=count)

    def requests(self, clients: int, each: int) -> list[list[bytes]]:
        """`each` requests for each client."""
        slots = [next(self._slots) for _ in range(each)]
        return [[self._request(option, slot) for slot in slots] for option in self.options[:clients]]

    def _request(self, option: BookingOption, slot: int) -> bytes:
        start = self.first + timedelta(hours=slot)
        body = booking_request(self.caller.party, option, Period(start, start + timedelta(minutes=30)))
        return http_load.request(self.url, "POST", self.caller.headers["Authorization"], body)


@dataclass
class Figures:
    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        return {"per_s": round(median(self.per_s), 1), "server_cpu_ms": round(median(self.cpu_ms), 2)}


def run(names: list[str]) -> Iterator[Result]:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    caller = Caller(make_partner())
    options = {name: _options(CLIENTS) for name in PATHS}
    # The tests' factories live in another year.
    Agreement.objects.update(starts_at=now - timedelta(days=30))
    with served(settings="benchmarks.served_settings") as server:
        fields = {
            name: Field(server.url.rstrip("/") + path, caller, options[name], now + timedelta(hours=2))
            for name, path in PATHS.items()
        }
        for one in fields.values():
            _post(server, one, CLIENTS, 2, Figures())  # what a process pays once
        alone = {name: Figures() for name in PATHS}
        many = {name: Figures() for name in PATHS}
        for _ in range(ROUNDS):
            for name, one in fields.items():
                _post(server, one, 1, ALONE // ROUNDS, alone[name])
            for name, one in fields.items():
                _post(server, one, CLIENTS, EACH, many[name])
        checked = _check(server, caller, options["product"])
    yield Result("ocpi_post_vs_bare", _ratio(many, "product", "bare"), ">= 0.5", {
        "vs_single_insert": round(_ratio(many, "product", "insert"), 3),
        "alone_vs_bare": round(_ratio(alone, "product", "bare"), 3),
        "clients_16": {name: figures.summary() for name, figures in many.items()},
        "clients_1": {name: figures.summary() for name, figures in alone.items()},
        **checked,
    })  # fmt: skip


def _options(number: int) -> list[BookingOption]:
    """Offers of one EVSE each, on terms as a demo depot has them."""
    terms = {"early_start_min": 15, "turnaround_min": 5, "overlapping_tokens": False, "horizon_days": 60}
    depot = make_depot(terms=terms)
    return [option_of(make_evse(depot)) for _ in range(number)]


def _post(server: Server, one: Field, clients: int, each: int, figures: Figures) -> None:
    requests = one.requests(clients, each)
    before = server.cpu_s()
    answered = http_load.send(one.url, requests)
    figures.cpu_ms.append((server.cpu_s() - before) * 1000 / len(answered.answers))
    figures.per_s.append(answered.per_s)
    refused = [answer for answer in answered.answers if answer[0] != 201]
    if refused:
        raise RuntimeError(f"{one.url} answered {refused[0]}")


def _ratio(figures: dict[str, Figures], ours: str, theirs: str) -> float:
    """The middle one of the ratios of rounds: within a round both had the same noise."""
    pairs = zip(figures[ours].per_s, figures[theirs].per_s, strict=True)
    return median(mine / other for mine, other in pairs)


_OVERLAPS = """
SELECT count(*) FROM bookings_occupancy a JOIN bookings_occupancy b
ON a.evse_id = b.evse_id AND a.id < b.id AND a.span && b.span
"""
_TAKEN = """
SELECT lower(c.span), upper(c.span) FROM bookings_occupancy c
JOIN bookings_bookingoption_evses e ON e.evse_id = c.evse_id WHERE e.bookingoption_id = %s
"""


def _check(server: Server, caller: Caller, options: list[BookingOption]) -> dict[str, Any]:
    """Nothing overlaps, and no calendar shows time that is taken."""
    with connection.cursor() as cursor:
        cursor.execute(_OVERLAPS)
        (overlaps,) = cursor.fetchone()
    wrong = sum(_shows_taken_time(server, caller, option) for option in options)
    if overlaps or wrong:
        raise RuntimeError(f"{overlaps} overlaps, {wrong} calendars that show taken time")
    return {"overlaps": overlaps, "calendars_checked": len(options)}


def _shows_taken_time(server: Server, caller: Caller, option: BookingOption) -> bool:
    url = f"{server.url.rstrip('/')}/ocpi/cpo/2.3.0/bookings/booking_locations/{option.code}"
    [(status, content)] = http_load.send(
        url, [[http_load.request(url, "GET", caller.headers["Authorization"])]]
    ).answers
    if status != 200:
        raise RuntimeError(f"{url} answered {status}")
    slots = [
        slot for calendar in http_load.data(content)["calendars"] for slot in calendar["available_timeslots"]
    ]
    free = [(read_time(slot["start_date_time"]), read_time(slot["end_date_time"])) for slot in slots]
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, [option.pk])
        taken = cursor.fetchall()
    return not free or any(start < last and first < end for first, last in taken for start, end in free)
