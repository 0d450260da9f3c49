"""Many bookings at once: planned jointly under the locks of their depots, and booked, all or what fits.

A dry run is the same transaction, taken back: what it shows is what would have been booked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.db import transaction

from bookings.actors import Actor
from bookings.core import calendars, occupancy
from bookings.core.locking import lock_depot, lock_ids
from bookings.errors import BookingError, ChangedMeanwhile, Conflicts
from bookings.models import Booking
from bookings.operations.book import request_booking
from bookings.operations.places import candidates
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration, content_version, joint_plan, periods, quotes
from bookings.rules.configuration import Configuration, Site
from bookings.rules.entitlement import entitled
from bookings.rules.rearrangement import Spot, tightest_first
from bookings.search import availability
from depots.periods import Period, spanning

# So many are taken at once.
MOST_AT_ONCE = 200
# So many starts are looked at for one that can wait.
MOST_STARTS = 200


@dataclass(frozen=True)
class ManyWish:
    """One of many: `requests` names the options of one depot that would do, the preferred first, and is the same in all else. A
    vehicle that can wait may begin later than its period as long as it ends by `latest_end`."""

    requests: Sequence[SlotRequest]
    latest_end: datetime | None = None

    @property
    def request(self) -> SlotRequest:
        return self.requests[0]

    @property
    def depot_id(self) -> int:
        return self.request.option.depot_id

    @property
    def is_ours(self) -> bool:
        return not self.request.option.is_mirror


@dataclass(frozen=True)
class ManyOutcome:
    """What became, or in a dry run would become, of one: the booking, or why there is none."""

    booking: Booking | None = None
    refusal: BookingError | None = None

    @property
    def code(self) -> str | None:
        return self.refusal.code if self.refusal else None

    @property
    def detail(self) -> str:
        return str(self.refusal) if self.refusal else ""

    @property
    def nearest(self) -> Period | None:
        return self.refusal.nearest if self.refusal else None


def book_many(
    wishes: Sequence[ManyWish],
    *,
    key: str = "",
    what_fits: bool = False,
    dry_run: bool = False,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> list[ManyOutcome]:
    """Book them, each in turn with its wish: at our own depots all or nothing, or `what_fits`, of each depot in one transaction.
    Partners are asked afterwards, one after the other: their answers come later.

    The same `key` (any text) never books a wish twice, however often it is sent; another wish under it is another one.
    `seen_version` is that of a dry run somebody looked at (`version_of`). Raises Conflicts, which has the outcomes, where all
    was meant and something is refused, or ChangedMeanwhile where it would be something else than was seen: then nothing is
    booked.
    """
    act = _Act(_keyed(wishes, key), actor, now)
    if seen_version is not None and seen_version != version_of(act.dry_run()):
        raise ChangedMeanwhile("What can be booked has changed since you looked. Look again.")
    return act.dry_run() if dry_run else act.book(what_fits=what_fits)


def version_of(outcomes: Sequence[ManyOutcome]) -> int:
    """For the form of a page that shows them: the same for the same times at the same prices, and the same refusals."""
    return content_version.version_of([_content(outcome) for outcome in outcomes])


def _content(outcome: ManyOutcome) -> list[Any]:
    booking = outcome.booking
    if booking is None:
        return [outcome.code]
    return [booking.option_id, booking.period.as_json(), quotes.brief(booking.quote)]


def _keyed(wishes: Sequence[ManyWish], key: str) -> list[ManyWish]:
    """Each under an id that follows from the key and from all it asks for; of several alike also from how many came before."""
    if not key:
        return list(wishes)
    before: Counter[str] = Counter()
    found = []
    for wish in wishes:
        content = _content_of(wish)
        request_id = str(uuid5(NAMESPACE_URL, f"{key} {content} {before[content]}"))
        before[content] += 1
        requests = [replace(request, request_id=request_id) for request in wish.requests]
        found.append(replace(wish, requests=requests))
    return found


def _content_of(wish: ManyWish) -> str:
    request = wish.request
    named = [request.fleet.pk, request.vehicle and request.vehicle.pk, request.evse and request.evse.pk]
    asked = [
        request.plate,
        request.power_w,
        request.energy_wh if request.vehicle else None,
        str(request.needs),
    ]
    options = [one.option.pk for one in wish.requests]
    return str([named, options, request.period.as_json(), str(wish.latest_end), asked, str(request.tokens)])


class _TakenBack(Exception):
    """Ends the transaction of what is not meant to stay."""


@dataclass(frozen=True)
class _Act:
    wishes: Sequence[ManyWish]
    actor: Actor
    now: datetime

    def dry_run(self) -> list[ManyOutcome]:
        found: dict[int, ManyOutcome] = {}
        try:
            with calendars.one_operation():
                found |= self._at_own_depots(self._own())
                found |= {number: self._booked(number) for number in self._partners()}
                raise _TakenBack
        except _TakenBack:
            return [found[number] for number in range(len(self.wishes))]

    def book(self, *, what_fits: bool) -> list[ManyOutcome]:
        own, found = self._own(), dict[int, ManyOutcome]()
        depots = sorted({self.wishes[number].depot_id for number in own})
        groups = [[n for n in own if self.wishes[n].depot_id == pk] for pk in depots] if what_fits else [own]
        for numbers in groups:
            with calendars.one_operation():
                here = self._at_own_depots(numbers)
                if not what_fits and any(outcome.refusal for outcome in here.values()):
                    raise Conflicts([here.get(n, ManyOutcome()) for n in range(len(self.wishes))])
            found |= here
        found |= {number: self._booked(number) for number in self._partners()}
        return [found[number] for number in range(len(self.wishes))]

    def _own(self) -> list[int]:
        return [number for number, wish in enumerate(self.wishes) if wish.is_ours]

    def _partners(self) -> list[int]:
        return [number for number, wish in enumerate(self.wishes) if not wish.is_ours]

    def _at_own_depots(self, numbers: Sequence[int]) -> dict[int, ManyOutcome]:
        """Plan and book under the locks of their depots, in the order of the plan's times: what comes later at an EVSE reaches
        back no further than to who was there before it."""
        depot_ids = sorted({self.wishes[number].depot_id for number in numbers})
        known = self._lock(depot_ids, numbers)
        found = self._booked_before(numbers)
        planned: dict[int, SlotRequest] = {}
        for depot_id in depot_ids:
            here = [n for n in numbers if self.wishes[n].depot_id == depot_id and n not in found]
            planned |= self._planned(here, known[depot_id])
        self._queue_claims(numbers, known)
        for number in sorted(planned, key=lambda n: planned[n].period.starts_at):
            found[number] = self._booked(number, planned[number])
        left = [number for number in numbers if number not in found]
        return found | {number: self._booked(number) for number in left}

    def _lock(self, depot_ids: Sequence[int], numbers: Sequence[int]) -> dict[int, Configuration]:
        """All that any of them may take, or move something to, before the first is looked at."""
        for depot_id in depot_ids:
            lock_depot(depot_id)
        known = {depot_id: configuration.current(depot_id) for depot_id in depot_ids}
        evse_ids: set[int] = set()
        for number in numbers:
            there = known[self.wishes[number].depot_id]
            options = [request.option.pk for request in self.wishes[number].requests]
            pool = {bay.pk for option_id in options for bay in there.offers.get(option_id, ())}
            evse_ids |= there.interchangeable(pool) - evse_ids
        for there in known.values():
            evse_ids |= there.fed_together(evse_ids)
        lock_ids(evse_ids)
        return known

    def _booked_before(self, numbers: Iterable[int]) -> dict[int, ManyOutcome]:
        """What the same key has booked already, whatever became of it since."""
        asked = {self.wishes[number].request.request_id: number for number in numbers}
        asked.pop("", None)
        fleets = {wish.request.fleet.pk for wish in self.wishes}
        made = Booking.objects.filter(request_id__in=asked, fleet__in=fleets).select_related("evse", "depot")
        return {asked[booking.request_id]: ManyOutcome(booking) for booking in made} if asked else {}

    def _planned(self, numbers: Sequence[int], there: Configuration) -> dict[int, SlotRequest]:
        """What to ask for so that most find a place; whoever finds none in the plan is missing."""
        choices = [_choices(self.wishes[number], there, self.now) for number in numbers]
        evse_ids = {spot.evse_id for found in choices for spot in found}
        within = spanning(spot.span for found in choices for spot in found)
        if within is None:
            return {}
        around = within.widened(availability.FAR, availability.FAR)
        rows = availability.occupied(sorted(evse_ids), around, now=self.now)
        taken = {evse_id: [row.span for row in here] for evse_id, here in rows.items()}
        plan = joint_plan.planned([list(found) for found in choices], taken)
        return {numbers[index]: choices[index][spot] for index, spot in plan.items()}

    def _queue_claims(self, numbers: Iterable[int], known: Mapping[int, Configuration]) -> None:
        """Wait for all that any of them claims at once: one after the other, two such operations could cross."""
        claims = []
        for number in numbers:
            request = self.wishes[number].request
            terms = known[self.wishes[number].depot_id].terms(
                request.option.pk, request.fleet.pk, now=self.now
            )
            if terms.overlapping_tokens:
                continue
            try:
                tokens = entitled(request.tokens, request.vehicle, request.fleet, request.party)
            except BookingError:  # is refused when it is booked
                continue
            claims.append((terms, tokens, [request.vehicle.pk if request.vehicle else None]))
        occupancy.queue_for_all(claims)

    def _booked(self, number: int, planned: SlotRequest | None = None) -> ManyOutcome:
        """As planned, or at the first of its options that takes it; each try by itself."""
        refusals: list[BookingError] = []
        for request in [planned] if planned is not None else self.wishes[number].requests:
            try:
                with transaction.atomic():
                    return ManyOutcome(request_booking(request, actor=self.actor, now=self.now))
            except BookingError as refusal:
                refusals.append(refusal)
        # Of several options the one that knows another time says most.
        return ManyOutcome(refusal=next((one for one in refusals if one.nearest), refusals[0]))


def _choices(wish: ManyWish, there: Configuration, now: datetime) -> dict[Spot, SlotRequest]:
    """Where and when it may stand, best first, each with what is asked for then: early before late, tight before wasteful."""
    found: dict[Spot, SlotRequest] = {}
    for request in wish.requests if not wish.request.ends_when_charged else ():
        try:
            pools = candidates(there.offers.get(request.option.pk, ()), request.must_fit, request.evse)
        except BookingError:
            continue
        terms = there.terms(request.option.pk, request.fleet.pk, now=now)
        for period in _periods(request, wish.latest_end, terms.slot_step_min, there.site):
            try:
                periods.check_period(terms, there.site, period, now=now)
            except BookingError:
                continue
            for bay in tightest_first(pools, request.must_fit):
                spot = Spot(bay.pk, Period(period.starts_at, period.ends_at + terms.tail).in_utc())
                found.setdefault(spot, replace(request, period=period, planned_evse_id=bay.pk))
    return dict(sorted(found.items(), key=lambda item: item[0].span.starts_at))


def _periods(
    request: SlotRequest, latest_end: datetime | None, step_min: int, site: Site
) -> Iterator[Period]:
    """All of its length that may begin at its start or on a later step, and end in time; steps count by the depot's clock."""
    period, length = request.period, request.period.duration
    for _ in range(MOST_STARTS):
        yield period
        starts_at = periods.aligned_up(period.starts_at + timedelta(minutes=1), step_min, site)
        if latest_end is None or starts_at + length > latest_end:
            return
        period = Period(starts_at, starts_at + length)
