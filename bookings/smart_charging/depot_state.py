"""A depot's power as it stands, in a fixed number of queries: its EVSEs, who charges there, and what chargers were told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db.models import Max, Q

from bookings.models import (
    Booking,
    BookingSession,
    BookingStatus,
    ChargingProfile,
    EvsePower,
    SessionLimit,
)
from bookings.models.enforcement_words import STILL_BEFORE
from bookings.models.power_schedules import PowerSchedule
from bookings.rules import configuration
from bookings.rules.configuration import Configuration
from bookings.rules.power_profile import Limit, leasts
from bookings.smart_charging.allocation import PowerLimit
from bookings.smart_charging.expiry import clock_margin
from depots.charging_profile_forms import form_for, most_periods, was_seen
from depots.models import ChargingSession, Evse
from depots.queries import is_online

# Whoever has put it there: what is out of service for a truck to come gives nothing either.
GIVES_NOTHING = {Evse.Status.FAULTED, Evse.Status.UNAVAILABLE}
# A truck that is promised power from its slot's start on has it by then: others are lowered before.
READY_BEFORE = timedelta(seconds=8)
# Promises that begin later are seen before they matter to a charger whose profiles do not expire.
FORESEEN = timedelta(days=1)
NEVER, FOREVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
TX, TX_DEFAULT = ChargingProfile.Purpose.TX, ChargingProfile.Purpose.TX_DEFAULT


class Coming(NamedTuple):
    """The next booking of an EVSE."""

    starts_at: datetime
    ends_at: datetime
    promised_w: int


@dataclass
class EvseState:
    """An EVSE with its rows. `booking` is the one that charges here, or whose slot has begun and whose truck is awaited.

    `least_w` is what the rules of booking leave it whatever is promised to others; `coming_w` the most promised here later.
    `is_short`: less than what it is to have first of all was left for it.
    """

    evse: Evse
    power: EvsePower
    tx: ChargingProfile
    tx_default: ChargingProfile
    now: datetime
    least_w: int
    session: ChargingSession | None = None
    booking: Booking | None = None
    is_online: bool = False
    coming_w: int = 0
    coming: Coming | None = None
    is_short: bool = False
    customer_limit: SessionLimit | None = None

    @property
    def evse_id(self) -> int:
        return self.evse.pk

    @property
    def promised_w(self) -> int:
        """What its booking has a right to now: no more than it wants itself."""
        if self.booking is None or self.now >= self.booking.ends_at:
            return 0
        return self.at_most_wished(min(self.booking.promised_power_w, self.evse.max_power_w))

    @property
    def wished_w(self) -> int | None:
        """The most that its customer wants it to take now; None where nothing is wished."""
        return self.customer_limit.watts_at(self.now) if self.customer_limit is not None else None

    def at_most_wished(self, watts: int) -> int:
        wished = self.wished_w
        return watts if wished is None else min(watts, wished)

    @property
    def takes_profiles(self) -> bool:
        """What takes no default for the truck that comes next cannot be kept within a limit."""
        charger = self.evse.charger
        return charger is not None and form_for(charger, TX_DEFAULT) is not None

    @property
    def ignores_profiles(self) -> bool:
        charger = self.evse.charger
        return charger is not None and was_seen(charger, "ignores")

    @property
    def is_known(self) -> bool:
        """Of a charger that has never connected nobody knows whether it stands there."""
        charger = self.evse.charger
        return self.session is not None or (charger is not None and charger.connected_at is not None)

    @property
    def is_tellable(self) -> bool:
        return self.is_online and self.takes_profiles and not self.ignores_profiles

    @property
    def may_charge(self) -> bool:
        return self.session is not None or self.evse.status not in GIVES_NOTHING

    @property
    def clock_margin(self) -> timedelta | None:
        return clock_margin(self.evse.charger) if self.evse.charger is not None else None

    @property
    def can_expire(self) -> bool:
        """Whether a profile may end what it gives by itself."""
        charger = self.evse.charger
        return charger is not None and most_periods(charger) > 1 and self.clock_margin is not None

    @property
    def can_rise(self) -> bool:
        """Whether a profile may rise by itself, and end that as well."""
        charger = self.evse.charger
        return self.can_expire and charger is not None and most_periods(charger) > 2

    def standing(self, profile: ChargingProfile) -> PowerSchedule | None:
        """What the charger said it holds; of another transaction nothing."""
        assert self.evse.charger is not None
        if profile is self.tx and (self.session is None or profile.transaction != self.session.transaction):
            return None
        return profile.standing(self.evse.charger)

    def standing_w(self, profile: ChargingProfile) -> int | None:
        standing = self.standing(profile)
        return None if standing is None else standing.watts_at(self.now)

    def told_w(self, ahead: timedelta = timedelta()) -> int:
        """The most the EVSE may give, now or a little later, by what stands or may stand at its charger, whatever its clock. A
        default counts beside the limit of what runs: the next truck may plug in before anybody can say more."""
        most, default = self.evse.max_power_w, self.standing(self.tx_default)
        by_default = (
            most if default is None else self._at_most([default, self.tx_default.on_its_way()], ahead)
        )
        if self.session is None:
            return min(by_default, most)
        way = self.tx.on_its_way() if self.tx.transaction == self.session.transaction else None
        return min(max(by_default, self._at_most([self.standing(self.tx), way], ahead)), most)

    def _at_most(self, schedules: Iterable[PowerSchedule | None], ahead: timedelta) -> int:
        margin = self.clock_margin
        begin, end = (NEVER, FOREVER) if margin is None else (self.now - margin, self.now + margin + ahead)
        found = (schedule.most_between(begin, end) for schedule in schedules if schedule is not None)
        return max(found, default=0)

    def rises(self) -> Iterator[datetime]:
        """When its profiles may begin to give more by themselves, of those that stand or may."""
        margin = self.clock_margin
        if margin is None:
            return
        for profile in (self.tx, self.tx_default):
            for schedule in (self.standing(profile), profile.on_its_way()):
                at = schedule.next_rise(self.now + margin) if schedule is not None else None
                if at is not None:
                    yield at - margin

    def counted_w(self, ahead: timedelta = timedelta()) -> int:
        """The most it may take, now or a little later: what it was told, its maximum where it takes no limits, and of one that
        does not keep to them what it was seen to take, while somebody charges there. Nothing until its charger first connects."""
        most = self.evse.max_power_w
        if not self.is_known:
            return 0
        if not self.takes_profiles:
            return most if self.may_charge else 0
        if not self.ignores_profiles:
            return self.told_w(ahead)
        if self.session is None or self.session.power_w is None:
            return most if self.may_charge else 0
        return min(max(self.told_w(), round(self.session.power_w * 1.1)), most)


@dataclass
class DepotState:
    """`limits` that can bind, as they are at this moment; `states` by EVSE id; `next_rise` is when the next promise begins, or a
    profile rises by itself."""

    depot_id: int
    configuration: Configuration
    limits: list[PowerLimit]
    states: dict[int, EvseState]
    next_rise: datetime | None = None

    def whole_limit_w(self) -> int | None:
        """The lowest limit that feeds all of its EVSEs; None where none does."""
        whole = [limit.watts for limit in self.limits if limit.feeds >= self.states.keys()]
        return min(whole, default=None)


def read(depot_id: int, *, now: datetime, ahead: datetime) -> DepotState:
    """`ahead` is a moment a little later: a reduction that begins by then holds already."""
    depot = configuration.current(depot_id)
    evses = Evse.objects.filter(depot=depot_id, is_withdrawn=False, charger__isnull=False)
    rows = {e.pk: e for e in evses.select_related("charger").prefetch_related("connectors").order_by("pk")}
    power, profiles = _rows(rows)
    least = leasts(depot.limits)
    states = {
        evse.pk: EvseState(
            evse,
            power[evse.pk],
            profiles[evse.pk, TX],
            profiles[evse.pk, TX_DEFAULT],
            now,
            least.get(evse.pk, evse.max_power_w),
            is_online=evse.charger is not None and is_online(evse.charger, now=now),
        )
        for evse in rows.values()
    }
    _find_sessions(states)
    _find_awaited(states, now)
    limits = [_now(limit, now, ahead) for limit in depot.limits]
    next_rise = _find_coming(states, now) if limits else None
    return DepotState(depot_id, depot, limits, states, next_rise)


def _now(limit: Limit, now: datetime, ahead: datetime) -> PowerLimit:
    return PowerLimit(limit.name, min(limit.watts_at(now), limit.watts_at(ahead)), frozenset(limit.feeds))


def _rows(
    evses: Mapping[int, Evse],
) -> tuple[dict[int, EvsePower], dict[tuple[int, str], ChargingProfile]]:
    """Those of each EVSE, which are made where they are missing."""
    power = {row.evse_id: row for row in EvsePower.objects.filter(evse__in=evses)}
    # An answer that comes meanwhile waits, and finds what is planned now.
    locked = ChargingProfile.objects.select_for_update(no_key=True).order_by("pk")
    profiles = {(row.evse_id, row.purpose): row for row in locked.filter(evse__in=evses)}
    if missing := [pk for pk in evses if pk not in power]:
        EvsePower.objects.bulk_create([EvsePower(evse_id=pk) for pk in missing], ignore_conflicts=True)
        power |= {row.evse_id: row for row in EvsePower.objects.filter(evse__in=missing)}
    lacking = [
        (pk, purpose) for pk in evses for purpose in ChargingProfile.Purpose if (pk, purpose) not in profiles
    ]
    if lacking:
        new = [ChargingProfile(evse_id=pk, purpose=purpose) for pk, purpose in lacking]
        ChargingProfile.objects.bulk_create(new, ignore_conflicts=True)
        found = locked.filter(evse__in={pk for pk, _ in lacking})
        profiles |= {(row.evse_id, row.purpose): row for row in found}
    return power, profiles


def _find_sessions(states: Mapping[int, EvseState]) -> None:
    running = ChargingSession.objects.filter(
        evse__in=states, ended_at__isnull=True, announced_at__isnull=False
    ).select_related("visit__booking__vehicle", "customer_limit")
    for session in running.order_by("started_at", "pk"):
        state = states[session.evse_id or 0]
        visit: BookingSession | None = getattr(session, "visit", None)
        booking = visit.booking if visit is not None else None
        is_its_own = booking is not None and booking.status == BookingStatus.CHARGING
        state.session, state.booking = session, booking if is_its_own else None
        state.customer_limit = getattr(session, "customer_limit", None)


def _find_awaited(states: Mapping[int, EvseState], now: datetime) -> None:
    """Bookings whose slot has begun, or does so in a moment, and whose truck is not there yet, or stays from the slot before."""
    is_awaited = Q(status=BookingStatus.CONFIRMED, starts_at__lte=now + READY_BEFORE)
    stays = Q(status=BookingStatus.CHARGING, session=None)
    begun: Iterable[Booking] = Booking.objects.filter(
        is_awaited | stays, evse__in=states, ends_at__gt=now
    ).select_related("vehicle")
    for booking in begun:
        state = states[booking.evse_id or 0]
        stays_on = booking.starts_at <= now and (
            booking.status == BookingStatus.CHARGING or booking.enforcement_why == STILL_BEFORE
        )
        if state.session is None or stays_on:
            state.booking = booking


def _find_coming(states: Mapping[int, EvseState], now: datetime) -> datetime | None:
    """What is promised later at each EVSE; when the first of that begins, or a profile rises."""
    later = Booking.objects.filter(
        evse__in=states,
        status=BookingStatus.CONFIRMED,
        starts_at__gt=now + READY_BEFORE,
        starts_at__lte=now + FORESEEN,
    ).order_by()
    for evse_id, watts in later.values_list("evse").annotate(Max("promised_power_w")):
        states[evse_id].coming_w = watts
    firsts = later.order_by("evse", "starts_at").distinct("evse")
    for evse_id, starts_at, ends_at, watts in firsts.values_list(
        "evse", "starts_at", "ends_at", "promised_power_w"
    ):
        states[evse_id].coming = Coming(starts_at, ends_at, watts)
    starts = [state.coming.starts_at for state in states.values() if state.coming is not None]
    rises = [at for state in states.values() for at in state.rises()]
    return min([*starts, *rises, *_rising_wishes(states, now)], default=None)


def _rising_wishes(states: Mapping[int, EvseState], now: datetime) -> Iterator[datetime]:
    """From when on a booking wants more of its promise than now."""
    for state in states.values():
        if state.customer_limit is not None and state.booking is not None:
            at = state.customer_limit.next_rise(now + READY_BEFORE)
            if at is not None:
                yield at
