from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bookings.actors import SCHEDULER, Actor
from bookings.core import calendars, lifecycle, occupancy
from bookings.core.constraints import violation_raises
from bookings.core.locking import lock_booking, lock_depot, lock_ids
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import (
    DoesNotFit,
    NotOpenToYou,
    PowerUnavailable,
    RequestIdInUse,
    SlotTaken,
    TokenElsewhere,
    TooManyBookings,
    VehicleElsewhere,
    WrongStatus,
)
from bookings.models import (
    LIVE,
    Booking,
    BookingOption,
    BookingRequest,
    BookingStatus,
    BookingToken,
    Enforcement,
    Occupancy,
)
from bookings.models.bookings import new_request_id
from bookings.operations import request_log
from bookings.operations.slot_request import SlotRequest
from bookings.pricing import quotes
from bookings.rules import fit, periods, power
from bookings.rules.entitlement import entitled, own_vehicle
from bookings.rules.fit import Needs
from bookings.rules.terms import Terms
from bookings.search import availability
from bookings.search.bookable import bookable_options, evses_with_bays, terms_for
from bookings.signals import partner_asked
from depots.models import Evse
from depots.periods import Period


def request_booking(request: SlotRequest, *, actor: Actor, now: datetime) -> Booking:
    """Book at once, or ask where the depot or a partner decides: CONFIRMED or REQUESTED.

    Raises a BookingError; nothing is left behind then.
    """
    with refusals(lambda: _nearest(request, now)), calendars.one_operation():
        terms, locked = _lock_places(request, now)
        named = _named(request, now)
        asked = request.asked(named.tokens).to_json()
        if request.option.is_mirror:
            return _ask_partner(named, terms, asked, actor=actor, now=now)
        status = BookingStatus.REQUESTED if terms.approval else BookingStatus.CONFIRMED
        booking = _begin(named, terms, locked, status, actor=actor, now=now)
        request_log.log(
            booking, BookingRequest.Kind.CREATE, asked, accepted=not terms.approval,
            message=request.message, actor=actor, now=now,
        )  # fmt: skip
    return booking


def hold_slot(request: SlotRequest, *, actor: Actor, now: datetime) -> Booking:
    """Keep a slot for the term `hold_min` while its dispatcher reads the terms and confirms. Raises a BookingError."""
    if request.option.is_mirror:
        raise NotOpenToYou("A partner's slot cannot be held, only requested.")
    with refusals(lambda: _nearest(request, now)), calendars.one_operation():
        terms, locked = _lock_places(request, now)
        return _begin(_named(request, now), terms, locked, BookingStatus.HELD, actor=actor, now=now)


def confirm_hold(*, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime) -> Booking:
    """Turn a hold into a booking, or into a request where the depot decides.

    Raises WrongStatus when it ran out, ChangedMeanwhile when the depot has closed its EVSE since `seen_version` and put
    it elsewhere.
    """
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        if booking.status != BookingStatus.HELD or booking.held_until is None:
            raise WrongStatus(booking.status, BookingStatus.CONFIRMED)
        if min(booking.held_until, booking.no_show_at()) <= now:
            gone = "The hold has run out; the slot has to be found anew."
            raise WrongStatus(booking.status, BookingStatus.CONFIRMED, gone)
        check_version(booking, seen_version, SEEN_WHOLE)
        approval = booking.terms.approval
        asked = request_log.Asked(
            period=booking.period, option=booking.option, evse=booking.evse, vehicle=booking.vehicle,
            tokens=list(booking.tokens.all()), power_w=booking.wished_power_w,
        ).to_json()  # fmt: skip
        request_log.log(
            booking, BookingRequest.Kind.CREATE, asked, accepted=not approval, actor=actor, now=now
        )
        booking.held_until = None
        booking.decide_until = decide_until(booking, booking.period, now) if approval else None
        lifecycle.move(
            booking,
            BookingStatus.REQUESTED if approval else BookingStatus.CONFIRMED,
            actor=actor,
            at=now,
            fields=["held_until", "decide_until"],
        )
    return booking


def decide_until(booking: Booking, period: Period, now: datetime) -> datetime:
    """When an ask for this period that nobody answered fails."""
    return min(now + timedelta(minutes=booking.terms.decision_min), answer_until(booking, period))


