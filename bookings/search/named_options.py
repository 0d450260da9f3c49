"""The option that a code means to a fleet, for one code or many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

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


@dataclass(frozen=True)
class NamedOptions:
    """What is open to a fleet of what some codes may mean, by folded code; our own before partners'."""

    fleet: Organisation
    by_code: Mapping[str, Sequence[BookingOption]]

    def called(self, code: str, *, depot_code: str | None = None) -> BookingOption:
        """Raises OptionUnknown for a code that names none, or one of several partners and no depot."""
        there = [
            option
            for option in self.by_code.get(code.casefold(), ())
            if depot_code is None or option.depot.code.casefold() == depot_code.casefold()
        ]
        if not there:
            place = f" of {depot_code}" if depot_code is not None else ""
            raise OptionUnknown(f"No booking option {code!r}{place} is open to {self.fleet}.")
        if len(there) > 1 and depot_code is None and there[0].is_mirror:
            depots = ", ".join(option.depot.code for option in there[:3])
            raise OptionUnknown(f"{code!r} is offered at several depots: {depots}.")
        return there[0]


def find_options(codes: Collection[str], fleet: Organisation, *, now: datetime) -> NamedOptions:
    """Those that any of these codes may mean, whatever its capitals, with depot, operator and EVSEs; a constant number of
    queries."""
    return _among(bookable_options(fleet, now=now), codes, fleet)


def find_option(
    code: str, fleet: Organisation, *, depot_code: str | None = None, now: datetime
) -> BookingOption:
    """The same of one, as `NamedOptions.called` says. Raises OptionUnknown."""
    ours = _ours(code, fleet, depot_code or "", now)
    if ours is not None:
        return ours
    theirs = bookable_options(fleet, now=now).filter(is_mirror=True)
    return _among(theirs, [code], fleet).called(code, depot_code=depot_code)


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


def _among(rows: QuerySet[BookingOption], codes: Collection[str], fleet: Organisation) -> NamedOptions:
    called = Q()
    for code in codes:
        called |= Q(code__iexact=code)
    found = defaultdict(list)
    for option in rows.filter(called).order_by("is_mirror", "pk"):
        found[option.code.casefold()].append(option)
    return NamedOptions(fleet, found)
