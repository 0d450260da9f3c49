"""Options of ours with all that a booking asks of them, which each process keeps as long as they are true.

An option is kept for as long as the database names the same version of its depot's configuration
(bookings/rules/configuration.py), and the same row of its operator, which is no part of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from django.db.models import Model, Prefetch
from django.db.models.base import ModelState

from bookings.models import BookingOption
from bookings.search.bookable import evses_with_bays
from depots.models import ConfigurationVersion

M = TypeVar("M", bound=Model)
MOST_KEPT = 10_000


class Stamp(NamedTuple):
    """What tells whether a copy is still true: the version of the depot's configuration, and of the operator's row (xmin)."""

    version: int
    operator_row: str


@dataclass(frozen=True)
class _Kept:
    stamp: Stamp
    option: BookingOption


_kept: dict[int, _Kept] = {}


def option_under(option_id: int, stamp: Stamp) -> BookingOption | None:
    """The option with depot, operator, EVSEs and connectors, as under this stamp, which the database has just named. Without a
    query where it is kept. The caller's own: what it writes to it, nobody else sees."""
    kept = _kept.get(option_id)
    if kept is None or kept.stamp != stamp:
        read = _read(option_id)
        if read is None:
            return None
        kept = _Kept(stamp, read)
        if _is_still(read.depot_id, stamp.version):
            if len(_kept) >= MOST_KEPT:
                _kept.pop(next(iter(tuple(_kept)), option_id), None)
            _kept[option_id] = kept
    option = _copied(kept.option)
    option.depot = _copied(kept.option.depot)
    return option


def _copied(row: M) -> M:
    """What `copy.copy` makes by way of pickling: related objects and prefetched ones stay the same."""
    made = row.__class__.__new__(row.__class__)
    made.__dict__.update(row.__dict__)
    made._state = ModelState()  # noqa: SLF001 - as Django's own __getstate__ does
    made._state.__dict__.update(row._state.__dict__, fields_cache=row._state.fields_cache.copy())  # noqa: SLF001
    return made


def _read(option_id: int) -> BookingOption | None:
    rows = BookingOption.objects.filter(pk=option_id).select_related("depot__operator")
    return rows.prefetch_related(Prefetch("evses", evses_with_bays())).first()


def _is_still(depot_id: int, version: int) -> bool:
    """Several statements saw several moments: they are one when the version is the same after them."""
    return ConfigurationVersion.objects.filter(depot_id=depot_id, version=version).exists()
