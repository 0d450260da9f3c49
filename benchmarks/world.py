"""The places and people that benchmarks need, made by the tests' own makers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.factories import NOW, make_depot, make_evse, make_fleet, make_vehicle, option_of
from tests.roaming.partners import make_partner


@dataclass(frozen=True)
class Scene:
    """`ask` has the fields of a SlotRequest beside the period."""

    name: str
    ask: dict[str, Any]
    now: datetime = NOW


def scenes() -> Iterator[Scene]:
    """Every kind of booking at a depot of ours; terms as a demo depot has them: claims, early start, turnaround."""
    for limited in (False, True):
        terms = {"early_start_min": 15, "turnaround_min": 5, "overlapping_tokens": False}
        depot = make_depot(terms=terms, grid_limit_w=600_000 if limited else None)
        evses = [make_evse(depot) for _ in range(6)]
        where = "limited" if limited else "unlimited"
        vehicle = make_vehicle(make_fleet())
        ask = {"fleet": vehicle.fleet, "vehicle": vehicle, "option": option_of(evses[0])}
        yield Scene(f"fleet at {where} depot", ask)
        partner = make_partner()
        yield Scene(
            f"partner at {where} depot", {"fleet": partner.organisation, "option": option_of(evses[1])}
        )
