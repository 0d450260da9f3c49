"""Which partners see which of our depots, and how: read at once for many of both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from django.db.models import Prefetch

from bookings.models import BookingOption
from bookings.rules import configuration
from bookings.rules.configuration import Configuration
from bookings.rules.tariff_bindings import TariffInForce
from depots.models import Depot, Evse
from roaming import access, published
from roaming.models import Partner
from roaming.published import PublishedDepot


@dataclass(frozen=True)
class SeenDepot:
    """Equal for partners to whom a depot looks the same. One that is not visible may have been told of before."""

    published: PublishedDepot
    is_visible: bool


def seen_depots(
    partners: Collection[Partner], depot_ids: Collection[int], *, now: datetime
) -> dict[tuple[int, int], SeenDepot]:
    """By partner and depot; a depot that has no address in OCPI is left out. Constant number of queries."""
    depots = _addressable(depot_ids)
    pks = [depot.pk for depot in depots]
    offering, admitted = _offering(pks), access.admissions(pks, now=now)
    configured = configuration.current_all(set(pks))
    reserved, closures = published.reserved_evses(pks, now=now), published.closures_at(pks, now)

    @cache
    def seen(depot: Depot, agreements: frozenset[int], is_public: bool, guest: str) -> SeenDepot:
        codes = {
            pk: held.code for pk, held in charging_tariffs(configured[depot.pk], agreements, at=now).items()
        }
        takes_walk_ins = configured[depot.pk].takes_walk_ins
        shown = PublishedDepot(depot, reserved, is_public, now, closures, codes, takes_walk_ins, guest)
        return SeenDepot(shown, depot.pk in offering and bool(agreements))

    found: dict[tuple[int, int], SeenDepot] = {}
    for depot in depots:
        agreed = admitted.get(depot.pk, {})
        for partner in partners:
            mine = frozenset(agreed[key] for key in (None, partner.organisation_id) if key in agreed)
            guest = "" if None in agreed else str(partner.organisation)
            found[partner.pk, depot.pk] = seen(depot, mine, None in agreed, guest)
    return found


def charging_tariffs(
    depot: Configuration, agreements: frozenset[int], *, at: datetime
) -> Mapping[int, TariffInForce]:
    """By EVSE; of several offers that name one, the narrowest counts."""
    return {
        evse.pk: held
        for option_id, evse in depot.narrowest
        if (held := depot.tariffs_under(option_id, evse.pk, agreements, at=at).charging)
    }


def _addressable(depot_ids: Collection[int]) -> list[Depot]:
    rows = Depot.objects.filter(pk__in=depot_ids, is_mirror=False, operator__is_partner=False)
    rows = rows.exclude(operator__cpo_party_id="").select_related("operator")
    evses = Prefetch("evses", Evse.objects.select_related("charger"))
    return list(rows.prefetch_related("opening_hours", evses, "evses__connectors"))


def _offering(depot_ids: Collection[int]) -> set[int]:
    """The depots at which there is anything to book."""
    rows = BookingOption.objects.filter(depot__in=depot_ids, is_withdrawn=False, depot__is_withdrawn=False)
    return set(access.addressable(rows).values_list("depot_id", flat=True))
