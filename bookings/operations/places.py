"""Where a booking can be put: the EVSEs that are free under the locks, and what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from bookings.actors import SCHEDULER
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.constraints import violation_raises
from bookings.core.standing import Taken
from bookings.errors import (
    NO_ROOM,
    BookingError,
    Conflicts,
    DoesNotFit,
    RequestIdInUse,
    SlotTaken,
    TokenElsewhere,
    VehicleElsewhere,
)
from bookings.models import Booking, BookingStatus, BookingToken, Occupancy
from bookings.operations.many_wishes import ManyOutcome
from bookings.rules import fit
from bookings.rules.configuration import Bay
from bookings.rules.fit import Needs
from bookings.rules.terms import Terms
from bookings.search import availability
from depots.models import Evse
from depots.periods import Period

# Of many that are refused at once so many say what is nearest: each is a search.
MOST_NEAREST = 20
CARD_ELSEWHERE = "A token of this booking is booked elsewhere at that time."
VEHICLE_ELSEWHERE = "The vehicle is booked elsewhere at that time."
# Looks for the nearest period; these spans, by EVSE id, count as taken too.
Nearest = Callable[[Mapping[int, Sequence[Period]]], Period | None]
_is_put_off: ContextVar[bool] = ContextVar("nearest_is_put_off", default=False)


def sweep_holds(evse_ids: Sequence[int], span: Period, *, now: datetime) -> None:
    """Let holds that ran out give up their place, under the EVSEs' lock, for whoever needs it."""
    overdue = Booking.objects.filter(
        status=BookingStatus.HELD, held_until__lte=now, evse__in=evse_ids, starts_at__lt=span.ends_at + availability.FAR,
        ends_at__gt=span.starts_at - availability.FAR,
    ).order_by("pk")  # fmt: skip
    for booking in overdue.select_for_update(no_key=True):
        lifecycle.move(booking, BookingStatus.EXPIRED, actor=SCHEDULER, at=now)


def check_unclaimed(booking: Booking, tokens: Sequence[BookingToken]) -> None:
    """What the constraints would say of an unsaved one. Raises TokenElsewhere, VehicleElsewhere."""
    others = occupancy.claimed_by_others(
        occupancy.claims(booking, booking.terms, booking.period, tokens, booking.vehicle_id)
    )
    if any(claim.token_key for claim in others):
        raise TokenElsewhere(CARD_ELSEWHERE)
    if others:
        raise VehicleElsewhere(VEHICLE_ELSEWHERE)


# An EVSE as it was read, or as its configuration is known; an option's are all of one kind.
Spot = TypeVar("Spot", Evse, Bay)


def candidates(evses: Sequence[Spot], needs: Needs, wanted: Evse | None) -> list[Spot]:
    """The EVSEs of an option that fit, or the wanted one. Raises DoesNotFit with the reasons when none does."""
    pool = [evse for evse in evses if wanted is None or evse.pk == wanted.pk]
    if not pool:
        raise DoesNotFit("That EVSE does not belong to what is booked.")
    found = [evse for evse in pool if not fit.misfits(needs, evse)]
    if not found:
        raise DoesNotFit(fit.sentence(fit.misfits(needs, pool[0])))
    return found


@dataclass(frozen=True)
class FreePlace(Generic[Spot]):
    """An EVSE that is free, and the span a booking would occupy there."""

    evse: Spot
    span: Period


def assign(
    pool: Sequence[Evse],
    needs: Needs,
    period: Period,
    terms: Terms,
    *,
    now: datetime,
    holder: int | None = None,
) -> list[Evse]:
    """The locked EVSEs that are free for the period, the one that wastes least first; see `free_places`."""
    around = period.widened(availability.FAR, availability.FAR)
    taken = availability.occupied([evse.pk for evse in pool], around)
    places = free_places(pool, needs, period, terms, now=now, holder=holder, taken=taken)
    return [place.evse for place in places]


def free_places(
    pool: Sequence[Spot],
    needs: Needs,
    period: Period,
    terms: Terms,
    *,
    now: datetime,
    holder: int | None = None,
    taken: Mapping[int, Sequence[Occupancy | Taken]],
) -> list[FreePlace[Spot]]:
    """The locked EVSEs that are free for the period, the one that wastes least first; none means full.

    Tightest fit, then the smallest free gap around the period. `holder` is a booking whose own place counts as free;
    `taken` is what takes the EVSEs within FAR of the period.
    """
    wanted = Period(period.starts_at, period.ends_at + terms.tail)
    free = []
    for evse in pool:
        spans = [row.span for row in taken.get(evse.pk, ()) if row.holder != holder]
        if not any(span.overlaps(wanted) for span in spans):
            place = FreePlace(evse, occupancy.occupied_span(period, terms, spans, now=now))
            free.append((fit.tightness(needs, evse), _gap_around(spans, period), evse.pk, place))
    return [place for *_, place in sorted(free, key=lambda item: item[:3])]


