"""A depot's board of 50 EVSEs, seven days and 1,500 bookings, as its manager loads it.

`board_queries`: statements of one load, those of session and access included. `board_vs_bare`: against a view that reads the
same rows with `values_list` and dumps them as JSON. Both are answered by the whole of Django (middleware, session,
compression) in this process, in turn, so that noise hits both; each answer is checked to hold all bookings.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.test import Client
from django.urls import path
from django.utils import timezone

from benchmarks.result import Result
from benchmarks.statements import counted
from bookings.models import Booking, BookingOption, BookingRequest, BookingToken, Closure, Occupancy, Vehicle
from bookings.pages.board import Window
from bookings.rules.terms import Terms
from config.urls import urlpatterns as ours
from depots.models import ChargingSession, Connector, Depot, Evse, Membership, OpeningHours, User
from depots.periods import Period
from tests.factories import (
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
)

EVSES, DAYS, BOOKINGS = 50, 7, 1_500
ROUNDS = 15


def run(names: list[str]) -> Iterator[Result]:
    settings.ROOT_URLCONF = __name__
    now = timezone.now()
    depot, manager = _yard()
    first = now.astimezone(depot.zone).date() - timedelta(days=2)
    _book(depot, Window(first, "week", depot.zone).period.starts_at, now)
    client = Client(SERVER_NAME="127.0.0.1", headers={"accept-encoding": "gzip"})
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    board, bare = f"/depots/{depot.code}/board/?day={first}&view=week", f"/bare/{depot.code}/?day={first}"
    _check(client, board, b'data-booking="')
    _check(client, bare, b'"confirmed"', b'"completed"', b'"charging"')
    if "board_queries" in names:
        with counted() as seen:
            client.get(board)
        yield Result("board_queries", len(seen), "<= 12", {"statements": [text[:90] for text in seen]})
    if "board_vs_bare" in names:
        yield _compared(client, board, bare)


def _compared(client: Client, board: str, bare: str) -> Result:
    ratios, took = [], {board: [0.0], bare: [0.0]}
    for _ in range(ROUNDS):
        for address in (board, bare):
            began = perf_counter()
            client.get(address)
            took[address].append(perf_counter() - began)
        ratios.append(took[board][-1] / took[bare][-1])
    detail = {
        "board_ms": round(1000 * median(took[board][1:]), 1),
        "bare_ms": round(1000 * median(took[bare][1:]), 1),
        "board_bytes": len(client.get(board).content),
        "bare_bytes": len(client.get(bare).content),
        "rounds": ROUNDS,
        "through": "Django's handler in this process, in turn",
    }
    return Result("board_vs_bare", median(ratios), "<= 2", detail)


def _check(client: Client, address: str, *marks: bytes) -> None:
    answer = client.get(address)
    text = gzip.decompress(answer.content)
    found = sum(text.count(mark) for mark in marks)
    if answer.status_code != 200 or found != BOOKINGS:
        raise RuntimeError(f"{address} answers {answer.status_code} and shows {found} bookings.")


@login_required
def bare(request: HttpRequest, code: str) -> JsonResponse:
    """The rows that the board shows, read by the plainest means."""
    depot = get_object_or_404(Depot, code=code)
    get_object_or_404(Membership, user=request.user.pk, organisation=depot.operator_id)
    period = Window.asked(request.GET["day"], "week", depot, now=timezone.now()).period
    here = Q(starts_at__lt=period.ends_at, ends_at__gt=period.starts_at, depot=depot)
    booked = Booking.objects.filter(here)
    evses = Evse.objects.filter(depot=depot)
    rows = {
        "evses": evses.values_list(
            "pk", "uid", "max_power_w", "status", "error_code", "status_at", "charger_id", "charger__lease_until",
            "max_vehicle_length_cm", "max_vehicle_width_cm", "max_vehicle_height_cm", "max_vehicle_weight_kg",
            "drive_through", "dangerous_goods_allowed", "refrigeration_outlet", "vehicle_types",
        ),
        "plugs": Connector.objects.filter(evse__depot=depot).values_list("evse", "standard"),
        "hours": OpeningHours.objects.filter(depot=depot).values_list("weekday", "from_minute", "to_minute"),
        "bookings": booked.values_list(
            "pk", "evse_id", "status", "enforcement", "enforcement_why", "interrupted_at", "starts_at", "ends_at", "version",
            "plate", "fleet_id", "fleet__name", "decide_until", "terms_json__slot_step_min",
        ),
        "tokens": BookingToken.objects.filter(booking__in=booked).values_list("booking_id", "uid"),
        "spans": Occupancy.objects.filter(evse__depot=depot, span__overlap=period).values_list(
            "evse_id", "holder", "kind", "span__startswith", "span__endswith"
        ),
        "asks": BookingRequest.objects.filter(decision="pending", booking__depot=depot).values_list("booking_id", "asked"),
        "closures": Closure.objects.filter(
            evse__depot=depot, lifted_at=None, starts_at__lt=period.ends_at, ends_at__gt=period.starts_at
        ).values_list("evse_id", "starts_at", "ends_at", "reason"),
        "sessions": ChargingSession.objects.filter(
            evse__in=evses, ended_at=None
        ).values_list("evse_id", "started_at", "meter_start_wh", "meter_last_wh", "power_w", "is_entitled"),
    }  # fmt: skip
    return JsonResponse({name: list(found) for name, found in rows.items()})


urlpatterns = [*ours, path("bare/<str:code>/", bare)]


def _yard() -> tuple[Depot, User]:
    depot = make_depot(operator=make_operator(), terms={"early_start_min": 15, "turnaround_min": 5})
    for _ in range(EVSES // 2):
        charger = make_charger(depot)
        for _ in range(2):
            make_evse(depot, charger=charger, max_vehicle_length_cm=1800, drive_through=True)
    return depot, make_user(depot.operator, Membership.Role.DEPOT_MANAGER)


def _book(depot: Depot, first: datetime, now: datetime) -> None:
    """Ten hours a day full on every EVSE: what is over completed, one in ten given up, what runs charging."""
    trucks = [make_vehicle(fleet) for fleet in (make_fleet() for _ in range(10)) for _ in range(8)]
    evses = list(Evse.objects.filter(depot=depot).order_by("pk"))
    options = {option.code: option for option in BookingOption.objects.filter(depot=depot)}
    made = []
    for place, evse in enumerate(evses):
        for number in range(BOOKINGS // len(evses)):
            day, turn = divmod(number, -(-BOOKINGS // len(evses) // DAYS))
            starts_at = first + timedelta(days=day, hours=6 + 2 * turn, minutes=15 * (place % 4))
            period = Period(starts_at, starts_at + timedelta(minutes=90))
            truck = trucks[(place * 7 + number) % len(trucks)]
            made.append(_booking(evse, options[evse.uid], truck, period, now))
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('bookings_holder_seq') FROM generate_series(1, %s)", [len(made)])
        for booking, (number,) in zip(made, cursor.fetchall(), strict=True):
            booking.pk = number
    Booking.objects.bulk_create(made)
    BookingToken.objects.bulk_create(
        BookingToken(booking=booking, uid=f"04AA{booking.vehicle_id:010X}") for booking in made
    )
    Occupancy.objects.bulk_create(
        Occupancy(
            evse=booking.evse, span=booking.period.widened(timedelta(minutes=15), timedelta(minutes=5)),
            holder=booking.pk, kind="booking", power_w=booking.promised_power_w,
        )
        for booking in made
    )  # fmt: skip


def _booking(evse: Evse, option: BookingOption, truck: Vehicle, period: Period, now: datetime) -> Booking:
    status = "completed" if period.ends_at <= now else "charging" if period.contains(now) else "confirmed"
    enforcement = {"completed": "released", "charging": "used", "confirmed": "not_due"}[status]
    fields: dict[str, Any] = {"terms_json": Terms.resolve([]).to_json(), "promised_power_w": 150_000}
    return Booking(
        fleet=truck.fleet, depot=evse.depot, option=option, evse=evse, vehicle=truck, plate=truck.plate,
        starts_at=period.starts_at, ends_at=period.ends_at,
        status=status, enforcement=enforcement, created_at=now, updated_at=now, **fields,
    )  # fmt: skip
