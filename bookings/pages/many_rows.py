"""The rows of a pasted table as what is asked for, and what becomes of each in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bookings.imports.pasted_table import (
    COLUMNS,
    PastedRow,
    Unreadable,
    line_of,
    read_clock,
    read_day,
    read_end,
    read_kw,
)
from bookings.models import BookingOption, BookingStatus, Trailer, Vehicle
from bookings.operations import ManyOutcome, ManyWish, SlotRequest
from bookings.rules import quotes
from bookings.search.bookable import bookable_options
from depots.models import Organisation
from depots.periods import Period
from depots.templatetags.berth import money
from depots.wall_clock import MomentUnclear, in_zone

# The columns as the page calls them.
LABELS = dict(
    zip(COLUMNS, ("Vehicle", "Depot", "Date", "From", "To", "Latest", "kW", "Trailer"), strict=True)
)


@dataclass(frozen=True)
class ManyRow:
    """A row with what it asks for, or what is wrong at which of its columns."""

    number: int
    row: PastedRow
    wish: ManyWish | None
    faults: Mapping[str, str]

    @property
    def line(self) -> str:
        return line_of(self.row)


@dataclass(frozen=True)
class ShownRow:
    """A row beside what becomes of it. `nearest` is the line that would ask for the nearest time, `nearest_words` that time."""

    number: int
    line: str
    level: str
    words: str
    price: str = ""
    nearest: str = ""
    nearest_words: str = ""


class _Unfit(Exception):
    """What is wrong at one column."""

    def __init__(self, column: str, why: object) -> None:
        super().__init__(f"{LABELS[column]}: {why}")
        self.column = column


class ManyReader:
    """Reads rows for one fleet, with its vehicles and what it may book read once."""

    def __init__(self, fleet: Organisation, now: datetime) -> None:
        self._fleet, self._now = fleet, now
        vehicles = Vehicle.objects.filter(fleet=fleet, is_retired=False)
        self._vehicles = {_plate(vehicle.plate): vehicle for vehicle in vehicles}
        trailers = Trailer.objects.filter(fleet=fleet, is_retired=False)
        self._trailers = {_plate(trailer.plate): trailer for trailer in trailers}
        self._places: dict[str, dict[int, list[BookingOption]]] = {}
        for option in bookable_options(fleet, now=now).order_by("pk"):
            depot = option.depot
            for name in {depot.code, depot.name, option.code, option.name} - {""}:
                here = self._places.setdefault(name.casefold(), {})
                here.setdefault(depot.pk, []).append(option)

    def read(self, rows: Sequence[PastedRow]) -> list[ManyRow]:
        return [self._read(number, row) for number, row in enumerate(rows, 1)]

    def _read(self, number: int, row: PastedRow) -> ManyRow:
        try:
            return ManyRow(number, row, self._wish(row), {})
        except _Unfit as fault:
            return ManyRow(number, row, None, {fault.column: str(fault)})

    def _wish(self, row: PastedRow) -> ManyWish:
        vehicle = self._vehicles.get(_plate(row.vehicle))
        if vehicle is None:
            raise _Unfit("vehicle", f"{row.vehicle or 'nothing'} is no vehicle of {self._fleet}.")
        options = self._options(row.place)
        period, latest = self._times(row, options[0].depot.zone)
        try:
            power_w = read_kw(row.power)
        except Unreadable as why:
            raise _Unfit("power", why) from None
        request = SlotRequest(
            fleet=self._fleet, option=options[0], period=period, vehicle=vehicle, power_w=power_w,
            trailer=self._trailer(row.trailer),
        )  # fmt: skip
        return ManyWish([replace(request, option=option) for option in options], latest)

    def _trailer(self, plate: str) -> Trailer | None:
        found = self._trailers.get(_plate(plate)) if plate else None
        if plate and found is None:
            raise _Unfit("trailer", f"{plate} is no trailer of {self._fleet}.")
        return found

    def _options(self, name: str) -> list[BookingOption]:
        """Those of one depot that are called so, or the depot is; pools first, in which others can still make room."""
        found = self._places.get(name.casefold(), {})
        if not found:
            raise _Unfit("place", f"no depot or option {name or 'without a name'} is open to you.")
        if len(found) > 1:
            codes = sorted({options[0].depot.code for options in found.values()})
            raise _Unfit("place", f"several are called {name}: write one of {', '.join(codes)}.")
        (options,) = found.values()
        return sorted(options, key=lambda option: -len(option.evses.all()))

    def _times(self, row: PastedRow, zone: ZoneInfo) -> tuple[Period, datetime | None]:
        column = "day"
        try:
            day = read_day(row.day, self._now.astimezone(zone).date())
            column = "starts"
            starts_at = in_zone(datetime.combine(day, read_clock(row.starts)), zone)
            column = "ends"
            end = read_end(row.ends)
            ends_at = starts_at + end if isinstance(end, timedelta) else _next(day, end, starts_at, zone)
            column = "latest"
            latest = _next(day, read_clock(row.latest), starts_at, zone) if row.latest else None
        except (Unreadable, MomentUnclear) as why:
            raise _Unfit(column, why) from None
        if latest is not None and latest < ends_at:
            raise _Unfit("latest", "that is before its end.")
        return Period(starts_at, ends_at), latest


def shown(row: ManyRow, outcome: ManyOutcome | None) -> ShownRow:
    """What becomes of it; None where it is not understood."""
    if outcome is None or row.wish is None:
        return ShownRow(row.number, row.line, "danger", " ".join(row.faults.values()))
    zone = row.wish.request.option.depot.zone
    if outcome.booking is None:
        near = outcome.nearest
        return ShownRow(
            row.number, row.line, "danger", outcome.detail,
            nearest=line_of(_moved(row.row, near, zone)) if near else "",
            nearest_words=_span(near, zone) if near else "",
        )  # fmt: skip
    booking, price = outcome.booking, quotes.brief(outcome.booking.quote)
    is_asked = booking.status == BookingStatus.REQUESTED
    place = f"{booking.depot.name}, {booking.evse}" if booking.evse else booking.depot.name
    return ShownRow(
        row.number, row.line, "warning" if is_asked else "success",
        f"{'To be asked for: ' if is_asked else ''}{place}, {_span(booking.period, zone)}",
        price=money(price["total"], price["currency"]) if price else "",
    )  # fmt: skip


def _moved(row: PastedRow, period: Period, zone: ZoneInfo) -> PastedRow:
    first, last = (moment.astimezone(zone) for moment in (period.starts_at, period.ends_at))
    return replace(row, day=f"{first:%Y-%m-%d}", starts=f"{first:%H:%M}", ends=f"{last:%H:%M}", latest="")


def _span(period: Period, zone: ZoneInfo) -> str:
    first, last = (moment.astimezone(zone) for moment in (period.starts_at, period.ends_at))
    return f"{first:%a %-d %b %H:%M}–{last:%H:%M}"


def _next(day: date, clock: time, after: datetime, zone: ZoneInfo) -> datetime:
    """The first time after that moment at which the clock shows this, from its day on."""
    naive = datetime.combine(day, clock)
    found = in_zone(naive, zone)
    return found if found > after else in_zone(naive + timedelta(days=1), zone)


def _plate(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())
