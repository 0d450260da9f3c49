"""Figures of how well a depot's EVSEs were in order: in all time and in booked time, the depot's own closures apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bookings.models import Booking, BookingStatus, Closure, KeptEvse
from depots.models import Charger, Depot, Evse, EvseStatusChange, Fallback
from depots.past_states import past_states
from depots.periods import Period
from depots.uptime import Condition, Stretch, Uptime, measure, stretches

DAYS = (1, 7, 30)
BAR_DAYS = 7
BAR_WIDTH = 1000
LAST_CHANGES = 15
CAME = [BookingStatus.CONFIRMED, BookingStatus.CHARGING, BookingStatus.COMPLETED, BookingStatus.NO_SHOW]
WORDS = {
    Condition.IN_ORDER: "in order",
    Condition.FAULTED: "faulted",
    Condition.OUT_OF_SERVICE: "out of service",
    Condition.OFFLINE: "offline",
    Condition.CLOSED: "closed by the depot",
    Condition.UNKNOWN: "not known",
}


@dataclass(frozen=True)
class BarPart:
    """Of a bar BAR_WIDTH wide."""

    x: int
    width: int
    condition: str


@dataclass(frozen=True)
class Figures:
    """Of one EVSE or several added up; `all_time` and `booked` by the number of days until now."""

    all_time: Mapping[int, Uptime]
    booked: Mapping[int, Uptime]

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            {days: self.all_time[days] + other.all_time[days] for days in self.all_time},
            {days: self.booked[days] + other.booked[days] for days in self.booked},
        )

    @property
    def columns(self) -> list[tuple[int, Uptime, Uptime]]:
        return [(days, self.all_time[days], self.booked[days]) for days in self.all_time]


@dataclass(frozen=True)
class EvseHistory:
    """An EVSE's figures, and its last days as a bar with what a screen reader says of it."""

    evse: Evse
    figures: Figures
    bar: list[BarPart]
    bar_label: str


def histories(evses: Collection[Evse], *, now: datetime, days: Collection[int] = DAYS) -> list[EvseHistory]:
    """Seven queries, however many EVSEs."""
    whole = Period(now - timedelta(days=max(days)), now)
    past = past_states(evses, since=whole.starts_at)
    closed, kept, booked = _closed(evses, whole), _kept(evses, whole), _booked(evses, whole)
    found = []
    for evse in evses:
        history = stretches(
            whole,
            statuses=past[evse.pk].statuses,
            connections=past[evse.pk].connections,
            closed=closed[evse.pk],
            kept=kept[evse.pk],
        )
        bar = Period(now - timedelta(days=BAR_DAYS), now)
        found.append(EvseHistory(evse, _figures(history, booked[evse.pk], days, now), *_bar(history, bar)))
    return found


def history_of(charger: Charger, now: datetime) -> dict[str, Any]:
    """For the charger page."""
    evses = list(charger.evses.order_by("number"))
    changes = EvseStatusChange.objects.filter(evse__in=evses).select_related("evse").order_by("-id")
    return {"histories": histories(evses, now=now), "status_changes": changes[:LAST_CHANGES]}


def uptime_by_charger(depot: Depot, *, now: datetime) -> dict[str, Any]:
    """For the yard: the depot's figures of its last days, and each charger's with its EVSEs' bars; those of which nothing is
    known last."""
    evses = depot.evses.filter(charger__isnull=False, is_withdrawn=False).select_related("charger")
    by_charger = defaultdict(list)
    for history in histories(
        list(evses.order_by("charger__cabinet", "charger__identity", "number")), now=now, days=[BAR_DAYS]
    ):
        by_charger[history.evse.charger].append(history)
    figures = {charger: added_up(found) for charger, found in by_charger.items()}
    in_turn = sorted(by_charger, key=lambda charger: figures[charger].all_time[BAR_DAYS].share is None)
    rows = [
        {
            "charger": charger,
            "histories": by_charger[charger],
            "figures": figures[charger],
            # Its EVSEs are offline together: added up, a charger of two would be so twice as often.
            "times_offline": max(
                each.figures.all_time[BAR_DAYS].times_offline for each in by_charger[charger]
            ),
        }
        for charger in in_turn
    ]
    everything = [history for row in by_charger.values() for history in row]
    return {"depot": depot, "chargers": rows, "figures": added_up(everything) if everything else None}


