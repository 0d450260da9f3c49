"""EVSEs out of use in one step: closed, with their bookings moved, offered another time, cancelled or left as a manager decides,
and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core import calendars, occupancy
from bookings.core.locking import lock_bookings, lock_depot
from bookings.core.versions import Aspect, check_version
from bookings.errors import BookingError, ChangedMeanwhile, EvseUnknown, SlotTaken, WrongStatus
from bookings.models import Booking, BookingRequest, BookingStatus, Closure, ClosureAct, ClosureStep
from bookings.operations import request_log
from bookings.operations.close import (
    CLOSED,
    check_ahead,
    lift_locked,
    lock_present,
    lock_proposals,
    new_closure,
    tell_closed,
    write_off_closed,
)
from bookings.operations.closure_offers import lock_offered, offer_other_time, take_back
from bookings.operations.closure_plan import Outage, Outcome, Proposal, is_at_charger, version_of
from bookings.operations.counter_offer import lost_with_offer
from bookings.operations.other_times import OtherTime
from bookings.operations.relocation import relocate
from bookings.operations.undo import book_anew
from bookings.rules import content_version
from depots.models import Evse
from depots.periods import Period

After = ClosureStep.After
TAKEN_BACK = "The closure was taken back."


@dataclass(frozen=True)
class Choice:
    """What a manager wants of one booking instead of what is proposed; `evse_id` where it is moved. Offered is what is
    proposed to be, and nothing else."""

    outcome: Outcome
    evse_id: int | None = None


def close_evses(
    *,
    outage: Outage,
    reason: str = "",
    choices: Mapping[int, Choice] | None = None,
    leaves_armed: bool = True,
    offers: bool = False,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> ClosureAct:
    """Take EVSEs out of use and do with the bookings in their way what `closure_plan.proposed` says (with `offers` another time
    is offered rather than cancelled), or for some, by booking id, what is chosen instead; all or nothing. What charges is left
    alone whatever is chosen. Each fleet is told once.

    Raises InThePast, EvseUnknown, ChangedMeanwhile when it would be something else than `seen_version` (of `version_of`) stands
    for, or SlotTaken where a chosen or seen place is not free; without a version one that cannot have it is cancelled instead.
    """
    chosen = choices or {}
    check_ahead(outage.spans[0], now)
    with calendars.one_operation():
        targets = _targets(outage, chosen)
        proposals = lock_proposals(outage, also=targets, leaves_armed=leaves_armed, offers=offers, now=now)
        evses = lock_present(outage.evse_ids)
        if seen_version is not None and seen_version != version_of(proposals):
            raise ChangedMeanwhile("What stands in its way has changed since you looked. Look again.")
        closing = _Closing(outage, reason, seen_version is not None, actor, now)
        return closing.carry_out(list(evses.values()), [_decided(one, chosen, targets) for one in proposals])


def act_version(act: ClosureAct) -> int:
    """For the button that takes it back."""
    steps = [[step.pk, step.after] for step in act.steps.all()]
    return content_version.version_of([act.pk, str(act.undone_at), steps])


def can_be_undone(act: ClosureAct, *, now: datetime) -> bool:
    """Until its time is over, and again where a cancelled booking was not booked anew yet."""
    is_unfinished = act.undone_at is not None and any(_is_to_rebook(step) for step in act.steps.all())
    return act.ends_at > now and (act.undone_at is None or is_unfinished)


def undo_closure(*, act_id: int, seen_version: int, actor: Actor, now: datetime) -> ClosureAct:
    """Open the EVSEs again, and put back what can be: a booking that was moved and is still as it was left goes to its EVSE if
    nobody else has it by then, an offer that nobody answered is taken back, one that was cancelled (or lost with its offer) is
    booked anew, with a new reference. Each step says what came of it.

    Raises WrongStatus when it was taken back already or is over, ChangedMeanwhile.
    """
    with calendars.one_operation():
        act, offered = _locked(act_id)
        if not can_be_undone(act, now=now):
            raise WrongStatus("undone", "undone", "This closure was taken back already, or is over.")
        if seen_version != act_version(act):
            raise ChangedMeanwhile("The closure has changed since you looked. Look again.")
        if act.undone_at is None:
            _reopen(act, offered, actor, now)
    for step in act.steps.all():
        if _is_to_rebook(step):
            _rebook(step, actor, now)
    return act


@dataclass(frozen=True)
class _Decided:
    """What is to be done with one booking; `is_chosen` by somebody for this one."""

    proposal: Proposal
    outcome: Outcome
    move_to: Evse | None
    is_chosen: bool

    @property
    def booking(self) -> Booking:
        return self.proposal.booking

    @property
    def other(self) -> OtherTime | None:
        return self.proposal.other if self.outcome == Outcome.OFFERED else None

    @property
    def order(self) -> tuple[bool, datetime]:
        """What is cancelled makes room; who is placed reaches back only as far as the one before lets it."""
        starts_at = self.other.period.starts_at if self.other else self.booking.starts_at
        return self.outcome != Outcome.CANCELLED, starts_at


def _targets(outage: Outage, chosen: Mapping[int, Choice]) -> dict[int, Evse]:
    """The EVSEs that are chosen for some, by id. Raises EvseUnknown."""
    wanted = {choice.evse_id for choice in chosen.values() if choice.outcome == Outcome.MOVED}
    rows = Evse.objects.filter(depot=outage.depot, is_withdrawn=False).exclude(pk__in=outage.evse_ids)
    found = rows.in_bulk([pk for pk in wanted if pk is not None])
    if not wanted <= found.keys():
        raise EvseUnknown("That EVSE is not at this depot, or is to be closed itself.")
    return found


def _decided(proposal: Proposal, chosen: Mapping[int, Choice], targets: Mapping[int, Evse]) -> _Decided:
    choice = chosen.get(proposal.booking.pk)
    if choice is None or not proposal.may_be_decided:
        return _Decided(proposal, proposal.outcome, proposal.move_to, is_chosen=False)
    target = targets[choice.evse_id or 0] if choice.outcome == Outcome.MOVED else None
    return _Decided(proposal, choice.outcome, target, is_chosen=True)


@dataclass(frozen=True)
class _Closing:
    outage: Outage
    reason: str
    is_seen: bool
    actor: Actor
    now: datetime

    def carry_out(self, evses: Sequence[Evse], decided: Sequence[_Decided]) -> ClosureAct:
        """Under the locks."""
        act = self._made()
        closures = [self._closed(evse, span, act) for evse in evses for span in self.outage.spans]
        occupancy.fill_new_closures(closures)
        occupancy.queue_for([one.booking for one in decided])
        order = sorted(decided, key=lambda one: one.order)
        ClosureStep.objects.bulk_create([self._step(act, one) for one in order])
        tell_closed(closures, at=self.now)
        return act

    def _made(self) -> ClosureAct:
        period = self.outage.period
        return ClosureAct.objects.create(
            depot=self.outage.depot, starts_at=period.starts_at, ends_at=period.ends_at, rrule=self.outage.rrule,
            reason=self.reason[:200], made_at=self.now, **self.actor.columns("made_by"),
        )  # fmt: skip

    def _closed(self, evse: Evse, span: Period, act: ClosureAct) -> Closure:
        closure = new_closure(evse, span, self.reason, self.actor, self.now)
        closure.act = act
        closure.save(force_insert=True)
        return closure

    def _step(self, act: ClosureAct, one: _Decided) -> ClosureStep:
        booking = one.booking
        step = ClosureStep(
            act=act, booking=booking, outcome=one.outcome, evse_before=booking.evse,
            power_w=booking.promised_power_w,
        )  # fmt: skip
        if one.move_to is not None and self._is_moved(one, one.move_to):
            step.evse_after = one.move_to
        elif one.outcome == Outcome.OFFERED and (offer := self._offer(one)) is not None:
            step.offer, step.evse_after = offer, one.other.evse if one.other else None
        elif one.outcome != Outcome.STAYS:
            step.outcome = Outcome.CANCELLED
            write_off_closed(booking, self.reason, actor=self.actor, now=self.now)
        step.version = booking.version
        return step

    def _offer(self, one: _Decided) -> BookingRequest | None:
        why, other = self.reason or CLOSED, one.other
        if other is not None:
            offer = offer_other_time(one.booking, other, why=why, actor=self.actor, now=self.now)
            if offer is not None:
                return offer
        if one.is_chosen or self.is_seen:
            raise SlotTaken(
                f"{_name(one.booking)} cannot be offered another time: choose something else for it."
            )
        return None

    def _is_moved(self, one: _Decided, target: Evse) -> bool:
        booking = one.booking
        needs = request_log.needs_of(booking)
        if relocate(booking, target, needs, why=self.reason, actor=self.actor, now=self.now):
            return True
        if one.is_chosen or self.is_seen:
            raise SlotTaken(f"{_name(booking)} cannot go to {target} then: choose another place for it.")
        return False


def _name(booking: Booking) -> str:
    return booking.plate or booking.reference


def _locked(act_id: int) -> tuple[ClosureAct, list[Booking]]:
    """With the EVSEs it closed and those its bookings came from and went to, and the bookings; of these those that are offered
    another time because these EVSEs are closed."""
    known = ClosureAct.objects.get(pk=act_id)
    steps = list(known.steps.all())
    lock_depot(known.depot_id)
    moved = {pk for step in steps for pk in (step.evse_before_id, step.evse_after_id) if pk is not None}
    offered = lock_offered(
        list(known.closures.all()), also=moved, bookings=[step.booking_id for step in steps]
    )
    rows = ClosureAct.objects.select_for_update(of=("self",)).select_related("depot__operator")
    return rows.prefetch_related("steps__booking", "steps__evse_before", "steps__offer").get(
        pk=act_id
    ), offered


def _reopen(act: ClosureAct, offered: Sequence[Booking], actor: Actor, now: datetime) -> None:
    closures = act.closures.filter(lifted_at=None, ends_at__gt=now).select_related("evse").order_by("pk")
    lift_locked(list(closures.select_for_update(of=("self",))), at=now)
    steps = [step for step in act.steps.all() if step.outcome in {Outcome.MOVED, Outcome.OFFERED}]
    bookings = {b.pk: b for b in lock_bookings([step.booking_id for step in steps])}
    occupancy.queue_for([*bookings.values(), *offered])
    take_back([bookings.get(booking.pk, booking) for booking in offered], actor=actor, now=now)
    for step in sorted(steps, key=lambda step: bookings[step.booking_id].starts_at):
        booking = bookings[step.booking_id]
        if step.outcome == Outcome.OFFERED:
            step.after, step.why = _of_offer(step, booking)
        else:
            step.why = _put_back(step, booking, actor, now)
            step.after = After.KEPT if step.why else After.RESTORED
        step.save(update_fields=["after", "why"])
    act.undone_at = now
    for name, value in actor.columns("undone_by").items():
        setattr(act, name, value)
    act.save(update_fields=["undone_at", "undone_by_kind", "undone_by_name"])


def _put_back(step: ClosureStep, booking: Booking, actor: Actor, now: datetime) -> str:
    """Empty, or why it stays where it is."""
    if not booking.is_live:
        return f"It is {booking.get_status_display().lower()} by now."
    if is_at_charger(booking):
        return "Its charger keeps the place already."
    try:
        check_version(booking, step.version, {Aspect.PLACE})
    except ChangedMeanwhile:
        return "It was moved again since."
    needs = request_log.needs_of(booking)
    is_back = relocate(
        booking, step.evse_before, needs, power_w=step.power_w, why=TAKEN_BACK, actor=actor, now=now
    )
    return "" if is_back else f"{step.evse_before} is not free then."


def _of_offer(step: ClosureStep, booking: Booking) -> tuple[str, str]:
    """What became of one that was offered another time, and why it is not as it was; neither of one that was lost with its offer
    and is to be booked anew."""
    if booking.status == BookingStatus.CANCELLED and lost_with_offer(booking):
        return "", ""
    if not booking.is_live:
        return After.KEPT, f"It is {booking.get_status_display().lower()} by now."
    if step.offer is not None and step.offer.decision == BookingRequest.Decision.ACCEPTED:
        return After.KEPT, "Its fleet has accepted the other time."
    if booking.evse_id != step.evse_before_id:
        return After.KEPT, "It was moved again since."
    if booking.decide_until is not None:
        return After.KEPT, "Another closure stands in its way still."
    return After.RESTORED, ""


def _is_to_rebook(step: ClosureStep) -> bool:
    """Once the EVSEs are open again."""
    return step.outcome in {Outcome.CANCELLED, Outcome.OFFERED} and not step.after


def _rebook(step: ClosureStep, actor: Actor, now: datetime) -> None:
    """A transaction of its own: who was killed in between goes on with what is left. Of two at the same time the second waits
    for the first, and leaves what that has done."""
    with transaction.atomic():
        ClosureStep.objects.select_for_update(no_key=True).get(pk=step.pk)
        step.refresh_from_db(fields=["rebooked", "after", "why"])
        if not _is_to_rebook(step):
            return
        try:
            with transaction.atomic():
                step.rebooked, step.after = _booked_anew(step, actor, now), After.REBOOKED
        except BookingError as refusal:
            step.after, step.why = After.KEPT, str(refusal)[:300]
        step.save(update_fields=["rebooked", "after", "why"])


def _booked_anew(step: ClosureStep, actor: Actor, now: datetime) -> Booking:
    booking = step.booking
    if Booking.objects.filter(pk=booking.pk, fleet__is_partner=True).exists():
        raise SlotTaken("A partner network books its own again.")
    if booking.starts_at < now:
        raise SlotTaken("Its time has begun.")
    return book_anew(booking.pk, actor=actor, now=now)
