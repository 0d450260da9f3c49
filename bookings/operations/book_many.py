"""Many bookings at once: planned jointly without a lock, then booked in one transaction, all or what fits.

A dry run is the same transaction, taken back: what it shows is what would have been booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import prefetch_related_objects

from bookings.actors import Actor
from bookings.core import calendars
from bookings.core.taken_back import taken_back
from bookings.errors import BookingError, ChangedMeanwhile, Conflicts, TooManyAtOnce
from bookings.models import Booking
from bookings.operations.book import request_booking
from bookings.operations.booking_draft import Draft, drafted_together
from bookings.operations.lock_together import lock_reach, queue_claims
from bookings.operations.many_plan import ManyPlan, plan_many
from bookings.operations.many_wishes import (
    MOST_AT_ONCE,
    Asked,
    ManyOutcome,
    ManyWish,
    keyed,
    version_of,
)
from bookings.operations.places import nearest_later, tell_nearest
from bookings.operations.slot_request import SlotRequest
from bookings.search.offers import find_slots
from bookings.search.slots import SlotSearch

# Of those that can wait and found no place so many are looked for by themselves, under the locks of their depots.
MOST_SEARCHES = 20
_DAY = timedelta(days=1)


def book_many(
    wishes: Sequence[Asked],
    *,
    key: str = "",
    what_fits: bool = False,
    dry_run: bool = False,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> list[ManyOutcome]:
    """Book them, each in turn with its wish, all or nothing, or `what_fits`; in one transaction. Partners are asked in it once
    all of ours is booked: their answers come later.

    The same `key` (any text) never books a wish twice, however often it is sent; another wish under it is another one.
    `seen_version` is that of a dry run somebody looked at (`version_of`). Raises Conflicts, which has the outcomes, where all
    was meant and something is refused, ChangedMeanwhile where it would be something else than was seen, or TooManyAtOnce: then
    nothing is booked.
    """
    if len(wishes) > MOST_AT_ONCE:
        raise TooManyAtOnce(f"At most {MOST_AT_ONCE} are booked at once.")
    act = _Act(keyed(wishes, key), actor, now)
    ends = _Ends(what_fits=what_fits, dry_run=dry_run, seen_version=seen_version)
    plan = act.plan()
    try:
        return act.carry_out(plan, ends, is_final=False)
    except _PlanIsOld:
        # The locks are given back meanwhile. A second plan is carried out as far as it still can be.
        return act.carry_out(act.plan(), ends, is_final=True)


class _PlanIsOld(Exception):
    """Under the locks it turned out that something planned is taken by now, or the depots are not what they were."""


@dataclass(frozen=True)
class _Ends:
    """How it may end, by what its asker wants."""

    what_fits: bool
    dry_run: bool
    seen_version: int | None

    def judge(self, outcomes: Sequence[ManyOutcome]) -> None:
        """Within the transaction. Raises ChangedMeanwhile or Conflicts."""
        if self.seen_version is not None and self.seen_version != version_of(outcomes):
            raise ChangedMeanwhile("What can be booked has changed since you looked. Look again.")
        if self.dry_run:
            # Read while they are there.
            prefetch_related_objects([one.booking for one in outcomes if one.booking], "tokens")
        elif not self.what_fits and any(outcome.refusal for outcome in outcomes):
            raise Conflicts(outcomes)


@dataclass(frozen=True)
class _Act:
    asked: Sequence[Asked]
    actor: Actor
    now: datetime

    def plan(self) -> ManyPlan:
        booked = self._booked_before()
        wishes = {n: wish for n, wish in self._wishes(ours=True).items() if n not in booked}
        return plan_many(wishes, now=self.now)

    def carry_out(self, plan: ManyPlan, ends: _Ends, *, is_final: bool) -> list[ManyOutcome]:
        """Raises what _Ends does, and _PlanIsOld unless `is_final`."""
        with nearest_later(), taken_back() if ends.dry_run else calendars.one_operation():
            outcomes = self._booked_by(plan, is_final=is_final)
            ends.judge(outcomes)
        tell_nearest(outcomes)
        return outcomes

    def _wishes(self, *, ours: bool) -> dict[int, ManyWish]:
        """By their number."""
        return {
            number: one
            for number, one in enumerate(self.asked)
            if isinstance(one, ManyWish) and one.is_ours == ours
        }

    def _booked_by(self, plan: ManyPlan, *, is_final: bool) -> list[ManyOutcome]:
        """What is planned first, in the order of the plan's times: what comes later at an EVSE reaches back no further than to
        who was there before it. Then whoever is left, anywhere it fits; partners last."""
        own = self._wishes(ours=True)
        drafts = drafted_together(plan.asks, self.now)
        known = lock_reach(request for wish in own.values() for request in wish.requests)
        found = self._booked_before()
        planned = {n: ask for n, ask in plan.standing(now=self.now).items() if n not in found}
        if not is_final and not (plan.is_of(known) and planned.keys() >= plan.asks.keys() - found.keys()):
            raise _PlanIsOld
        queue_claims([wish.request for wish in own.values()], known, now=self.now)
        for number in sorted(planned, key=lambda n: planned[n].period.starts_at):
            found[number] = self._booked([planned[number]], drafts.get(number))
        self._find_room([n for n in own if n not in found or found[n].lacks_room], found)
        theirs = {n: wish for n, wish in self._wishes(ours=False).items() if n not in found}
        found |= {n: self._booked(wish.requests) for n, wish in theirs.items()}
        found |= {
            n: ManyOutcome(refusal=why) for n, why in enumerate(self.asked) if isinstance(why, BookingError)
        }
        return [found[number] for number in range(len(self.asked))]

    def _booked_before(self) -> dict[int, ManyOutcome]:
        """What the same key has booked already, whatever became of it since."""
        wishes = {n: one for n, one in enumerate(self.asked) if isinstance(one, ManyWish)}
        asked = {wish.request.request_id: n for n, wish in wishes.items() if wish.request.request_id}
        if not asked:
            return {}
        fleets = {wish.request.fleet.pk for wish in wishes.values()}
        made = Booking.objects.filter(request_id__in=asked, fleet__in=fleets).select_related("evse", "depot")
        return {asked[booking.request_id]: ManyOutcome(booking) for booking in made}

    def _find_room(self, numbers: Iterable[int], found: dict[int, ManyOutcome]) -> None:
        """Whoever the plan has no place for, or whose place lacks power or is beyond a quota: at any of its options at its own
        time, else at the first later time the search knows, if it can wait."""
        searches = MOST_SEARCHES
        for number in numbers:
            wish = self.asked[number]
            assert isinstance(wish, ManyWish)  # numbers are of wishes
            found[number] = self._booked(wish.requests)
            if not found[number].lacks_room or not wish.patience or not searches:
                continue
            searches -= 1
            later = self._later(wish)
            if later is not None and (outcome := self._booked([later])).booking is not None:
                found[number] = outcome

    def _later(self, wish: ManyWish) -> SlotRequest | None:
        """What to ask for at the earliest time after its own at which one of its options can be had."""
        request, by_option = wish.request, {one.option.pk: one for one in wish.requests}
        search = SlotSearch(
            fleet=request.fleet, periods=request.period, now=self.now, depot=request.option.depot,
            vehicle=request.vehicle, needs=request.must_fit, min_power_w=request.power_w,
            fitting_only=True, patience=min(wish.patience, _DAY), every_option=True,
        )  # fmt: skip
        offers = [
            offer
            for offer in find_slots(search)
            if offer.is_free and offer.option.pk in by_option and offer.evse is not None
            if request.evse is None or request.evse.pk == offer.evse.pk
        ]
        first = min(offers, key=lambda offer: offer.period.starts_at, default=None)
        if first is None or first.evse is None:
            return None
        return replace(by_option[first.option.pk], period=first.period, planned_evse_id=first.evse.pk)

    def _booked(self, requests: Iterable[SlotRequest], draft: Draft | None = None) -> ManyOutcome:
        """At the first of them that can be had; each try by itself. `draft` is of the only one."""
        refusals: list[BookingError] = []
        for request in requests:
            try:
                with transaction.atomic():
                    made = request_booking(request, draft=draft, actor=self.actor, now=self.now)
                    return ManyOutcome(made)
            except BookingError as refusal:
                refusals.append(refusal)
        # Of several options the one that may know another time says most.
        return ManyOutcome(
            refusal=next((one for one in refusals if one.nearest or one.find_nearest), refusals[0])
        )


__all__ = ["MOST_AT_ONCE", "ManyOutcome", "ManyWish", "book_many", "version_of"]
