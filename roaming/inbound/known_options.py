"""The option that a partner's request names, without reading again what has not changed.

Which option a code means, and under which version of its depot's configuration, the database says each time; the option with
its EVSEs is kept for as long as it names the same version (bookings/rules/configuration.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from django.db import connection
from django.db.models import Model, Prefetch
from django.db.models.base import ModelState

from bookings.models import BookingOption
from bookings.rules import configuration
from bookings.search.bookable import evses_with_bays
from depots.models import ConfigurationVersion, Organisation
from roaming import access
from roaming.models import Partner

M = TypeVar("M", bound=Model)
MOST_KEPT = 10_000
# What `access.options` asks of every option, whoever the partner is. The code names one option of ours at most.
_FIND = f"""
SELECT o.id, o.depot_id, d.operator_id, g.xmin::text, v.version
FROM bookings_bookingoption o
JOIN depots_depot d ON d.id = o.depot_id
JOIN depots_organisation g ON g.id = d.operator_id
JOIN depots_configurationversion v ON v.depot_id = d.id
WHERE upper(o.code) = upper(%(code)s) AND NOT o.is_mirror AND upper(d.location_id) = upper(%(location)s)
  AND NOT g.is_partner AND g.cpo_party_id <> '' AND length(o.code) <= {access.OCPI_ID_LENGTH}
"""  # noqa: S608 - made of constants
# Columns for a statement that reads more: under the same version and with the same row of its operator a name means the same.
STAMP = """
(SELECT version FROM depots_configurationversion WHERE depot_id = %(depot)s),
(SELECT xmin::text FROM depots_organisation WHERE id = %(operator)s)
"""


class Found(NamedTuple):
    """What a name means: ids, and what tells whether that, and a copy of the option, is still true."""

    option_id: int
    depot_id: int
    operator_id: int
    operator_row: str
    version: int

    @property
    def stamp(self) -> tuple[int, str]:
        return self.version, self.operator_row


@dataclass(frozen=True)
class _Kept:
    """`stamp` is the version of the depot's configuration and that of the row of its operator, which is no part of it."""

    stamp: tuple[int, str]
    option: BookingOption


_kept: dict[int, _Kept] = {}
_found: dict[tuple[str, str], Found] = {}  # by the id of the location and the code, as partners write them


def remembered(location_id: str, code: str) -> Found | None:
    """What the name meant when it was asked for last: true while the database has the same STAMP."""
    return _found.get((location_id, code))


def find(location_id: str, code: str) -> Found | None:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, {"location": location_id, "code": code})
        row = cursor.fetchone()
    if row is None:
        return None
    if len(_found) >= MOST_KEPT:
        _found.pop(next(iter(tuple(_found))), None)
    found = _found[location_id, code] = Found(*row)
    return found


def option_of(
    found: Found, partner: Partner, *, operator: Organisation | None, now: datetime
) -> BookingOption | None:
    """The option, with depot, operator, EVSEs and connectors; None when it is not open to the partner, or not one of this
    operator's. Without a query where it is kept."""
    if operator is not None and operator.pk != found.operator_id:
        return None
    known = configuration.under(found.depot_id, found.version)
    if not known.offers_to(found.option_id, partner.organisation_id, now=now):
        return None
    return _option(found.option_id, found.stamp)


def _option(option_id: int, stamp: tuple[int, str]) -> BookingOption | None:
    kept = _kept.get(option_id)
    if kept is None or kept.stamp != stamp:
        read = _read(option_id)
        if read is None:
            return None
        kept = _Kept(stamp, read)
        if _is_still(read.depot_id, stamp[0]):
            if len(_kept) >= MOST_KEPT:
                _kept.pop(next(iter(_kept), option_id), None)
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
