"""What charging and booking costs at partners' depots, as far as they have told: what an offer names goes before what its EVSE
does."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bookings.models import Tariff
from bookings.rules import precedence
from bookings.rules.tariff_bindings import Binding, Owner, Tariffs, bindings_of


class PartnerPrices:
    """Of some mirrored depots, read at once; in three queries at most, one where nothing is bound."""

    def __init__(self, depot_ids: Collection[int]) -> None:
        self._bound: dict[tuple[Owner, Tariff.Kind], list[Binding]] = {}
        for of_one in bindings_of(depot_ids).values():
            for binding in of_one:
                self._bound.setdefault((binding.owner, binding.kind), []).append(binding)

    def held(self, option_id: int, evse_id: int | None, *, at: datetime) -> Tariffs:
        owners = [Owner("option", option_id), *([Owner("evse", evse_id)] if evse_id else [])]
        return precedence.tariffs_held(precedence.asked_in_turn(self._bound, owners), at=at)
