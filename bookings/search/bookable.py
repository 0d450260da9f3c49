"""What can be booked by whom, and on which terms."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import Prefetch, Q, QuerySet

from bookings.errors import (
    OptionUnknown,
)
from bookings.models import (
    BookingOption,
    TermsOverride,
)
from bookings.rules.terms import Terms
from depots.models import Depot, Evse, Organisation


def bookable_options(fleet: Organisation, *, now: datetime) -> QuerySet[BookingOption]:
    """What a fleet or a partner network may book: its own depots, those opened to it, and (fleets) partners' depots."""
    visible = _open_to(fleet, now) if fleet.is_partner else _open_to(fleet, now) | Q(is_mirror=True)
    return (
        BookingOption.objects.filter(visible, is_withdrawn=False, depot__is_withdrawn=False)
        .select_related("depot__operator")
        .prefetch_related(
            "depot__opening_hours",
            Prefetch("evses", evses_with_bays()),
        )
        .distinct()
    )  # fmt: skip


def evses_with_bays() -> QuerySet[Evse]:
    """EVSEs with all that fitting and availability ask of them."""
    rows = Evse.objects.select_related("charger", "depot__operator")
    return rows.prefetch_related("connectors", "depot__opening_hours")


def bookable_depots(fleet: Organisation, *, now: datetime) -> QuerySet[Depot]:
    options = bookable_options(fleet, now=now).values("depot_id")
    return Depot.objects.filter(pk__in=options).select_related("operator").order_by("is_mirror", "name")


def find_option(code: str, fleet: Organisation, *, now: datetime) -> BookingOption:
    """An option by its id, whatever its capitals; our own before a partner's. Raises OptionUnknown."""
    found = list(bookable_options(fleet, now=now).filter(code__iexact=code).order_by("is_mirror")[:3])
    if not found:
        raise OptionUnknown(f"No booking option {code!r} is open to {fleet}.")
    if len(found) > 1 and found[0].is_mirror == found[1].is_mirror:
        raise OptionUnknown(
            f"{code!r} is offered at several depots: {', '.join(o.depot.code for o in found)}."
        )
    return found[0]


def terms_for(option: BookingOption, fleet: Organisation, *, now: datetime) -> Terms:
    """The terms a booking made now would be made under."""
    return terms_by_option([option], fleet, now=now)[option.pk]


def terms_by_option(
    options: Collection[BookingOption], fleet: Organisation, *, now: datetime
) -> dict[int, Terms]:
    """Terms of many options, by option id, in one query: depot, then agreement (all, then own), then option."""
    depot_ids = {option.depot_id for option in options}
    agreed = Q(agreement__depot__in=depot_ids, agreement__starts_at__lte=now) & (
        Q(agreement__ends_at__isnull=True) | Q(agreement__ends_at__gt=now)
    )
    mine = Q(agreement__guest=fleet) | Q(agreement__guest__isnull=True)
    rows = list(
        TermsOverride.objects.filter(
            Q(depot__in=depot_ids) | Q(option__in=[o.pk for o in options]) | (agreed & mine)
        ).select_related("agreement")
    )
    return {option.pk: Terms.resolve(_overrides(rows, option)) for option in options}


def _open_to(fleet: Organisation, now: datetime) -> Q:
    in_force = Q(depot__agreements__starts_at__lte=now) & (
        Q(depot__agreements__ends_at__isnull=True) | Q(depot__agreements__ends_at__gt=now)
    )
    guest = Q(depot__agreements__guest=fleet) | Q(depot__agreements__guest__isnull=True)
    # `guest IS NULL` over a missing row would be true as well: the agreement itself must exist.
    agreed = Q(depot__agreements__isnull=False) & in_force & guest
    return Q(is_mirror=False) & (Q(depot__operator=fleet) | agreed)


def _overrides(rows: Iterable[TermsOverride], option: BookingOption) -> list[TermsOverride]:
    def breadth(row: TermsOverride) -> int:
        if row.depot_id:
            return 0
        if row.agreement is not None:
            return 2 if row.agreement.guest_id else 1
        return 3

    def applies(row: TermsOverride) -> bool:
        if row.agreement is not None:
            return row.agreement.depot_id == option.depot_id
        return row.depot_id == option.depot_id or row.option_id == option.pk

    return sorted(filter(applies, rows), key=breadth)
