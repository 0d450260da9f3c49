"""How far a booking can slide when its truck is late, from what takes the EVSEs under their locks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bookings.core.standing import Taken
from bookings.errors import SlotTaken
from bookings.models import Booking
from bookings.operations.change_plan import PlannedChange
from bookings.operations.change_request import ChangeRequest
from bookings.rules import fit
from bookings.rules.configuration import Configuration, Site
from bookings.rules.terms import Terms
from depots.periods import Period


def slide(
    booking: Booking,
    request: ChangeRequest,
    change: PlannedChange,
    taken: Mapping[int, Sequence[Taken]],
    known: Configuration,
) -> ChangeRequest:
    """What is asked of a late truck's booking, as far as there is room for it; also as the period of its change. Raises
    SlotTaken."""
    if request.delay is None:
        return request
    pool = [bay.pk for bay in known.pools.get(booking.option_id, ()) if not fit.misfits(change.needs, bay)]
    change.period = slid(booking, change.period, taken, pool, known.site)
    return replace(request, period=change.period, delay=None)


def slid(
    booking: Booking,
    wanted: Period,
    taken: Mapping[int, Sequence[Taken]],
    pool: Collection[int],
    site: Site,
) -> Period:
    """The period a late truck gets instead of the booked one, of the wanted one as much as the next slot and the depot's hours
    leave.

    At its own EVSE as long as that leaves the least duration, or all that was booked where that was less; else all of it at
    another of the `pool` (ids of EVSEs it fits and may have). Raises SlotTaken.
    """
    wanted = _open_part(wanted, site)
    least = min(timedelta(minutes=booking.terms.min_duration_min), booking.period.duration)
    here = _free_until(wanted, _others(booking, taken, booking.evse_id), booking.terms)
    if here - wanted.starts_at >= least:
        return Period(wanted.starts_at, here)
    for evse_id in pool:
        others = _others(booking, taken, evse_id)
        if wanted.duration >= least and _free_until(wanted, others, booking.terms) == wanted.ends_at:
            return wanted
    raise SlotTaken(_sentence(here - wanted.starts_at, least))


def _free_until(wanted: Period, others: Collection[Period], terms: Terms) -> datetime:
    """Until when the EVSE is free from the wanted start on, at most to the wanted end; the start itself where it is not."""
    begins = [
        max(span.starts_at - terms.tail, wanted.starts_at)
        for span in others
        if span.ends_at > wanted.starts_at
    ]
    return min([*begins, wanted.ends_at])


def _others(booking: Booking, taken: Mapping[int, Sequence[Taken]], evse_id: int | None) -> list[Period]:
    return [row.span for row in taken.get(evse_id or 0, ()) if row.holder != booking.pk]


def _open_part(wanted: Period, site: Site) -> Period:
    """Up to the end of the hours in which the truck comes; whether it may come then at all is judged with the rest."""
    if site.is_open(wanted):
        return wanted
    there = [span for span in site.open_spans(wanted) if span.starts_at == wanted.starts_at]
    return Period(wanted.starts_at, there[0].ends_at) if there else wanted


def _sentence(left: timedelta, least: timedelta) -> str:
    if left <= timedelta():
        return "The next slot has begun by then."
    minutes = int(left / timedelta(minutes=1))
    return f"Only {minutes} minutes are left there before the next slot; the least here is {int(least / timedelta(minutes=1))}."
