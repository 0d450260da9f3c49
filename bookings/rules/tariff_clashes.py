"""Tariffs that could not be added up: charging in one currency, booking in another, for one customer at one place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bookings.rules.configuration import Configuration
from bookings.rules.tariff_bindings import TariffInForce


def currency_clash(depot: Configuration, *, now: datetime) -> tuple[TariffInForce, TariffInForce] | None:
    """A charging and a booking tariff in different currencies that hold together now or later; None where none do."""
    versions = [one for bound in depot.bindings.values() for binding in bound for one in binding.versions]
    if len({version.content.currency for version in versions}) < 2:
        return None
    customers = {depot.site.operator_id} | {one.guest_id for one in depot.agreements if one.guest_id}
    for option_id, bays in depot.offers.items():
        for evse_id in [None, *(bay.pk for bay in bays)]:
            for customer_id in customers:
                for at in _moments(depot, now):
                    held = depot.tariffs_for(option_id, evse_id, customer_id, at=at)
                    if held.charging and held.booking and _differ(held.charging, held.booking):
                        return held.charging, held.booking
    return None


def _differ(one: TariffInForce, other: TariffInForce) -> bool:
    return one.content.currency != other.content.currency


def _moments(depot: Configuration, now: datetime) -> Iterator[datetime]:
    """Now, and whenever later another tariff may begin to hold."""
    found = {now}
    for agreement in depot.agreements:
        found |= {moment for moment in (agreement.starts_at, agreement.ends_at) if moment}
    for bound in depot.bindings.values():
        for binding in bound:
            found |= {binding.valid.starts_at, binding.valid.ends_at}
            found |= {m for one in binding.versions for m in (one.starts_at, one.ends_at) if m}
    return (moment for moment in sorted(found) if moment >= now)
