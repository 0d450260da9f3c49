"""Another time for bookings that cannot stand where they are at their own: the nearest at their depot that has all they asked
for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from bookings.core import occupancy
from bookings.core.standing import Taken
from bookings.models import Booking, Claim, Closure, Occupancy
from bookings.operations.counter_offer import LEAST_TIME
from bookings.operations.quotas_under_lock import allotted
from bookings.rules import configuration, fit, quotas
from bookings.rules.configuration import Configuration
from bookings.rules.fit import Needs
from bookings.rules.power import Supply
from bookings.rules.quotas import Allotted
from bookings.search.availability import FAR, nearest_in
from depots.models import Evse
from depots.periods import Period, gaps, spanning

# A fleet has a day for its answer, less where one of the two slots is nearer: its place is kept for nobody else meanwhile.
ANSWERED_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class OtherTime:
    """`until` is when the fleet has to have answered: before a charger would keep either place."""

    evse: Evse
    period: Period
    until: datetime


def may_wait_for_answer(booking: Booking, *, now: datetime) -> bool:
    """Whether its fleet would have LEAST_TIME to answer before its charger is to keep its place."""
    return booking.starts_at >= _earliest(booking, now)


@dataclass
class OtherTimes:
    """The search for bookings of one depot, one after the other: what was found for one is taken for the next. `claimed` is when
    vehicles and tokens are somewhere, by booking, `closed` when EVSEs are, bookings in it or not, `fleets` whose what stands
    there is, where anything is counted."""

    there: Configuration
    claimed: dict[object, list[tuple[int, Period]]]
    closed: Mapping[int, Sequence[Period]]
    fleets: Mapping[int, int]
    now: datetime

    @classmethod
    def read(
        cls, bookings: Sequence[Booking], taken: Mapping[int, Sequence[Occupancy]], now: datetime
    ) -> OtherTimes:
        there = configuration.current(bookings[0].depot_id)
        holders = {row.holder for rows in taken.values() for row in rows if there.counts_places}
        fleets = {**quotas.fleets_of(holders)} if holders else {}
        return cls(
            there,
            _claimed(bookings),
            _closed(there, bookings),
            fleets | {b.pk: b.fleet_id for b in bookings},
            now,
        )

    def find(
        self,
        booking: Booking,
        needs: Needs,
        evses: Iterable[Evse],
        taken: Mapping[int, Sequence[Occupancy]],
        supply: Supply,
        in_option: Collection[int],
    ) -> OtherTime | None:
        """At one of these EVSEs, which it fits: as long, with the power it wished, within its terms and what its fleet may have
        there. Of those that are as near the one that keeps most of its promise, then one of its own option."""
        left = self._left_to(booking, taken, supply)
        found = []
        for evse, free in self._free(booking, evses, taken):
            period = self._nearest(booking, evse, free, left)
            if period is not None:
                lost_w = booking.promised_power_w - left.lowest(evse, _kept(booking, period)).most_w
                apart = abs(period.starts_at - booking.starts_at)
                rank = (apart, max(lost_w, 0), evse.pk not in in_option, fit.tightness(needs, evse), evse.pk)
                found.append((rank, OtherTime(evse, period, _until(booking, period, self.now))))
        if not found:
            return None
        other = min(found, key=lambda one: one[0])[1]
        for name in _claims(booking):
            self.claimed.setdefault(name, []).append((booking.pk, other.period))
        return other

    def _nearest(
        self, booking: Booking, evse: Evse, free: list[Period], left: Supply | Allotted
    ) -> Period | None:
        return nearest_in(
            booking.terms, [(evse, free)], booking.period, supply=left, wish_w=booking.wished_power_w,
            allowance=self.there.allowance(booking.fleet_id, now=self.now), now=self.now,
            not_before=_earliest(booking, self.now),
        )  # fmt: skip

    def _free(
        self, booking: Booking, evses: Iterable[Evse], taken: Mapping[int, Sequence[Occupancy]]
    ) -> Iterable[tuple[Evse, list[Period]]]:
        """Within FAR of its time, and while neither its vehicle nor its tokens are booked elsewhere."""
        around = booking.period.widened(FAR, FAR)
        claimed = [one for name in _claims(booking) for one in self.claimed.get(name, ())]
        elsewhere = [span for holder, span in claimed if holder != booking.pk]
        for evse in evses:
            spans = [row.span for row in taken.get(evse.pk, ()) if row.holder != booking.pk]
            yield evse, gaps(around, [*spans, *elsewhere, *self.closed.get(evse.pk, ())])

    def _left_to(
        self, booking: Booking, taken: Mapping[int, Sequence[Occupancy]], supply: Supply
    ) -> Supply | Allotted:
        rows = [
            Taken(row.evse_id, row.span, row.holder, row.power_w, row.kind, is_overdue=False)
            for rows in taken.values() for row in rows if self.there.counts_places
        ]  # fmt: skip
        return allotted(
            supply, self.there, rows, booking.fleet_id, booking.period.widened(FAR, FAR), booking_id=booking.pk,
            fleets=self.fleets, now=self.now,
        )  # fmt: skip


def _kept(booking: Booking, period: Period) -> Period:
    return period.widened(after=booking.terms.tail)


def _closed(there: Configuration, bookings: Sequence[Booking]) -> dict[int, list[Period]]:
    """By EVSE, around these; one query."""
    around = spanning(booking.period.widened(FAR, FAR) for booking in bookings)
    found: dict[int, list[Period]] = {}
    if around is None:
        return found
    rows = Closure.objects.filter(evse__in=there.bays, lifted_at=None)
    for closure in rows.filter(starts_at__lt=around.ends_at, ends_at__gt=around.starts_at):
        found.setdefault(closure.evse_id, []).append(closure.period)
    return found


def _claims(booking: Booking) -> list[object]:
    """What of it may not be in two places, where its terms say so."""
    tokens = booking.tokens.all()
    rows = occupancy.claims(booking, booking.terms, booking.period, tokens, booking.vehicle_id)
    return [row.token_key or row.vehicle_id for row in rows]


def _claimed(bookings: Sequence[Booking]) -> dict[object, list[tuple[int, Period]]]:
    """When what they claim is claimed by whom; one query, and none where nothing is."""
    names = {name for booking in bookings for name in _claims(booking)}
    if not names:
        return {}
    keys, vehicles = [n for n in names if isinstance(n, str)], [n for n in names if isinstance(n, int)]
    found: dict[object, list[tuple[int, Period]]] = {}
    for row in Claim.objects.filter(Q(token_key__in=keys) | Q(vehicle__in=vehicles)):
        found.setdefault(row.token_key or row.vehicle_id, []).append((row.holder, row.span))
    return found


def _earliest(booking: Booking, now: datetime) -> datetime:
    return now + LEAST_TIME + booking.terms.arm_lead


def _until(booking: Booking, period: Period, now: datetime) -> datetime:
    latest = min(booking.starts_at, period.starts_at) - booking.terms.arm_lead
    return min((now + ANSWERED_WITHIN).replace(second=0, microsecond=0), latest)
