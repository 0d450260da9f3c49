"""The option that a partner's request names, without reading again what has not changed.

Which option a code means, and under which version of its depot's configuration, the database says each time; the option with
its EVSEs is kept for as long as it names the same (bookings/search/kept_options.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from bookings.models import BookingOption
from bookings.rules import configuration
from bookings.search.kept_options import Stamp, option_under
from depots.models import Organisation
from roaming import access
from roaming.models import Partner

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
    def stamp(self) -> Stamp:
        return Stamp(self.version, self.operator_row)


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
    return option_under(found.option_id, found.stamp)
