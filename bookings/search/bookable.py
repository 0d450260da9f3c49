"""What can be booked by whom, and on which terms."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model, Prefetch, Q, QuerySet

from bookings.models import BookingOption
from bookings.rules import precedence
from bookings.rules.terms import Terms
from depots.geography import Box, Circle
from depots.models import Agreement, Depot, Evse, Organisation


def bookable_options(fleet: Organisation, *, now: datetime) -> QuerySet[BookingOption]:
    """What a fleet or a partner network may book: its own depots, those opened to it, and (fleets) partners' depots."""
    return (
        BookingOption.objects.filter(
            _open_to(fleet, now), is_withdrawn=False, depot__is_withdrawn=False
        )
        .select_related("depot__operator")
        .prefetch_related("depot__opening_hours", Prefetch("evses", evses_with_bays()))
    )  # fmt: skip


def bookable_depots(
    fleet: Organisation,
    *,
    depot: Depot | None = None,
    near: Circle | None = None,
    boxes: Sequence[Box] | None = None,
    now: datetime,
) -> list[Depot]:
    """The depots with anything in it that a fleet may book, its own and others' before partners'; each with the `version` of
    its configuration (None at partners'). Only this `depot`, what lies in the box around a circle, or in one of `boxes`."""
    asked: dict[str, Any] = {"fleet": fleet.pk, "is_partner": fleet.is_partner, "now": now}
    where = ""
    if depot is not None:
        where, asked["depot"] = f"{where} AND d.id = %(depot)s", depot.pk
    if near is not None:
        inside, degrees = _in_box(near.bounding_box())
        where, asked = f"{where} AND {inside}", asked | degrees
    if boxes is not None:
        where, asked = f"{where} AND {_IN_BOXES}", asked | _borders(boxes)
    with connection.cursor() as cursor:
        cursor.execute(_BOOKABLE_DEPOTS.format(where=where), asked)
        return [_depot(*row) for row in cursor.fetchall()]


def evses_with_bays() -> QuerySet[Evse]:
    """EVSEs with all that fitting and availability ask of them."""
    rows = Evse.objects.select_related("charger", "depot__operator")
    return rows.prefetch_related("connectors", "depot__opening_hours")


def live_evses(evse_ids: Iterable[int]) -> dict[int, Evse]:
    """EVSEs by id with their chargers, as far as it changes with what a charger says."""
    told = ("uid", "status", "kept_for", "error_code", "charger__lease_holder", "charger__lease_until")
    return Evse.objects.select_related("charger").only(*told).in_bulk(list(evse_ids))


def terms_for(option: BookingOption, fleet: Organisation, *, now: datetime) -> Terms:
    """The terms a booking made now would be made under."""
    return terms_by_option([option], fleet, now=now)[option.pk]


def terms_by_option(
    options: Collection[BookingOption], fleet: Organisation, *, now: datetime
) -> dict[int, Terms]:
    """Terms of many options, by option id, in one query."""
    overrides = precedence.terms_applying(options, fleet, now=now)
    return {option_id: Terms.resolve(rows) for option_id, rows in overrides.items()}


def _open_to(fleet: Organisation, now: datetime) -> Q:
    """A condition on options: of its own depots, or of those under an agreement in force; of partners' only for fleets."""
    agreed = Agreement.objects.in_force(now).admitting([fleet.pk]).values("depot")
    ours = Q(Q(depot__operator=fleet) | Q(depot_id__in=agreed), is_mirror=False)
    return ours if fleet.is_partner else ours | Q(is_mirror=True)


def _names(model: type[Model], *, without: Collection[str]) -> list[str]:
    """Its columns, which its attributes are called by."""
    columns = model._meta.concrete_fields  # noqa: SLF001
    return [field.attname for field in columns if field.name not in without]


_OF_DEPOT = _names(Depot, without=["created_at", "updated_at"])
_OF_OPERATOR = _names(Organisation, without=["created_at"])

# Every search begins with it, and Django took longer to compile it than PostgreSQL to answer it. Whom a depot is open to
# is `_open_to`'s rule; a test holds the two together.
_BOOKABLE_DEPOTS = f"""
    SELECT v.version, {", ".join(f"d.{name}" for name in _OF_DEPOT)}, {", ".join(f"o.{name}" for name in _OF_OPERATOR)}
    FROM depots_depot d
    JOIN depots_organisation o ON o.id = d.operator_id
    LEFT JOIN depots_configurationversion v ON v.depot_id = d.id
    WHERE NOT d.is_withdrawn {{where}}
      AND EXISTS (SELECT FROM bookings_bookingoption b WHERE b.depot_id = d.id AND NOT b.is_withdrawn)
      AND CASE WHEN d.is_mirror THEN NOT %(is_partner)s ELSE d.operator_id = %(fleet)s OR EXISTS (
          SELECT FROM depots_agreement a
          WHERE a.depot_id = d.id AND (a.guest_id = %(fleet)s OR a.guest_id IS NULL)
            AND a.starts_at <= %(now)s AND (a.ends_at > %(now)s OR a.ends_at IS NULL)
      ) END
    ORDER BY d.is_mirror, d.name
"""  # noqa: S608 - made of constants


def _in_box(box: Box) -> tuple[str, dict[str, float]]:
    """As a condition that the index on places answers, which holds numeric degrees; and the values in it."""
    degrees = {"south": box.south, "north": box.north}
    for number, (west, east) in enumerate(box.meridians):
        degrees |= {f"west{number}": west, f"east{number}": east}
    between = " OR ".join(
        f"d.longitude BETWEEN %(west{number})s::numeric AND %(east{number})s::numeric"
        for number in range(len(box.meridians))
    )
    return f"d.latitude BETWEEN %(south)s::numeric AND %(north)s::numeric AND ({between})", degrees


# The index on places is asked once for each box.
_IN_BOXES = """d.id IN (
    SELECT place.id
    FROM unnest(%(south)s::numeric[], %(north)s::numeric[], %(west)s::numeric[], %(east)s::numeric[])
        AS box(south, north, west, east)
    JOIN depots_depot place
      ON place.latitude BETWEEN box.south AND box.north AND place.longitude BETWEEN box.west AND box.east
)"""


def _borders(boxes: Iterable[Box]) -> dict[str, list[float]]:
    """A row for each pair of meridians."""
    rows = [(box.south, box.north, west, east) for box in boxes for west, east in box.meridians]
    return {
        name: [row[number] for row in rows] for number, name in enumerate(("south", "north", "west", "east"))
    }


def _depot(version: int | None, *values: Any) -> Depot:
    depot = Depot.from_db(DEFAULT_DB_ALIAS, _OF_DEPOT, values[: len(_OF_DEPOT)])
    depot.operator = Organisation.from_db(DEFAULT_DB_ALIAS, _OF_OPERATOR, values[len(_OF_DEPOT) :])
    depot.version = version  # type: ignore[attr-defined]
    return depot
