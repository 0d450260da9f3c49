"""What can be booked by whom, and on which terms."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Prefetch, Q, QuerySet

from bookings.errors import (
    OptionUnknown,
)
from bookings.models import (
    BookingOption,
    TermsOverride,
)
from bookings.rules import precedence
from bookings.rules.terms import Terms
from depots.models import Agreement, Depot, Evse, Organisation


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
    """Terms of many options, by option id, in one query."""
    overrides = precedence.applying(TermsOverride.objects.all(), options, fleet, now=now)
    return {option_id: Terms.resolve(rows) for option_id, rows in overrides.items()}


def _open_to(fleet: Organisation, now: datetime) -> Q:
    agreed = Agreement.objects.in_force(now).admitting([fleet.pk])
    return Q(is_mirror=False) & (Q(depot__operator=fleet) | Q(depot__in=agreed.values("depot")))
