"""What can be booked by whom, and on which terms."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet

from bookings.errors import OptionUnknown
from bookings.models import BookingOption, TermsOverride
from bookings.rules import precedence
from bookings.rules.terms import Terms
from depots.geography import Circle
from depots.models import Agreement, Depot, Evse, Organisation


def bookable_options(fleet: Organisation, *, now: datetime) -> QuerySet[BookingOption]:
    """What a fleet or a partner network may book: its own depots, those opened to it, and (fleets) partners' depots."""
    return (
        BookingOption.objects.filter(
            _open_to(fleet, "depot_id", "depot__", now), is_withdrawn=False, depot__is_withdrawn=False
        )
        .select_related("depot__operator")
        .prefetch_related("depot__opening_hours", Prefetch("evses", evses_with_bays()))
    )  # fmt: skip


def bookable_depots(
    fleet: Organisation, *, near: Circle | None = None, now: datetime
) -> QuerySet[Depot, Depot]:
    """The depots with anything in it that a fleet may book, its own and others' before partners'; each with the `version` of
    its configuration (None at partners'). `near` keeps to the box around a circle."""
    offered = BookingOption.objects.filter(depot=OuterRef("pk"), is_withdrawn=False)
    found = Depot.objects.filter(_open_to(fleet, "pk", "", now), Exists(offered), is_withdrawn=False)
    if near is not None:
        found = found.filter(near.bounding_box())
    rows = found.annotate(version=F("configuration__version")).select_related("operator")
    return rows.defer("created_at", "updated_at").order_by("is_mirror", "name")


def evses_with_bays() -> QuerySet[Evse]:
    """EVSEs with all that fitting and availability ask of them."""
    rows = Evse.objects.select_related("charger", "depot__operator")
    return rows.prefetch_related("connectors", "depot__opening_hours")


def live_evses(evse_ids: Iterable[int]) -> dict[int, Evse]:
    """EVSEs by id with their chargers, as far as it changes with what a charger says."""
    told = ("uid", "status", "error_code", "charger__lease_holder", "charger__lease_until")
    return Evse.objects.select_related("charger").only(*told).in_bulk(list(evse_ids))


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


def _open_to(fleet: Organisation, depot_id: str, depot: str, now: datetime) -> Q:
    """A condition on rows that name their depot's id and its columns so: its own, or under an agreement in force."""
    agreed = Agreement.objects.in_force(now).admitting([fleet.pk]).values("depot")
    ours = Q(Q(**{f"{depot}operator": fleet}) | Q(**{f"{depot_id}__in": agreed}), is_mirror=False)
    return ours if fleet.is_partner else ours | Q(is_mirror=True)
