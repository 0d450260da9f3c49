"""What charging and booking costs at partners' depots, as far as they have told: what an offer names goes before what its EVSE
does."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from bookings.models import BookingOption, Tariff, Vehicle
from bookings.rules import precedence, quotes
from bookings.rules.fit import Needs
from bookings.rules.reservations import kept_before
from bookings.rules.tariff_bindings import Binding, Owner, Tariffs, bindings_of
from depots.models import Evse
from depots.periods import Period


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


def partners_power_w(needs: Needs, evse: Evse | None, told_w: Iterable[int | None]) -> int:
    """Watts that a partner is asked for where nobody wished any: the least of what the vehicle takes, the EVSE gives and the
    calendar tells for that time. 0 where none of these is known."""
    return min((w for w in (needs.max_power_w, evse and evse.max_power_w, *told_w) if w), default=0)


def partners_quote(
    option: BookingOption,
    evse: Evse | None,
    period: Period,
    *,
    power_w: int,
    vehicle: Vehicle | None,
    energy_wh: int | None = None,
    at: datetime,
) -> dict[str, Any]:
    """The quote (bookings/rules/quotes.py) by what the partner has told of its tariffs; empty where that says nothing. Without
    an EVSE by the first that it may be, as the finder says it."""
    evse = evse or next(iter(option.evses.all()), None)
    held = PartnerPrices([option.depot_id]).held(option.pk, evse.pk if evse else None, at=at)
    kept = kept_before(period.starts_at, now=at) if option.is_best_effort else None
    quote = quotes.quoted(
        held, period, option.depot.zone, power_w=power_w, vehicle=vehicle, energy_wh=energy_wh, reserved=kept
    )
    return quote.to_json() if quote else {}
