"""Rows of series for test_rows.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any

from django.db.models import Model

from bookings.models import Booking, BookingSeries
from tests.factories import NOW, make_evse, make_vehicle, option_of, slot

_DAY = date(2030, 1, 15)


def series() -> dict[str, Callable[[int], Model]]:
    kept = _series()
    kept.save()
    return {
        "series_request_once": lambda _: _series(fleet=kept.fleet, vehicle=kept.vehicle, request_id="S-1"),
        "booking_of_series_once": lambda n: _booking(kept, series_date=_DAY, request_id=f"D{n}"),
    }


def _series(**fields: Any) -> BookingSeries:
    vehicle = fields.get("vehicle") or make_vehicle()
    made = {
        "fleet": vehicle.fleet, "option": option_of(make_evse()), "vehicle": vehicle, "rrule": "FREQ=DAILY;COUNT=3",
        "first_date": _DAY, "first_time": time(10), "length": timedelta(hours=1), "request_id": "S-0", "created_at": NOW,
    }  # fmt: skip
    return BookingSeries(**{**made, **fields})


def _booking(kept: BookingSeries | None, **fields: Any) -> Booking:
    option = kept.option if kept is not None else option_of(make_evse())
    made = {
        "fleet": option.depot.operator, "depot": option.depot, "option": option, "evse": option.evses.get(),
        "period": slot(10, 11), "terms_json": {}, "status": "confirmed", "created_at": NOW, "updated_at": NOW, "series": kept,
    }  # fmt: skip
    return Booking(**{**made, **fields})


NONSENSE: dict[str, Callable[[], Model]] = {
    "booking_of_series_dated": lambda: _booking(None, series_date=_DAY),
    "series_waits_until": lambda: _series(next_date=_DAY),
    "series_lasts": lambda: _series(length=timedelta()),
}
