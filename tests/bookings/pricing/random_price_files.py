"""Price files at random: every restriction alone and combined, sessions of every shape, nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.bookings.pricing.second_reading import DAYS

# Moments around which clocks change, in UTC, and an ordinary Friday evening.
NIGHTS = {
    "Europe/Berlin": ("2026-03-29T00:00", "2026-10-25T00:00", "2026-11-27T20:30"),
    "Europe/Lisbon": ("2026-03-29T00:00", "2026-10-25T00:00", "2026-11-27T20:30"),
    "America/Toronto": ("2026-03-08T06:00", "2026-11-01T05:00", "2026-11-27T20:30"),
    "Australia/Lord_Howe": ("2026-04-04T14:00", "2026-10-03T15:00", "2026-11-27T20:30"),
}
VISITS = ("session", "session", "reserved", "expired", "booked", "booked", "unused", "no_show", "cancelled")
BOOKING_USES = ("BOOKING", "BOOKING", "BOOKING_EXPIRES", "BOOKING_CANCELLATION_FEES", "BOOKING_OVERTIME")
RESERVATION_USES = ("RESERVATION", "RESERVATION_EXPIRES")
LENGTHS_MIN = (0.05, 1, 5, 7.5, 12, 21, 30, 42, 60, 71, 120, 240)
ENERGIES_KWH = (0, 0.1152, 1, 5, 10, 20, 20.45, 33.3333)


def random_price_file(chance: Random) -> dict[str, Any]:
    zone = chance.choice(sorted(NIGHTS))
    night = datetime.fromisoformat(chance.choice(NIGHTS[zone])).replace(tzinfo=UTC)
    start = night + timedelta(minutes=chance.randint(-240, 120), seconds=chance.choice((0, 0, 17)))
    visit = chance.choice(VISITS)
    file: dict[str, Any] = {
        "tariff": _tariff(chance, start.astimezone(ZoneInfo(zone)), visit),
        "time_zone": zone,
    }
    if visit in ("session", "reserved", "expired", "booked"):
        file["session"] = _session(chance, start, visit)
    if visit in ("booked", "unused", "no_show", "cancelled"):
        file["booking"] = _booking(chance, start, visit)
    return file


def _tariff(chance: Random, local: datetime, visit: str) -> dict[str, Any]:
    uses = [*["CHARGING"] * chance.randint(1, 4)]
    others = RESERVATION_USES if visit in ("session", "reserved", "expired") else BOOKING_USES
    uses += [use for use in others if chance.random() < 0.8]
    chance.shuffle(uses)
    rate = chance.choice((None, 0, 19, "mixed", "mixed"))
    is_new = chance.random() < 0.7
    tariff: dict[str, Any] = {
        "currency": chance.choice(("EUR", "EUR", "JPY", "KWD")),
        "elements": [_element(chance, local, use, rate) for use in uses],
    }
    if is_new:
        tariff["tax_included"] = chance.choice(("NO", "NO", "YES", "N/A"))
    names = ("before_taxes", "after_taxes") if is_new else ("excl_vat", "incl_vat")
    for name, amounts in (("min_price", (0.5, 2, 5)), ("max_price", (7, 10, 20))):
        if chance.random() < 0.2:
            net = chance.choice(amounts)
            gross = round(net * chance.choice((1, 1.1, 1.2)), 4)
            tariff[name] = dict(zip(names, (net, gross) if chance.random() < 0.6 else (net,), strict=False))
    return tariff


def _element(chance: Random, local: datetime, use: str, rate: Any) -> dict[str, Any]:
    dimensions = ["FLAT", "TIME"] if use != "CHARGING" else ["FLAT", "TIME", "ENERGY", "PARKING_TIME"]
    rows = []
    for dimension in chance.sample(dimensions, chance.randint(1, len(dimensions))):
        price = chance.choice((0, 0.25, 1, 2.1, 0.3333, round(chance.uniform(0, 9), 4)))
        step = chance.choice((0, 1, 1, 7, 100, 300, 900, 3600))
        vat = chance.choice((None, 0, 20, 5.2)) if rate == "mixed" else rate
        rows.append({"type": dimension, "price": price, "vat": vat, "step_size": step})
    return {"price_components": rows, "restrictions": _restrictions(chance, local, use) or None}


def _restrictions(chance: Random, local: datetime, use: str) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    kinds = [_clock, _date, _day, _duration, _kwh]
    if use == "CHARGING":
        kinds += [_flow]
    for kind in chance.sample(kinds, chance.choice((0, 1, 1, 2, 3))):
        asked |= kind(chance, local)
    if use in RESERVATION_USES:
        asked["reservation"] = use
    elif use != "CHARGING":
        asked["booking"] = use
    return asked


def _clock(chance: Random, local: datetime) -> dict[str, Any]:
    def time_of_day() -> str:
        return f"{(local.hour + chance.randint(-1, 5)) % 24:02}:{chance.choice((0, 30, 59)):02}"

    return _one_or_both(
        chance, "start_time", time_of_day(), "end_time", chance.choice(("00:00", time_of_day()))
    )


def _date(chance: Random, local: datetime) -> dict[str, Any]:
    first = local.date() + timedelta(days=chance.randint(-1, 1))
    last = first + timedelta(days=chance.randint(1, 2))
    return _one_or_both(chance, "start_date", first.isoformat(), "end_date", last.isoformat())


def _day(chance: Random, local: datetime) -> dict[str, Any]:
    return {"day_of_week": chance.sample(DAYS, chance.randint(1, 6))}


def _duration(chance: Random, local: datetime) -> dict[str, Any]:
    least = chance.choice((0, 60, 1800, 3600, 7200))
    return _one_or_both(chance, "min_duration", least, "max_duration", least + chance.choice((1, 600, 5400)))


def _kwh(chance: Random, local: datetime) -> dict[str, Any]:
    least = chance.choice((0, 1, 5, 20, 20.5))
    return _one_or_both(chance, "min_kwh", least, "max_kwh", least + chance.choice((0.5, 5, 30)))


def _flow(chance: Random, local: datetime) -> dict[str, Any]:
    kind, least = chance.choice(("power", "current")), chance.choice((0, 16, 32))
    return _one_or_both(chance, f"min_{kind}", least, f"max_{kind}", least + chance.choice((1, 16, 50)))


def _one_or_both(chance: Random, least: str, low: Any, most: str, high: Any) -> dict[str, Any]:
    return chance.choice(({least: low}, {most: high}, {least: low, most: high}))


def _session(chance: Random, start: datetime, visit: str) -> dict[str, Any]:
    periods, at = [], start
    reserved = {"reserved": "RESERVATION_TIME", "expired": "RESERVATION_EXPIRES"}.get(visit)
    states = [reserved] * chance.randint(1, 2) if reserved else []
    if visit != "expired":
        states += chance.choices(("charging", "parking", "managed", "untold", "both"), k=chance.randint(1, 4))
    for state in states:
        minutes = chance.choice(LENGTHS_MIN)
        volumes = _volumes(chance, state, minutes)
        dimensions = [{"type": name, "volume": volume} for name, volume in volumes.items()]
        periods.append({"start_date_time": at.isoformat(), "dimensions": dimensions})
        at += timedelta(minutes=minutes)
    chance.shuffle(periods)
    return {"charging_periods": periods, "end_date_time": at.isoformat()}


def _volumes(chance: Random, state: str, minutes: float) -> dict[str, float]:
    hours, kwh = round(minutes / 60, 4), chance.choice(ENERGIES_KWH)
    if state.startswith("RESERVATION"):
        return {state: hours}
    used: dict[str, float] = {
        "charging": {"TIME": hours, "ENERGY": kwh},
        "parking": {"PARKING_TIME": hours},
        "managed": {"TIME": hours, "ENERGY": 0},
        "untold": {"ENERGY": kwh},
        "both": {"TIME": hours / 2, "PARKING_TIME": round(hours / 4, 4), "ENERGY": kwh},
    }[state]
    for name in ("MIN_POWER", "MAX_POWER", "POWER", "MIN_CURRENT", "MAX_CURRENT", "CURRENT"):
        if chance.random() < 0.25:
            used[name] = chance.choice((0, 11, 16, 31.9, 32, 50))
    return used


def _booking(chance: Random, start: datetime, visit: str) -> dict[str, Any]:
    begin = start + timedelta(minutes=chance.choice((-30, 0, 0, 10)))
    end = begin + timedelta(minutes=chance.choice((30, 60, 120)))
    outcome = visit if visit in ("no_show", "cancelled") else "used"
    booking = {"start": begin.isoformat(), "end": end.isoformat(), "outcome": outcome}
    if chance.random() < 0.4:
        booking["session_end"] = (end + timedelta(minutes=chance.choice((-5, 0, 1, 60)))).isoformat()
    return booking