def answer_until(booking: Booking, period: Period) -> datetime:
    """From when on granting the period is no use: the truck had to be there by then, or, as it charges, would be gone."""
    if booking.status == BookingStatus.CHARGING:
        return period.ends_at
    return booking.terms.no_show_at(period)


def sweep_holds(evse_ids: Sequence[int], span: Period, *, now: datetime) -> None:
    """Let holds that ran out give up their place, under the EVSEs' lock, for whoever needs it."""
    overdue = Booking.objects.filter(
        status=BookingStatus.HELD, held_until__lte=now, evse__in=evse_ids, starts_at__lt=span.ends_at + availability.FAR,
        ends_at__gt=span.starts_at - availability.FAR,
    ).order_by("pk")  # fmt: skip
    for booking in overdue.select_for_update(no_key=True):
        lifecycle.move(booking, BookingStatus.EXPIRED, actor=SCHEDULER, at=now)


def candidates(evses: Sequence[Evse], needs: Needs, wanted: Evse | None) -> list[Evse]:
    """The EVSEs of an option that fit, or the wanted one. Raises DoesNotFit with the reasons when none does."""
    pool = [evse for evse in evses if wanted is None or evse.pk == wanted.pk]
    if not pool:
        raise DoesNotFit("That EVSE does not belong to what is booked.")
    found = [evse for evse in pool if not fit.misfits(needs, evse)]
    if not found:
        raise DoesNotFit(fit.sentence(fit.misfits(needs, pool[0])))
    return found


@dataclass(frozen=True)
class Place:
    """An EVSE that is free, and the span a booking would occupy there."""

    evse: Evse
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
    """See `free_places`."""
    return [place.evse for place in free_places(pool, needs, period, terms, now=now, holder=holder)]


def free_places(
    pool: Sequence[Evse],
    needs: Needs,
    period: Period,
    terms: Terms,
    *,
    now: datetime,
    holder: int | None = None,
    taken: Mapping[int, list[Occupancy]] | None = None,
) -> list[Place]:
    """The locked EVSEs that are free for the period, the one that wastes least first; none means full.

    Tightest fit, then the smallest free gap around the period. `holder` is a booking whose own place counts as free;
    `taken` is what takes the EVSEs within FAR of the period, where it was read already.
    """
    if taken is None:
        around = period.widened(availability.FAR, availability.FAR)
        taken = availability.occupied([evse.pk for evse in pool], around)
    wanted = Period(period.starts_at, period.ends_at + terms.tail)
    free = []
    for evse in pool:
        spans = [row.span for row in taken.get(evse.pk, ()) if row.holder != holder]
        if not any(span.overlaps(wanted) for span in spans):
            place = Place(evse, occupancy.occupied_span(period, terms, spans, now=now))
            free.append((fit.tightness(needs, evse), _gap_around(spans, period), evse.pk, place))
    return [place for *_, place in sorted(free, key=lambda item: item[:3])]


@contextmanager
def refusals(nearest: Callable[[], Period | None]) -> Iterator[None]:
    """Around a whole operation: constraints speak as our errors, and a slot that is taken, or without power, says what is
    nearest.

    That is asked only then, after the transaction.
    """
    try:
        with violation_raises(
            {
                "occupancy_evse_once": SlotTaken(),
                "claim_token_once": TokenElsewhere(
                    "A token of this booking is booked elsewhere at that time."
                ),
                "claim_vehicle_once": VehicleElsewhere("The vehicle is booked elsewhere at that time."),
                "booking_request_id_once": RequestIdInUse("This request id was used already."),
            }
        ):
            yield
    except (SlotTaken, PowerUnavailable) as refusal:
        refusal.nearest = refusal.nearest or nearest()
        raise


@dataclass(frozen=True)
class _Named:
    """A request as it counts under the locks: its vehicle as it is by now, its party and id known, and its tokens."""

    request: SlotRequest
    tokens: list[BookingToken]


