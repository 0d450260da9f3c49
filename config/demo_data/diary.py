"""What the fleets of the demo do, day by day: a function of the day's number and nothing else."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bookings.billing.months import Month
from config.demo_data.fleets import FIRMS, FREE_PLATES, PRESENT_PLATES, Firm, vehicle_file
from depots.periods import Period
from depots.wall_clock import in_zone

# As many days back there are bookings every day; before them, to the first day of the second month that is over, some.
DAYS_BEFORE, DAYS_AHEAD = 21, 4
KEY_PREFIX = "demo-"


class Story(StrEnum):
    """How a planned booking goes."""

    CHARGED = "charged"
    CHANGED = "changed"  # moved to a later time by its fleet, then charged
    MOVED = "moved"  # to another EVSE by the depot, then charged
    NO_SHOW = "no_show"
    CANCELLED_BY_FLEET = "cancelled_by_fleet"
    CANCELLED_BY_DEPOT = "cancelled_by_depot"
    HOLD_EXPIRED = "hold_expired"
    DECLINED = "declined"  # at the depot that approves
    UNDECIDED = "undecided"  # nobody there answered in time
    # Only told of months that are over; see config.demo_data.billed_months.
    DEAD_CHARGER = "dead_charger"  # nobody charged, since nothing could
    OVERSTAYED = "overstayed"  # charged on after its slot
    PARKED = "parked"  # full, and left at the charger
    UNMETERED = "unmetered"  # the charger never told what its meter was at the end


@dataclass(frozen=True)
class TruckStop:
    """Where trucks stop: options in the order they are tried, all of them at chargers that are simulated."""

    code: str
    zone: ZoneInfo
    options: tuple[str, ...]
    megawatt: tuple[str, ...] = ()
    approves: bool = False


@dataclass(frozen=True)
class Planned:
    """One booking of the diary. `key` is its request id, the same on every load."""

    key: str
    firm: Firm
    plate: str
    depot: TruckStop
    option: str
    period: Period
    made_at: datetime
    story: Story
    chance: float  # 0 to 1, for whatever else about it is left to chance


def _uids(*chargers: str) -> tuple[str, ...]:
    return tuple(f"{charger}-{number}" for charger in chargers for number in (1, 2))


DEPOTS = (
    TruckStop("NF-HAM", ZoneInfo("Europe/Berlin"), _uids("HAM-1", "HAM-2"), ("HAM-3-1",)),
    TruckStop("NF-LNZ", ZoneInfo("Europe/Vienna"), _uids("LNZ-1", "LNZ-2"), ("LNZ-3-1",), approves=True),
    TruckStop("LP-VEN", ZoneInfo("Europe/Amsterdam"), (*_uids("VEN-01", "VEN-02", "VEN-03"), "VEN-POOL"), _uids("VEN-12")),
    TruckStop("LP-DUB", ZoneInfo("Europe/Dublin"), _uids("DUB-1", "DUB-2")),
    TruckStop("LP-VNO", ZoneInfo("Europe/Vilnius"), _uids("VNO-1", "VNO-2")),
    TruckStop("LP-LIS", ZoneInfo("Europe/Lisbon"), _uids("LIS-1", "LIS-2")),
)  # fmt: skip
# Where each fleet drives, depot by depot: how likely it stops there.
HABITS = {
    "Nordfracht": (6, 3, 4, 1, 1, 2),
    "Alpentrans": (2, 5, 4, 0, 1, 2),
    "Baltcargo": (3, 1, 3, 2, 6, 1),
}
STORIES = {
    Story.CHARGED: 71, Story.CHANGED: 6, Story.MOVED: 3, Story.NO_SHOW: 6, Story.CANCELLED_BY_FLEET: 8,
    Story.CANCELLED_BY_DEPOT: 3, Story.HOLD_EXPIRED: 3,
}  # fmt: skip
MEGAWATT_PLATES = {"HH-NF 400", "L-AT 210"}


def first_day(epoch: date) -> date:
    """Of a diary begun on a day: two whole months lie between."""
    return Month.of(epoch).previous.previous.first_day


def days(epoch: date, first: date, today: date) -> Iterator[tuple[int, date]]:
    """The days from one to some days ahead of today, with their numbers counted from the day the diary was begun."""
    for passed in range((today - first).days + DAYS_AHEAD + 1):
        on = first + timedelta(days=passed)
        yield (on - epoch).days, on


def day(number: int, on: date) -> list[Planned]:
    """The bookings whose slots lie on one day."""
    chance = random.Random(f"Berth demo, day {number}")  # noqa: S311 - the same every time is what is wanted
    planned: list[Planned] = []
    for firm in FIRMS:
        for plate in _driving(firm):
            # A truck stays in one region for a day.
            depot = chance.choices(DEPOTS, weights=HABITS[firm.name])[0]
            for stop, hour in enumerate(_hours(chance, number)):
                key = _key(number, plate, stop)
                planned.append(_stop(chance, key, firm, plate, depot, on, hour))
    return planned


def keys_of_day(number: int) -> set[str]:
    """All that bookings of a day can have."""
    return {_key(number, plate, stop) for firm in FIRMS for plate in _driving(firm) for stop in (0, 1)}


def request_id(name: str) -> str:
    """The id of a planned booking: the same on every load, and as long as a request id may be."""
    return f"{KEY_PREFIX}{hashlib.sha256(name.encode()).hexdigest()[:28]}"


def _driving(firm: Firm) -> list[str]:
    if firm.name not in HABITS:
        return []
    spare = {*FREE_PLATES, *PRESENT_PLATES}
    return [row["plate"] for row in vehicle_file(firm)["vehicles"] if row["plate"] not in spare]


def _key(number: int, plate: str, stop: int) -> str:
    return request_id(f"day {number}, {plate}, stop {stop}")


def _hours(chance: random.Random, number: int) -> list[int]:
    """At which hours a truck stops on a day: in the present most days once, before that more seldom, some days twice."""
    likely = 0.8 if number >= 0 else 0.3 if number >= -DAYS_BEFORE else 0.04
    drives, stops_twice, first = chance.random(), chance.random(), chance.choice([6, 7, 8, 9, 10, 11])
    later = first + chance.choice([5, 6, 7])
    if drives > likely:
        return []
    return [first, later] if stops_twice < (0.3 if number >= 0 else 0.2) else [first]


def _stop(
    chance: random.Random, key: str, firm: Firm, plate: str, depot: TruckStop, on: date, hour: int
) -> Planned:
    has_megawatt = plate in MEGAWATT_PLATES and bool(depot.megawatt)
    option = chance.choice(depot.megawatt if has_megawatt else depot.options)
    local = datetime.combine(on, time(hour, chance.choice([0, 15, 30, 45])))
    starts_at = in_zone(local, depot.zone)
    minutes = chance.choice([30, 45]) if has_megawatt else chance.choice([45, 60, 60, 75, 90, 120])
    made_at = starts_at - timedelta(minutes=chance.choice([100, 180, 300, 600, 1100, 1500, 2900, 5800]))
    story = chance.choices(list(STORIES), weights=list(STORIES.values()))[0]
    if depot.approves and chance.random() < 0.25:
        story = chance.choice([Story.DECLINED, Story.UNDECIDED])
    period = Period(starts_at, starts_at + timedelta(minutes=minutes))
    return Planned(key, firm, plate, depot, option, period, made_at, story, chance.random())
