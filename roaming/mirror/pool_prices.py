"""What charging costs by an offer of a partner that names no EVSE: what its plugs cost there, where all of them cost the same."""

from __future__ import annotations

from bookings.models import BookingOption
from bookings.rules.tariff_bindings import Owner
from depots.models import Depot, Evse
from roaming.mirror import partner_tariffs
from roaming.models import NamedTariffs, Partner


def uid_of_all(code: str) -> str:
    """The name of the one mirrored EVSE that stands for all of an offer that names none."""
    return f"{code} (any)"[:64]


def keep(partner: Partner, party: str, depot: Depot) -> None:
    """Of all such offers at a depot of this party (`partner_tariffs.party_name`), whose lock the caller holds; a tariff for
    charging that the offer names goes before. Five queries at most, but for those whose prices changed."""
    options = list(BookingOption.objects.filter(depot=depot, is_mirror=True, is_withdrawn=False))
    of_all = {uid_of_all(option.code).upper(): option for option in options}
    evses = list(depot.evses.filter(is_withdrawn=False).prefetch_related("connectors"))
    standing = [(evse, of_all[evse.uid.upper()]) for evse in evses if evse.uid.upper() in of_all]
    if not standing:
        return
    named = _named("evse", [evse.pk for evse in evses])
    by_option = _named("option", [option.pk for _, option in standing])
    told = [evse for evse in evses if evse.uid.upper() not in of_all]
    for evse, option in standing:
        codes = [*by_option.get(option.pk, ()), *_same_for_all(evse, told, named)]
        partner_tariffs.keep_named(partner, party, Owner("evse", evse.pk), codes)


def _named(kind: str, pks: list[int]) -> dict[int, list[str]]:
    return {row.object_id: row.codes for row in NamedTariffs.objects.filter(kind=kind, object_id__in=pks)}


def _same_for_all(of_all: Evse, told: list[Evse], named: dict[int, list[str]]) -> list[str]:
    plugs = {plug.standard for plug in of_all.connectors.all()}
    meant = [
        e for e in told if not plugs or not plugs.isdisjoint(plug.standard for plug in e.connectors.all())
    ]
    found = {tuple(named.get(evse.pk, ())) for evse in meant}
    return list(found.pop()) if len(found) == 1 else []
