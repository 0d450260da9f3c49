"""What a new booking is decided by: read under the locks of all that it may take, or without any where it is only asked about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bookings.core.locking import lock_depot, lock_ids
from bookings.core.standing import Standing, standing
from bookings.operations.booking_draft import Draft, drafted_ahead
from bookings.operations.places import Beside, ReachesFurther
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration
from bookings.rules.configuration import Configuration
from bookings.rules.entitlement import AskedVehicle, ask_for_vehicle
from bookings.rules.terms import Terms
from bookings.search import availability
from depots.periods import Period


@dataclass(frozen=True)
class Scope:
    """What has to be locked for a request, and read: EVSEs by id, whether bookings elsewhere at the depot count, and the time
    that the booking may take."""

    pool: frozenset[int]
    fed: frozenset[int]
    depot: bool
    reach: Period


@dataclass(frozen=True)
class BookingGround:
    """What a decision rests on."""

    configuration: Configuration
    terms: Terms
    locked: Beside
    standing: Standing
    vehicle: AskedVehicle | None
    draft: Draft | None


def locked_ground(
    request: SlotRequest, also: Beside, now: datetime, draft: Draft | None = None
) -> BookingGround:
    """Lock what a new booking may take (EVSEs by id; the depot before them where a limit of power or of bookings counts), then
    read what is so: nothing of it changes until the transaction ends.

    What to lock is guessed by the configuration this process knows. Raises ReachesFurther when it is another one by now, and
    for holds that ran out at EVSEs not locked: they keep power from their neighbours.
    """
    depot_id = request.option.depot_id
    known = configuration.kept(depot_id)
    scope = scope_of(request, known, now)
    draft = draft or drafted_ahead(request, known, now)
    locked = Beside(scope.pool, scope.depot) | also
    if locked.depot:
        lock_depot(depot_id)
    lock_ids(locked.evse_ids)
    vehicle = (
        ask_for_vehicle(request.vehicle, request.fleet)
        if request.vehicle and request.tokens is None
        else None
    )
    found = standing_for(request, scope, now)
    true = configuration.under(depot_id, found.version)
    if true is not known:
        needed = scope_of(request, true, now)
        if not (needed.pool <= locked.evse_ids and needed.depot <= locked.depot):
            raise ReachesFurther
        found = standing_for(request, needed, now)
    if not found.overdue() <= locked.evse_ids:
        raise ReachesFurther(found.overdue())
    terms = request.under(true.terms(request.option.pk, request.fleet.pk, now=now))
    return BookingGround(true, terms, locked, found, vehicle, draft)


def seen_ground(request: SlotRequest, now: datetime) -> BookingGround:
    """The same as it is, with nothing locked: for what is only asked about."""
    known = configuration.current(request.option.depot_id)
    terms = request.under(known.terms(request.option.pk, request.fleet.pk, now=now))
    found = standing_for(request, scope_of(request, known, now), now)
    return BookingGround(known, terms, Beside(), found, vehicle=None, draft=None)


def scope_of(request: SlotRequest, known: Configuration, now: datetime) -> Scope:
    terms = known.terms(request.option.pk, request.fleet.pk, now=now)
    bays = known.offers.get(request.option.pk, ())
    pool = frozenset([request.evse.pk] if request.evse else [bay.pk for bay in bays])
    depot = terms.max_open_bookings is not None or known.is_shared
    slot = request.energy_slot(terms, known.site)
    reach = slot.longest if slot is not None else request.period
    return Scope(pool, frozenset(known.fed_together(pool)), depot, reach)


def standing_for(request: SlotRequest, scope: Scope, now: datetime) -> Standing:
    around = scope.reach.widened(availability.FAR, availability.FAR)
    return standing(request.option.depot_id, scope.pool | scope.fed, around, now=now)
