"""The option that a code means to a fleet."""

from __future__ import annotations

from datetime import datetime

from bookings.errors import OptionUnknown
from bookings.models import BookingOption
from bookings.rules import configuration
from bookings.search.bookable import bookable_options
from bookings.search.kept_options import Stamp, option_under
from depots import round_trips
from depots.models import Organisation

# A code names one option of ours at most. Whom it is open to says the configuration that is kept.
_OURS = round_trips.Prepared("""
SELECT o.id, o.depot_id, v.version, g.xmin::text
FROM bookings_bookingoption o
JOIN depots_depot d ON d.id = o.depot_id
JOIN depots_organisation g ON g.id = d.operator_id
JOIN depots_configurationversion v ON v.depot_id = d.id
WHERE upper(o.code) = upper(%(code)s) AND NOT o.is_mirror AND (%(depot)s = '' OR upper(d.code) = upper(%(depot)s))
""")


def find_option(
    code: str, fleet: Organisation, *, depot_code: str | None = None, now: datetime
) -> BookingOption:
    """An option by its id, whatever its capitals, with depot, operator and EVSEs; our own before a partner's.

    Raises OptionUnknown.
    """
    return _ours(code, fleet, depot_code or "", now) or _partners(code, fleet, depot_code, now)


def _ours(code: str, fleet: Organisation, depot_code: str, now: datetime) -> BookingOption | None:
    """Without reading again what is kept."""
    found = round_trips.rows(_OURS, {"code": code, "depot": depot_code})
    if not found:
        return None
    [(option_id, depot_id, version, operator_row)] = found
    known = configuration.under(depot_id, version)
    if not known.offers_to(option_id, fleet.pk, now=now):
        return None
    return option_under(option_id, Stamp(version, operator_row))


def _partners(code: str, fleet: Organisation, depot_code: str | None, now: datetime) -> BookingOption:
    rows = bookable_options(fleet, now=now).filter(is_mirror=True, code__iexact=code)
    if depot_code is not None:
        rows = rows.filter(depot__code__iexact=depot_code)
    found = list(rows[:3])
    if not found:
        place = f" of {depot_code}" if depot_code is not None else ""
        raise OptionUnknown(f"No booking option {code!r}{place} is open to {fleet}.")
    if len(found) > 1 and depot_code is None:
        raise OptionUnknown(
            f"{code!r} is offered at several depots: {', '.join(o.depot.code for o in found)}."
        )
    return found[0]