@dataclass(frozen=True)
class Beside:
    """What has to be locked beside what a request itself may take: EVSEs by id, and whether their depot before them."""

    evse_ids: frozenset[int] = frozenset()
    depot: bool = False

    def __or__(self, other: Beside) -> Beside:
        return Beside(self.evse_ids | other.evse_ids, self.depot or other.depot)


class ReachesFurther(Exception):
    """Under the locks it turned out that more has to be locked: all is given back, and done again with these too."""

    def __init__(self, evse_ids: Iterable[int] = (), *, depot: bool = False) -> None:
        super().__init__()
        self.more = Beside(frozenset(evse_ids), depot)


def under_locks(nearest: Nearest, act: Callable[[Beside], Booking]) -> Booking:
    """One operation that locks what it guesses to need and is told what beside; begun anew where it reaches further. `nearest`
    as of `refusals`."""
    also = Beside()
    while True:
        try:
            with refusals(nearest), calendars.one_operation():
                return act(also)
        except ReachesFurther as further:
            also |= further.more


@contextmanager
def refusals(nearest: Nearest) -> Iterator[None]:
    """Around a whole operation: constraints speak as our errors, and a slot that is taken, or without power or quota, says
    what is nearest.

    That is asked only then, after the transaction; of one within another see `nearest_later`.
    """
    try:
        with violation_raises(
            {
                "occupancy_evse_once": SlotTaken(),
                "claim_token_once": TokenElsewhere(CARD_ELSEWHERE),
                "claim_vehicle_once": VehicleElsewhere(VEHICLE_ELSEWHERE),
                "booking_request_id_once": RequestIdInUse("This request id was used already."),
            }
        ):
            yield
    except (SlotTaken, *NO_ROOM) as refusal:
        if _is_put_off.get():
            refusal.find_nearest = nearest
        else:
            refusal.nearest = refusal.nearest or nearest({})
        raise


@contextmanager
def nearest_later() -> Iterator[None]:
    """Around a transaction with many operations: what is nearest is not asked with each refusal, under locks others wait for.
    What leaves as a refusal knows it then, Conflicts of all they have; of what does not end so `tell_nearest` asks, or nobody."""
    before = _is_put_off.set(True)
    try:
        yield
    except BookingError as refusal:
        tell_nearest(refusal.outcomes if isinstance(refusal, Conflicts) else [], and_of=refusal)
        raise
    finally:
        _is_put_off.reset(before)


def tell_nearest(outcomes: Iterable[ManyOutcome], *, and_of: BookingError | None = None) -> None:
    """Let the first MOST_NEAREST of those that were refused within `nearest_later` say what is nearest, and no others. Places
    that the others of them have got, or would have, are none of it; their power and their share of a quota are not asked."""
    found = list(outcomes)
    refused = [and_of, *(outcome.refusal for outcome in found)]
    asking = [refusal for refusal in refused if refusal is not None and refusal.find_nearest is not None]
    taken = _taken_by([outcome.booking for outcome in found if outcome.booking is not None])
    for number, refusal in enumerate(asking):
        if number < MOST_NEAREST and refusal.nearest is None and refusal.find_nearest is not None:
            refusal.nearest = refusal.find_nearest(taken)
        refusal.find_nearest = None


def _taken_by(bookings: Iterable[Booking]) -> dict[int, list[Period]]:
    """By EVSE id; also of bookings that were taken back."""
    found: dict[int, list[Period]] = {}
    for booking in bookings:
        if booking.evse_id is not None:
            span = Period(booking.starts_at, booking.ends_at + booking.terms.tail)
            found.setdefault(booking.evse_id, []).append(span)
    return found


def _gap_around(spans: Sequence[Period], period: Period) -> timedelta:
    """How long the free stretch is that the period would break into: a short one is better filled than a long one."""
    before = max(
        (s.ends_at for s in spans if s.ends_at <= period.starts_at),
        default=period.starts_at - availability.FAR,
    )
    after = min(
        (s.starts_at for s in spans if s.starts_at >= period.ends_at),
        default=period.ends_at + availability.FAR,
    )
    return after - before
