"""What several new bookings may take, locked before the first is made: one after the other, two operations could cross."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from bookings.core import occupancy
from bookings.core.locking import lock_depot, lock_ids
from bookings.errors import BookingError
from bookings.operations.slot_request import SlotRequest
from bookings.rules import configuration
from bookings.rules.configuration import Configuration
from bookings.rules.entitlement import entitled


def lock_places(
    requests: Iterable[SlotRequest], *, also: Collection[int] = (), now: datetime
) -> dict[int, Configuration]:
    """The same as `lock_reach`, then what they claim."""
    asked = list(requests)
    known = lock_reach(asked, also=also)
    queue_claims(asked, known, now=now)
    return known


def lock_reach(requests: Iterable[SlotRequest], *, also: Collection[int] = ()) -> dict[int, Configuration]:
    """The depots of ours among them, then every EVSE that a request may take or move something to, and `also` these with those
    that share their power; gives how the depots, by id, are configured."""
    options = {(one.option.depot_id, one.option.pk) for one in requests if not one.option.is_mirror}
    depot_ids = sorted({depot_id for depot_id, _ in options})
    for depot_id in depot_ids:
        lock_depot(depot_id)
    known = configuration.current_all(set(depot_ids)) if depot_ids else {}
    evse_ids = {bay.pk for depot_id, pk in options for bay in known[depot_id].offers.get(pk, ())} | {*also}
    for there in known.values():
        evse_ids |= there.interchangeable(evse_ids)
        evse_ids |= there.fed_together(evse_ids)
    lock_ids(evse_ids)
    return known


def queue_claims(
    requests: Iterable[SlotRequest], known: Mapping[int, Configuration], *, now: datetime
) -> None:
    """Wait for all tokens and vehicles that those at depots of ours claim, which are locked."""
    claims = []
    for request in requests:
        if request.option.is_mirror:
            continue
        terms = known[request.option.depot_id].terms(request.option.pk, request.fleet.pk, now=now)
        if terms.overlapping_tokens:
            continue
        try:
            tokens = entitled(request.tokens, request.vehicle, request.fleet, request.party)
        except BookingError:  # is refused when it is booked
            continue
        claims.append((terms, tokens, [request.vehicle.pk if request.vehicle else None]))
    occupancy.queue_for_all(claims)
