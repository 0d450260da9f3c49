"""The power of many EVSEs as far as some customers may have it, read once for all of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bookings.rules import quotas
from bookings.rules.allowance import Allowance
from bookings.rules.configuration import Bay
from bookings.rules.power import Supply
from bookings.rules.quotas import Allotted
from depots.models import Evse
from depots.periods import Period


class Allotments:
    """What quotas leave of a supply inside a span. `counting` names the depots at which somebody's quotas count, by id: one
    query where there are any. `without` is a booking that does not count."""

    def __init__(
        self,
        supply: Supply,
        counting: Collection[int],
        within: Period,
        *,
        without: int | None = None,
        now: datetime,
    ) -> None:
        self._supply, self._within = supply, within
        self._places = quotas.places_at(counting, within, without=without, now=now)
        self._left: dict[tuple[int, Allowance], Allotted] = {}

    def left_to(self, allowance: Allowance, evse: Evse | Bay) -> Supply | Allotted:
        if not allowance.quotas:
            return self._supply
        key = (evse.depot_id, allowance)
        if key not in self._left:
            places, zone = self._places[evse.depot_id], evse.depot.zone
            caps = quotas.caps_of(allowance, places, self._within, zone)
            self._left[key] = Allotted(self._supply, caps)
        return self._left[key]
