"""What partners tell of their EVSEs now, for offers of theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from bookings.models import BookingOption
from bookings.search.bookable import evses_with_bays
from depots.models import Evse


def is_told(evse: Evse) -> bool:
    """Whether the partner has told what stands there: of what stands for any EVSE nobody has."""
    return evse.status_at is not None and evse.status != Evse.Status.UNKNOWN


def told_evses(options: Collection[BookingOption]) -> dict[int, Sequence[Evse]]:
    """By option, the EVSEs that a partner may assign where it offers any of a place: those with a plug of the offer. The options
    come with their EVSEs and these with their plugs. One query, none where each names its EVSE."""
    pools = {option.pk: option for option in options if not any(_is_named(e) for e in option.evses.all())}
    rows = Evse.objects.none()
    if pools:
        depots = {option.depot_id for option in pools.values()}
        rows = evses_with_bays().filter(depot__in=depots, is_withdrawn=False, status_at__isnull=False)
    there = list(rows)
    return {pk: [e for e in there if _is_meant(option, e)] for pk, option in pools.items()}


def free_now(evses: Iterable[Evse]) -> tuple[int, int]:
    """How many are free, of how many."""
    states = [evse.status for evse in evses]
    return states.count(Evse.Status.AVAILABLE), len(states)


def _is_named(evse: Evse) -> bool:
    return evse.status_at is not None


def _is_meant(option: BookingOption, evse: Evse) -> bool:
    if evse.depot_id != option.depot_id:
        return False
    offered = {plug.standard for one in option.evses.all() for plug in one.connectors.all()}
    return not offered or not offered.isdisjoint(plug.standard for plug in evse.connectors.all())
