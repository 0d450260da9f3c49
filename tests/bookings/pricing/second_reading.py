"""A second pricer of price files, written from the rules and not from `bookings.pricing`, of which it uses nothing.

Slow and plain: a period is cut at every whole minute of the clock and wherever a duration or an amount of energy is reached,
each piece is judged in its middle, and every number is a Fraction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
KNOWN = {"start_time", "end_time", "start_date", "end_date", "day_of_week", "reservation", "booking"} | {
    f"{end}_{asked}" for end in ("min", "max") for asked in ("kwh", "power", "current", "duration")
}
DECIMALS = {"JPY": 0, "KWD": 3}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NONE = Fraction()

Taxes = dict[Fraction | None, Fraction]


@dataclass(eq=False)
class Component:
    use: str
    element: int
    dimension: str
    price: Fraction
    vat: Fraction | None
    step: Fraction
    restrictions: dict[str, Any]


@dataclass
class Span:
    """Something that lasts: a period, or a part of the booked time. Energy in kWh, `charged` and `parked` in seconds."""

    start: Fraction
    end: Fraction
    energy: Fraction = NONE
    charged: Fraction = NONE
    parked: Fraction = NONE
    volumes: dict[str, Fraction] | None = None

    def flow(self, restriction: str) -> Fraction | None:
        """What `min_power` and its like compare with; None without a value."""
        if self.volumes is None:
            return None
        end, kind = restriction.upper().split("_")
        other = {"MIN": "MAX", "MAX": "MIN"}[end]
        for name in (f"{end}_{kind}", kind, f"{other}_{kind}"):
            if name in self.volumes:
                return self.volumes[name]
        if kind == "POWER" and self.end > self.start:
            return self.energy * 3600 / (self.end - self.start)
        return None


@dataclass
class Line:
    """What a component came to, or (`component` None) what a price limit adds."""

    component: Component | None
    quantity: Fraction
    billed: Fraction
    before: Fraction
    taxes: Taxes


@dataclass
class Reading:
    """The exact bill."""

    decimals: int
    lines: list[Line]

    def before(self, *, of: Any = lambda line: True) -> Fraction:
        return sum((line.before for line in self.lines if of(line)), NONE)

    def taxes(self, *, of: Any = lambda line: True) -> Taxes:
        found: Taxes = {}
        for line in filter(of, self.lines):
            for rate, tax in line.taxes.items():
                found[rate] = found.get(rate, NONE) + tax
        return found

    def after(self) -> Fraction:
        return self.before() + sum(self.taxes().values(), NONE)


def read_price_file(file: dict[str, Any]) -> Reading:
    tariff, zone = file["tariff"], ZoneInfo(file["time_zone"])
    components = _components(tariff)
    spans, end = _session(file.get("session"))
    charging = [span for span in spans if span.volumes is not None and not _is_reserved(span)]
    lines: list[Line] = []
    if charging:
        uses = dict.fromkeys(("FLAT", "ENERGY", "TIME", "PARKING_TIME"), "CHARGING")
        lines += _priced(tariff, _in_force(components, uses, charging, zone, charging[0].start))
        lines += _limit(tariff, components, lines)
    if reserved := [span for span in spans if _is_reserved(span)]:
        expired = any("RESERVATION_EXPIRES" in (span.volumes or {}) for span in reserved)
        uses = _instead(components, "RESERVATION_EXPIRES" if expired else "RESERVATION", "RESERVATION")
        flowless = [Span(span.start, span.end, charged=span.charged) for span in reserved]
        lines += _priced(tariff, _in_force(components, uses, flowless, zone, None))
    if booking := file.get("booking"):
        for uses, start, until in _booked(components, booking, end):
            booked = _moment(booking["start"])
            used = _energy(charging, booked, start)
            parts = _booked_spans(charging, start, until)
            lines += _priced(tariff, _in_force(components, uses, parts, zone, booked, used))
    return Reading(DECIMALS.get(tariff["currency"], 2), lines)


def half_up(amount: Fraction, decimals: int) -> Decimal:
    size = floor(abs(amount) * 10**decimals + Fraction(1, 2))
    return Decimal(size if amount >= 0 else -size).scaleb(-decimals)


def _number(value: Any) -> Fraction:
    return Fraction(Decimal(str(value)))


def _moment(text: str) -> Fraction:
    moment = datetime.fromisoformat(text)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
    return Fraction(since.days * 86400 + since.seconds)


def _components(tariff: dict[str, Any]) -> list[Component]:
    """Of elements that are understood; one that asks what flows never holds in a reservation or a booking."""
    found = []
    for index, element in enumerate(tariff["elements"]):
        asked = {
            name: value for name, value in (element.get("restrictions") or {}).items() if value is not None
        }
        use = asked.get("booking") or asked.get("reservation") or "CHARGING"
        asks_flow = any(name.endswith(("power", "current")) for name in asked)
        if set(asked) - KNOWN or (asks_flow and use != "CHARGING"):
            continue
        for row in element["price_components"]:
            vat = None if row.get("vat") is None else _number(row["vat"])
            price, step = _number(row["price"]), _number(row.get("step_size", 0))
            found.append(Component(use, index, row["type"], price, vat, step, asked))
    return found


def _session(session: dict[str, Any] | None) -> tuple[list[Span], Fraction | None]:
    if session is None:
        return [], None
    periods = sorted(session["charging_periods"], key=lambda period: _moment(period["start_date_time"]))
    turns = [_moment(period["start_date_time"]) for period in periods] + [_moment(session["end_date_time"])]
    spans = [_period(row, *turn) for row, turn in zip(periods, pairwise(turns), strict=True)]
    return spans, turns[-1]


def _period(period: dict[str, Any], start: Fraction, end: Fraction) -> Span:
    volumes = {row["type"]: _number(row["volume"]) for row in period["dimensions"]}
    times = {
        name: Fraction(floor(volumes[name] * 3600 + Fraction(1, 2)))
        for name in ("TIME", "PARKING_TIME", "RESERVATION_TIME", "RESERVATION_EXPIRES")
        if name in volumes
    }
    parked = times.pop("PARKING_TIME", None)
    charged = sum(times.values(), NONE) if times or parked is not None else end - start
    return Span(start, end, volumes.get("ENERGY", NONE), charged, parked or NONE, volumes)


def _is_reserved(span: Span) -> bool:
    return not {"RESERVATION_TIME", "RESERVATION_EXPIRES"}.isdisjoint(span.volumes or {})


def _instead(components: list[Component], use: str, otherwise: str) -> dict[str, str]:
    """For each dimension the use that prices it: another where no element of this use has it."""
    has = {component.dimension for component in components if component.use == use}
    return {dimension: use if dimension in has else otherwise for dimension in ("FLAT", "TIME")}


def _booked(
    components: list[Component], booking: dict[str, Any], session_end: Fraction | None
) -> Iterator[tuple[dict[str, str], Fraction, Fraction]]:
    """What of a booking is priced by which elements, from when until when."""
    start, end = _moment(booking["start"]), _moment(booking["end"])
    if booking["outcome"] == "cancelled":
        yield {"FLAT": "BOOKING_CANCELLATION_FEES"}, start, start
    elif booking["outcome"] == "no_show":
        yield _instead(components, "BOOKING_EXPIRES", "BOOKING"), start, end
    else:
        yield dict.fromkeys(("FLAT", "TIME"), "BOOKING"), start, end
        told = booking.get("session_end")
        ended = _moment(told) if told else session_end
        if ended is not None and ended > end:
            yield dict.fromkeys(("FLAT", "TIME"), "BOOKING_OVERTIME"), end, ended


def _booked_spans(charging: list[Span], start: Fraction, end: Fraction) -> list[Span]:
    if start == end:
        return [Span(start, end)]
    turns = {turn for span in charging for turn in (span.start, span.end) if start < turn < end}
    return [
        Span(begin, until, _energy(charging, begin, until), charged=until - begin)
        for begin, until in pairwise(sorted({start, end} | turns))
    ]


def _energy(charging: list[Span], start: Fraction, end: Fraction) -> Fraction:
    """What a session took between two moments."""
    return sum(
        (
            max(NONE, min(end, span.end) - max(start, span.start)) / (span.end - span.start) * span.energy
            for span in charging
            if span.end > span.start
        ),
        NONE,
    )


@dataclass
class Moment:
    local: datetime
    duration: Fraction
    kwh: Fraction
    span: Span


Priced = dict[str, list[tuple[Component, Fraction]]]


def _in_force(
    components: list[Component],
    uses: dict[str, str],
    spans: list[Span],
    zone: ZoneInfo,
    counted_from: Fraction | None,
    kwh: Fraction = NONE,
) -> Priced:
    """By dimension what each component prices, in order of time: kWh, seconds, or one flat price."""
    priced: Priced = {dimension: [] for dimension in uses}
    for span in spans:
        for begin, end in pairwise(_cuts(components, span, counted_from, kwh)):
            middle = (begin + end) / 2
            at = span.start + middle * (span.end - span.start)
            duration = NONE if counted_from is None else at - counted_from
            local = (EPOCH + timedelta(seconds=floor(at))).astimezone(zone)
            moment = Moment(local, duration, kwh + middle * span.energy, span)
            quantities = {"ENERGY": span.energy, "TIME": span.charged, "PARKING_TIME": span.parked}
            for dimension, use in uses.items():
                quantity = (end - begin) * quantities.get(dimension, NONE)
                component = _first(components, use, dimension, moment)
                if component is not None and (quantity or (dimension == "FLAT" and not priced["FLAT"])):
                    priced[dimension].append((component, quantity or Fraction(1)))
        kwh += span.energy
    if not priced["FLAT"]:
        # A duration or an amount of energy that is reached exactly at the end is reached.
        moment.duration = NONE if counted_from is None else spans[-1].end - counted_from
        moment.kwh = kwh
        component = _first(components, uses["FLAT"], "FLAT", moment)
        priced["FLAT"] += [] if component is None else [(component, Fraction(1))]
    return priced


def _cuts(
    components: list[Component], span: Span, counted_from: Fraction | None, kwh: Fraction
) -> list[Fraction]:
    """Shares of a span between which no restriction changes its answer."""
    length = span.end - span.start
    cuts = {NONE, Fraction(1)}
    if length:
        minutes = range(ceil(span.start / 60) * 60, ceil(span.end), 60)
        turns = [*map(Fraction, minutes)]
        if counted_from is not None:
            turns += [counted_from + duration for duration in _limits(components, "duration")]
        cuts |= {(turn - span.start) / length for turn in turns}
    if span.energy:
        cuts |= {(limit - kwh) / span.energy for limit in _limits(components, "kwh")}
    return sorted(cut for cut in cuts if 0 <= cut <= 1)


def _limits(components: list[Component], asked: str) -> set[Fraction]:
    return {
        _number(component.restrictions[name])
        for component in components
        for name in (f"min_{asked}", f"max_{asked}")
        if name in component.restrictions
    }


def _first(components: list[Component], use: str, dimension: str, moment: Moment) -> Component | None:
    of_dimension = (c for c in components if c.use == use and c.dimension == dimension)
    return next((c for c in of_dimension if _holds(c.restrictions, moment)), None)


def _holds(asked: dict[str, Any], moment: Moment) -> bool:
    values = {"kwh": moment.kwh, "duration": moment.duration}
    for name in asked:
        end, _, kind = name.partition("_")
        if end in ("min", "max"):
            value = values[kind] if kind in values else moment.span.flow(name)
            limit = _number(asked[name])
            if value is None or (value < limit if end == "min" else value >= limit):
                return False
    return _holds_today(asked, moment.local) and _holds_now(asked, f"{moment.local:%H:%M}")


def _holds_today(asked: dict[str, Any], local: datetime) -> bool:
    today = local.date()
    return (
        date.fromisoformat(asked.get("start_date", "0001-01-01")) <= today
        and today < date.fromisoformat(asked.get("end_date", "9999-12-31"))
        and (not asked.get("day_of_week") or DAYS[local.weekday()] in asked["day_of_week"])
    )


def _holds_now(asked: dict[str, Any], now: str) -> bool:
    start, end = asked.get("start_time", "00:00"), asked.get("end_time", "00:00")
    if start == end:
        return True
    return start <= now < end if start < end else now >= start or now < end


def _priced(tariff: dict[str, Any], priced: Priced) -> list[Line]:
    """Energy is rounded up once, and parking, or the charging time where no parking was billed."""
    lines: list[Line] = []
    for dimension, parts in priced.items():
        is_rounded = dimension in ("ENERGY", "PARKING_TIME") or (
            dimension == "TIME" and not priced.get("PARKING_TIME")
        )
        steps_a_unit = 1000 if dimension == "ENERGY" else 1
        used: dict[Component, Fraction] = {}
        for component, quantity in parts:
            used[component] = used.get(component, NONE) + quantity
        billed = dict(used)
        if parts and is_rounded and parts[-1][0].step:
            step = parts[-1][0].step / steps_a_unit
            total = sum(used.values(), NONE)
            billed[parts[-1][0]] += ceil(total / step) * step - total
        units = 3600 if dimension in ("TIME", "PARKING_TIME") else 1
        lines += [_line(tariff, one, used[one] / units, billed[one] / units) for one in used]
    return lines


def _line(tariff: dict[str, Any], component: Component, quantity: Fraction, billed: Fraction) -> Line:
    cost, vat, included = billed * component.price, component.vat, tariff.get("tax_included", "NO")
    if vat is None or included == "N/A":
        return Line(component, quantity, billed, cost, {})
    before = cost / (1 + vat / 100) if included == "YES" else cost
    return Line(component, quantity, billed, before, {vat: before * vat / 100})


def _limit(tariff: dict[str, Any], components: list[Component], lines: list[Line]) -> list[Line]:
    """The line that min_price and max_price add. Its taxes are one sum, under whatever rate."""
    charging = Reading(0, lines)
    least, most = (_bounds(tariff, name) for name in ("min_price", "max_price"))
    net, tax = charging.before(), sum(charging.taxes().values(), NONE)
    before, bound = net, None
    for limit, nearer in ((least, max), (most, min)):
        if limit is not None and nearer(before, limit[0]) != before:
            before, bound = limit[0], limit
    after = net + tax
    if bound is not None and bound[1] is None:
        after = before * (net + tax) / net if net else before * (1 + _only_rate(tariff, components) / 100)
    if least is not None and least[1] is not None:
        after = max(after, least[1])
    if most is not None and most[1] is not None:
        after = min(after, most[1])
    after = max(after, before)
    if (before, after) == (net, net + tax):
        return []
    return [Line(None, NONE, NONE, before - net, {None: after - before - tax})]


def _bounds(tariff: dict[str, Any], name: str) -> tuple[Fraction, Fraction | None] | None:
    limit = tariff.get(name)
    if limit is None:
        return None
    after = limit.get("after_taxes", limit.get("incl_vat"))
    is_taxed = after is not None and tariff.get("tax_included") != "N/A"
    return _number(limit.get("before_taxes", limit.get("excl_vat"))), _number(after) if is_taxed else None


def _only_rate(tariff: dict[str, Any], components: list[Component]) -> Fraction:
    """The tax of charging that cost nothing: of all components, or none."""
    rates = {component.vat for component in components if component.use == "CHARGING"}
    (rate,) = rates if len(rates) == 1 and tariff.get("tax_included") != "N/A" else (None,)
    return rate or NONE