def added_up(found: Iterable[EvseHistory]) -> Figures:
    first, *others = (history.figures for history in found)
    for figures in others:
        first += figures
    return first


def as_json(histories: Iterable[EvseHistory]) -> list[dict[str, Any]]:
    """As `show_charger` prints them, one an EVSE and span."""
    return [
        {
            "evse": history.evse.uid,
            "days": days,
            "in_order": _rounded(all_time.share),
            "in_order_while_booked": _rounded(booked.share),
            "faults": all_time.faults,
            "mean_time_to_repair_s": _seconds(all_time.mean_time_to_repair),
            "times_offline": all_time.times_offline,
            "offline_s": round(all_time.offline_s),
            "faulted_s": round(all_time.faulted_s),
            "out_of_service_s": round(all_time.out_of_service_s),
            "closed_s": round(all_time.closed_s),
        }
        for history in histories
        for days, all_time, booked in history.figures.columns
    ]


def _figures(history: list[Stretch], booked: list[Period], days: Collection[int], now: datetime) -> Figures:
    spans = {each: Period(now - timedelta(days=each), now) for each in days}
    return Figures(
        {each: measure(history, [span]) for each, span in spans.items()},
        {
            each: measure(history, [part for period in booked if (part := period.intersection(span))])
            for each, span in spans.items()
        },
    )


def _bar(history: list[Stretch], within: Period) -> tuple[list[BarPart], str]:
    """Its parts, and `98.1 % in order, 1.9 % offline`."""
    total = within.duration.total_seconds()
    parts, seconds = [], dict.fromkeys(Condition, 0.0)
    for stretch in history:
        part = Period(stretch.starts_at, stretch.ends_at).intersection(within)
        if part is None:
            continue
        x = round((part.starts_at - within.starts_at).total_seconds() / total * BAR_WIDTH)
        end = round((part.ends_at - within.starts_at).total_seconds() / total * BAR_WIDTH)
        # A fault of a minute is seen, too.
        parts.append(BarPart(x, max(end - x, 2), stretch.condition.value))
        seconds[stretch.condition] += part.duration.total_seconds()
    told = [f"{spent / total * 100:.1f} % {WORDS[each]}" for each, spent in seconds.items() if spent]
    return parts, ", ".join(told) or "nothing known"


def _closed(evses: Collection[Evse], within: Period) -> dict[int, list[Period]]:
    rows = Closure.objects.filter(evse__in=evses, starts_at__lt=within.ends_at, ends_at__gt=within.starts_at)
    found: dict[int, list[Period]] = defaultdict(list)
    for evse_id, start, end, lifted_at in rows.values_list("evse_id", "starts_at", "ends_at", "lifted_at"):
        if (ends_at := min(end, lifted_at or end)) > start:
            found[evse_id].append(Period(start, ends_at))
    return found


def _kept(evses: Collection[Evse], within: Period) -> dict[int, list[Period]]:
    rows = KeptEvse.objects.filter(evse__in=evses, way=Fallback.AVAILABILITY, asked_at__lt=within.ends_at)
    found: dict[int, list[Period]] = defaultdict(list)
    for evse_id, start, over_at in rows.values_list("evse_id", "asked_at", "over_at"):
        if (ends_at := over_at or within.ends_at) > start:
            found[evse_id].append(Period(start, ends_at))
    return found


def _booked(evses: Collection[Evse], within: Period) -> dict[int, list[Period]]:
    rows = Booking.objects.filter(
        evse__in=evses, status__in=CAME, starts_at__lt=within.ends_at, ends_at__gt=within.starts_at
    )
    found: dict[int, list[Period]] = defaultdict(list)
    for evse_id, start, end in rows.values_list("evse_id", "starts_at", "ends_at"):
        if evse_id is not None:
            found[evse_id].append(Period(start, end))
    return found


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else round(duration.total_seconds())
