"""What several new bookings may take, locked before the first is made: one after the other, two operations could cross."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bookings.core import occupancy
from bookings.core.locking import lock_depot, lock_ids
from bookings.errors import BookingError
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration
from bookings.rules.configuration import Configuration
from bookings.rules.entitlement import entitled


def lock_places(requests: Sequence[SlotRequest], *, now: datetime) -> None:
    """The depots of ours among them, then every EVSE that a request may take or move something to, then what they claim."""
    own = [request for request in requests if not request.option.is_mirror]
    depot_ids = sorted({request.option.depot_id for request in own})
    for depot_id in depot_ids:
        lock_depot(depot_id)
    known = {depot_id: configuration.current(depot_id) for depot_id in depot_ids}
    lock_ids({evse_id for request in own for evse_id in _reach(request, known)})
    _queue_claims(own, known, now)


def _reach(request: SlotRequest, known: dict[int, Configuration]) -> set[int]:
    there = known[request.option.depot_id]
    pool = there.interchangeable({bay.pk for bay in there.offers.get(request.option.pk, ())})
    return {*pool, *there.fed_together(pool)}


def _queue_claims(requests: Sequence[SlotRequest], known: dict[int, Configuration], now: datetime) -> None:
    claims = []
    for request in requests:
        terms = known[request.option.depot_id].terms(request.option.pk, request.fleet.pk, now=now)
        if terms.overlapping_tokens:
            continue
        try:
            tokens = entitled(request.tokens, request.vehicle, request.fleet, request.party)
        except BookingError:  # is refused when it is booked
            continue
        claims.append((terms, tokens, [request.vehicle.pk if request.vehicle else None]))
    occupancy.queue_for_all(claims)