def _named(request: SlotRequest, now: datetime) -> _Named:
    """Raises VehicleUnknown, NotOpenToYou or TokenUnusable."""
    fleet, party = request.fleet, request.party
    vehicle = own_vehicle(request.vehicle, fleet)
    if not bookable_options(fleet, now=now).filter(pk=request.option.pk).exists():
        raise NotOpenToYou("This depot is not open to you.")
    named = replace(
        request,
        period=request.period.in_utc(),
        vehicle=vehicle,
        plate=request.plate or (vehicle.plate if vehicle else ""),
        request_id=request.request_id or new_request_id(),
        party=party if any(party) else (fleet.country_code, fleet.emsp_party_id),
    )
    return _Named(named, entitled(request.tokens, vehicle, fleet, party))


def _lock_places(request: SlotRequest, now: datetime) -> tuple[Terms, set[int]]:
    """Lock what a new booking may take (EVSEs by id), then read its terms: nothing of either changes until the
    transaction ends.

    The depot too where a limit of power or of bookings counts; when that turns out only under the locks, all is done
    again.
    """
    option, evse = request.option, request.evse
    while True:
        terms = terms_for(option, request.fleet, now=now)
        if option.is_mirror:
            return terms, set()
        counts = _counts(option, terms)
        pool = [evse.pk] if evse else Evse.objects.filter(options=option).values_list("pk", flat=True)
        # A hold that ran out keeps power from its neighbours as well as its place.
        overdue = evses_of_overdue_holds(option.depot_id, now) if counts else set()
        with transaction.atomic():
            # A savepoint: locks taken under it are given back when it is rolled back.
            if counts:
                lock_depot(option.depot_id)
            locked = {*pool, *overdue}
            lock_ids(locked)
            terms = terms_for(option, request.fleet, now=now)
            if counts or not _counts(option, terms):
                return terms, locked
            transaction.set_rollback(True)


def _counts(option: BookingOption, terms: Terms) -> bool:
    """Whether bookings at other EVSEs of the depot count for one here."""
    return terms.max_open_bookings is not None or power.can_bind(option.depot)


def _begin(
    named: _Named, terms: Terms, locked: set[int], status: BookingStatus, *, actor: Actor, now: datetime
) -> Booking:
    """Look and take, under the locks of `_lock_places`: the heart of every booking at a depot of ours."""
    request, option = named.request, named.request.option
    evses = list(evses_with_bays().filter(options=option, is_withdrawn=False))
    # The depot as it is by now: the one that came with the option was read before the locks.
    periods.check_period(terms, evses[0].depot if evses else option.depot, request.period, now=now)
    _check_open_bookings(request, terms, now)
    pool = candidates(evses, request.must_fit, request.evse)
    occupancy.queue_to_claim(terms, named.tokens, [request.vehicle.pk if request.vehicle else None])
    sweep_holds(list(locked), request.period.widened(terms.early_start, terms.tail), now=now)
    free = free_places(pool, request.must_fit, request.period, terms, now=now)
    if not free:
        raise SlotTaken
    evse, watts = _first_with_power(free, pool, request, terms, now)
    booking = _booking(request, terms, evse, watts, now)
    if status == BookingStatus.HELD:
        booking.held_until = now + terms.hold_time
    if status == BookingStatus.REQUESTED:
        booking.decide_until = decide_until(booking, request.period, now)
    return lifecycle.begin(booking, status, tokens=named.tokens, actor=actor, at=now)


def _check_open_bookings(request: SlotRequest, terms: Terms, now: datetime) -> None:
    """Raises TooManyBookings. The depot's lock lets the second look after the first has booked."""
    most = terms.max_open_bookings
    if most is None:
        return
    live = Booking.objects.filter(fleet=request.fleet, depot=request.option.depot_id, status__in=LIVE)
    # A hold that ran out stands in nobody's way, whether or not somebody has swept it.
    if live.exclude(status=BookingStatus.HELD, held_until__lte=now).count() >= most:
        raise TooManyBookings(f"{request.fleet} may have {most} open bookings at this depot, and has them.")


