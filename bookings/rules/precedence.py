"""Whose terms hold for an option: the depot's, the agreement with everybody, the one with the fleet, the option's own; the
narrower goes before the broader. And whose tariff: there what was agreed goes before what the place says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Q

from bookings.models import BookingOption, Tariff, TermsOverride
from bookings.rules.tariff_bindings import Binding, Owner, TariffInForce, Tariffs
from depots.models import Agreement, Organisation

# Bindings of charging and of booking, in the order in which they are asked.
AskedBindings = tuple[tuple[Binding, ...], tuple[Binding, ...]]


def terms_applying(
    options: Collection[BookingOption], fleet: Organisation, *, now: datetime
) -> dict[int, list[TermsOverride]]:
    """Of all terms those that hold for a fleet, by option id, the broadest first; in one query."""
    depot_ids = {option.depot_id for option in options}
    agreed = Agreement.objects.in_force(now).admitting([fleet.pk]).filter(depot__in=depot_ids)
    held = Q(depot__in=depot_ids) | Q(agreement__in=agreed) | Q(option__in=[o.pk for o in options])
    found = sorted(TermsOverride.objects.filter(held).select_related("agreement"), key=_breadth)
    return {option.pk: [row for row in found if _is_of(row, option)] for option in options}


def terms_of_depots(depot_ids: Collection[int]) -> dict[int, list[TermsOverride]]:
    """All terms at these depots by depot id, whomever they hold for, the broadest first; in one query."""
    of = Q(depot__in=depot_ids) | Q(agreement__depot__in=depot_ids) | Q(option__depot__in=depot_ids)
    found: dict[int, list[TermsOverride]] = {depot_id: [] for depot_id in depot_ids}
    for row in sorted(TermsOverride.objects.filter(of).select_related("agreement", "option"), key=_breadth):
        owner = row.agreement or row.option
        found[row.depot_id or (owner.depot_id if owner else 0)].append(row)
    return found


def holds(row: TermsOverride, option_id: int, agreement_ids: Collection[int]) -> bool:
    """Whether a row of a depot's holds for one of its options, to whom is admitted by these agreements."""
    if row.agreement_id is not None:
        return row.agreement_id in agreement_ids
    return row.option_id in {None, option_id}


def tariffs_held(asked: AskedBindings, *, at: datetime) -> Tariffs:
    """Of each kind the version in force at a moment of the first tariff that has one then."""
    return Tariffs(*(_first(bindings, at) for bindings in asked))


def asked_in_turn(
    bindings: Mapping[tuple[Owner, Tariff.Kind], Sequence[Binding]], owners: Sequence[Owner]
) -> AskedBindings:
    """What these owners have ever bound or will, by kind, in their order."""
    charging, booking = (
        tuple(one for owner in owners for one in bindings.get((owner, kind), ()))
        for kind in (Tariff.Kind.CHARGING, Tariff.Kind.BOOKING)
    )
    return charging, booking


def tariff_owners(
    agreements: Iterable[Agreement], *, evse_id: int | None, option_id: int, depot_id: int
) -> list[Owner]:
    """Who may say what a customer pays whom these agreements admit, the first to be heard first: the agreement with this
    customer, the one with all, the EVSE (where it is known), the option, the depot."""
    agreed = sorted(agreements, key=lambda one: one.guest_id is None)
    owners = [Owner("agreement", one.pk) for one in agreed]
    if evse_id is not None:
        owners.append(Owner("evse", evse_id))
    return [*owners, Owner("option", option_id), Owner("depot", depot_id)]


def _first(bindings: Sequence[Binding], at: datetime) -> TariffInForce | None:
    for binding in bindings:
        if binding.valid.contains(at) and (version := binding.version_at(at)) is not None:
            return version
    return None


def _breadth(row: TermsOverride) -> int:
    if row.depot_id:
        return 0
    if row.agreement is not None:
        return 2 if row.agreement.guest_id else 1
    return 3


def _is_of(row: TermsOverride, option: BookingOption) -> bool:
    if row.agreement is not None:
        return row.agreement.depot_id == option.depot_id
    return row.depot_id == option.depot_id or row.option_id == option.pk
