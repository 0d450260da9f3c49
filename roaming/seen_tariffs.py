"""Which partners see which tariffs: those by which they, or their customers, would pay at a depot that is open to them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache

from bookings.models import BookingOption
from bookings.rules import configuration
from bookings.rules.configuration import Configuration
from bookings.rules.tariff_bindings import TariffInForce
from depots.models import Agreement
from roaming import access
from roaming.models import Partner


def seen_tariffs(
    partners: Collection[Partner], *, operator_ids: Collection[int] | None = None, now: datetime
) -> dict[int, dict[int, TariffInForce]]:
    """By partner the versions that hold, by the key of the version: for charging, and for bookings to those who have Bookings.

    Constant number of queries.
    """
    offering = _offering(operator_ids)
    admitted = access.admissions(offering, now=now)
    configured = configuration.current_all(set(offering))

    @cache
    def at_depot(depot_id: int, agreements: frozenset[int], with_bookings: bool) -> dict[int, TariffInForce]:
        return _tariffs(configured[depot_id], agreements, with_bookings, now)

    found: dict[int, dict[int, TariffInForce]] = {}
    for partner in partners:
        mine = found[partner.pk] = {}
        with_bookings = bool(partner.endpoint("bookings", "RECEIVER"))
        for depot_id in offering:
            agreed = admitted.get(depot_id, {})
            by = frozenset(agreed[key] for key in (None, partner.organisation_id) if key in agreed)
            if by:
                mine.update(at_depot(depot_id, by, with_bookings))
    return found


def _tariffs(
    depot: Configuration, agreements: frozenset[int], with_bookings: bool, now: datetime
) -> dict[int, TariffInForce]:
    found: dict[int, TariffInForce] = {}
    for option_id, bays in depot.offers.items():
        evses = [None, *(bay.pk for bay in bays)]
        for held in (depot.tariffs_under(option_id, evse_id, agreements, at=now) for evse_id in evses):
            wanted = held if with_bookings else (held.charging,)
            found |= {one.pk: one for one in wanted if one is not None}
    return found


def _offering(operator_ids: Collection[int] | None) -> list[int]:
    """The depots at which there is anything for a guest to book."""
    rows = access.addressable(BookingOption.objects.filter(is_withdrawn=False, depot__is_withdrawn=False))
    if operator_ids is not None:
        rows = rows.filter(depot__operator__in=operator_ids)
    with_guests = Agreement.objects.values("depot")
    return sorted(set(rows.filter(depot__in=with_guests).values_list("depot_id", flat=True)))
