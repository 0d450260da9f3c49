"""When what was refused of a change would be free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bookings.errors import BookingError
from bookings.models import Booking, BookingStatus, Occupancy
from bookings.operations import change_length, change_plan, until_charged
from bookings.operations.change_request import ChangeRequest
from bookings.rules import configuration, periods
from bookings.rules.power import Supply
from bookings.search import availability
from bookings.search.availability import Supposed
from depots.periods import Period


def nearest_change(
    booking_id: int,
    request: ChangeRequest,
    by: str,
    taken_too: Mapping[int, Sequence[Period]],
    now: datetime,
) -> Period | None:
    """When what is asked for would be free; asked after a refusal, outside of the transaction."""
    known = Booking.objects.select_related("depot", "option", "fleet", "vehicle").get(pk=booking_id)
    if known.status == BookingStatus.CHARGING:
        return _longest(known)
    there = configuration.current(known.depot_id)
    try:
        change, slot = change_length.planned(known, request, now=now)
        pool = change_plan.pool(known, request, change, by, there)
    except BookingError:
        return None
    wish_w = request.power_w if request.power_w is not None else known.wished_power_w
    if slot is not None:
        supply = Supply.behind(there.limits, slot.longest, without=known.pk, now=now)
        change.period = until_charged.length(slot, pool, supply, wish_w, change.needs.max_power_w)
    return availability.nearest(
        change.terms_then(known), pool, change.period, allowance=there.allowance(known.fleet_id, now=now),
        limits=there.limits, wish_w=wish_w, supposed=Supposed(known.pk, taken_too), now=now,
    )  # fmt: skip


def _longest(known: Booking) -> Period | None:
    """How long a truck at its EVSE could stay before the next one's time begins."""
    after = Occupancy.objects.filter(evse=known.evse_id, span__startswith__gte=known.ends_at).exclude(
        holder=known.pk
    )
    spans = list(after.order_by("span").values_list("span", flat=True)[:1])
    if not spans:
        return None
    latest = spans[0].starts_at - known.terms.tail
    ends_at = periods.aligned_down(latest, known.terms.slot_step_min, known.depot)
    return Period(known.starts_at, ends_at) if ends_at > known.ends_at else None
