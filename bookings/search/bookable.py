"""What can be booked by whom, and on which terms."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from bookings.errors import OptionUnknown
from bookings.models import BookingOption, TermsOverride
from bookings.rules import fit, precedence
from bookings.rules.fit import Needs
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


def bookable_depots(fleet: Organisation, *, now: datetime) -> QuerySet[Depot]:
    """The depots with anything in it that a fleet may book, its own and others' before partners'."""
    offered = BookingOption.objects.filter(depot=OuterRef("pk"), is_withdrawn=False)
    found = Depot.objects.filter(_open_to(fleet, "pk", "", now), Exists(offered), is_withdrawn=False)
    return found.select_related("operator").order_by("is_mirror", "name")


def offered_options(
    fleet: Organisation,
    *,
    depot: Depot | None = None,
    near: Circle | None = None,
    fitting: Needs | None = None,
    min_power_w: int | None = None,
    now: datetime,
) -> list[BookingOption]:
    """`bookable_options` with all that an offer asks of them, at one depot or within a circle, by id.

    With `fitting` or `min_power_w` only the EVSEs that will do, and the options that have one (or name none).
    """
    depots = _offering_depots(fleet, depot, near, now)
    evses = Evse.objects.select_related("charger").only(*_OF_EVSES).prefetch_related("connectors")
    options = BookingOption.objects.defer("created_at", "updated_at").order_by("pk")
    options = options.filter(depot__in=depots, is_withdrawn=False)
    if fitting is not None or min_power_w is not None:
        suitable = fit.fitting(fitting or Needs()) & Q(max_power_w__gte=min_power_w or 0)
        evses = evses.filter(suitable)
        named = Evse.objects.filter(options=OuterRef("pk"))
        options = options.filter(Exists(named.filter(suitable)) | ~Exists(named))
    found = list(options.prefetch_related(Prefetch("evses", evses)))
    for option in found:
        option.depot = depots[option.depot_id]
        for evse in option.evses.all():
            evse.depot = option.depot
    return found


# What fitting, promises, prices and the state of an EVSE rest on; other columns cost more to read than to search.
_OF_EVSES = (
    *(
        "depot_id",
        "uid",
        "max_power_w",
        "status",
        "error_code",
        "charger__lease_holder",
        "charger__lease_until",
    ),
    *("vehicle_types", "drive_through", "dangerous_goods_allowed", "refrigeration_outlet"),
    *("max_vehicle_length_cm", "max_vehicle_width_cm", "max_vehicle_height_cm", "max_vehicle_weight_kg"),
)


def _offering_depots(
    fleet: Organisation, depot: Depot | None, near: Circle | None, now: datetime
) -> dict[int, Depot]:
    rows = bookable_depots(fleet, now=now).prefetch_related("opening_hours")
    if depot is not None:
        rows = rows.filter(pk=depot.pk)
    if near is not None:
        rows = rows.filter(near.bounding_box())
    return {row.pk: row for row in rows if near is None or near.contains(row.latitude, row.longitude)}


def evses_with_bays() -> QuerySet[Evse]:
    """EVSEs with all that fitting and availability ask of them."""
    rows = Evse.objects.select_related("charger", "depot__operator")
    return rows.prefetch_related("connectors", "depot__opening_hours")


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