def _booking(request: SlotRequest, terms: Terms, evse: Evse | None, watts: int, now: datetime) -> Booking:
    price = quotes.quote(
        request.option, request.fleet, request.period, power_w=watts, vehicle=request.vehicle, now=now
    )
    outbound, inbound = request.option.is_mirror, request.fleet.is_partner
    return Booking(
        route=Booking.Route.OUTBOUND if outbound else Booking.Route.INBOUND if inbound else Booking.Route.OWN,
        request_id=request.request_id,
        authorization_reference=request.authorization_reference or request.request_id[:36],
        customer_country=request.party[0].upper(),
        customer_party=request.party[1].upper(),
        fleet=request.fleet,
        depot=request.option.depot,
        option=request.option,
        evse=evse,
        vehicle=request.vehicle,
        plate=request.plate,
        starts_at=request.period.starts_at,
        ends_at=request.period.ends_at,
        promised_power_w=watts,
        wished_power_w=request.power_w,
        terms_json=terms.to_json(),
        quote=price.to_json() if price else {},
        enforcement=Enforcement.NOT_DUE,
    )


def _ask_partner(
    named: _Named, terms: Terms, asked: dict[str, Any], *, actor: Actor, now: datetime
) -> Booking:
    """A booking at a partner's depot occupies nothing here; it stays requested until the partner has answered."""
    request, terms = named.request, replace(terms, approval=True)
    periods.check_period(terms, request.option.depot, request.period, now=now)
    evse = request.evse or next(iter(request.option.evses.all()), None)
    if evse is not None and (misfits := fit.misfits(request.must_fit, evse)):
        raise DoesNotFit(fit.sentence(misfits))
    watts = request.power_w or min(
        [w for w in (request.must_fit.max_power_w, evse.max_power_w if evse else None) if w], default=0
    )
    booking = _booking(request, terms, None, watts, now)
    lifecycle.begin(booking, BookingStatus.REQUESTED, tokens=named.tokens, actor=actor, at=now)
    logged = request_log.log(booking, BookingRequest.Kind.CREATE, asked, accepted=False, actor=actor, now=now)
    partner_asked.send(sender=BookingRequest, request=logged, at=now)
    return booking


def _first_with_power(
    free: Sequence[Place], pool: Sequence[Evse], request: SlotRequest, terms: Terms, now: datetime
) -> tuple[Evse, int]:
    """The first free EVSE whose power can be promised, with its watts. Raises the mildest PowerUnavailable when none can.

    Of a pool it is one that gives no less than the pool's calendar shows. Raises SlotTaken when none does: then the period
    reaches over timeslots that no EVSE has together.
    """
    depot_id = request.option.depot_id
    spans = [place.span for place in free]
    within = Period(min(span.starts_at for span in spans), max(span.ends_at for span in spans))
    supply = power.Supply.at({depot_id}, within, now=now)
    promised: list[tuple[Evse, int]] = []
    refusals: list[PowerUnavailable] = []
    for place in free:
        try:
            watts = supply.promise(
                place.evse,
                place.span,
                request.power_w,
                request.must_fit.max_power_w,
                most_w=terms.max_promise_w,
            )
        except PowerUnavailable as short:
            refusals.append(short)
        else:
            promised.append((place.evse, watts))
    if not promised:
        raise max(refusals, key=lambda refusal: refusal.available_w)
    if request.power_w is not None or promised[0][1] == max(watts for _, watts in promised):
        return promised[0]
    shown = availability.shown_power(pool, request.period, terms, now=now)
    shown = min(shown, request.must_fit.max_power_w or shown)
    for evse, watts in promised:
        if watts >= shown:
            return evse, watts
    raise SlotTaken


def evses_of_overdue_holds(depot_id: int, now: datetime) -> set[int]:
    overdue = Booking.objects.filter(depot=depot_id, status=BookingStatus.HELD, held_until__lte=now)
    return {pk for pk in overdue.values_list("evse_id", flat=True) if pk}


def _nearest(request: SlotRequest, now: datetime) -> Period | None:
    """When the same would be free; asked after a refusal, outside of the transaction."""
    terms = terms_for(request.option, request.fleet, now=now)
    evses = list(evses_with_bays().filter(options=request.option, is_withdrawn=False))
    try:
        pool = candidates(evses, request.must_fit, request.evse)
    except DoesNotFit:
        return None
    return availability.nearest(terms, pool, request.period, wish_w=request.power_w, now=now)


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
