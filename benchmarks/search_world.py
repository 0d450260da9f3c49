"""Depots all over a country-sized area, and occupancy by the million, for the benchmarks of search."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.db import connection
from django.db.backends.utils import CursorWrapper

from bookings.models import (
    BookingOption,
    Occupancy,
    Tariff,
    TariffBinding,
    TariffVersion,
    TermsOverride,
    Vehicle,
)
from bookings.pricing.tariff_content import TariffContent
from bookings.search.slots import SlotSearch
from depots.geography import Circle
from depots.models import Agreement, Charger, Connector, Depot, Evse, OpeningHours
from depots.periods import Period
from tests.factories import NOW, make_fleet, make_operator, make_vehicle
from tests.money_factories import ALWAYS, new_version, per_kwh

EVSES_A_DEPOT = 10
SOUTH, NORTH, WEST, EAST = 45.0, 55.0, 0.0, 20.0
RADIUS_KM = 50.0
CCS, MCS = "IEC_62196_T2_COMBO", "MCS"
LEAST_W = 150_000
# Eight hours apart, from before now on: who asks for tomorrow finds the same number about it, however many follow.
BETWEEN, FIRST = timedelta(hours=8), NOW - timedelta(hours=6)
ASKED = Period(NOW + timedelta(hours=26), NOW + timedelta(hours=28))
BATCH = 5_000


def build(depots: int) -> Vehicle:
    """Everything but occupancy; gives the vehicle that looks for a slot. Every other depot has hours, every fourth a limit
    that binds; all are open to everybody, with terms and prices."""
    chance = random.Random(1)
    operators = [make_operator() for _ in range(50)]
    places = Depot.objects.bulk_create(
        [_depot(number, operators[number % 50].pk, chance) for number in range(depots)], BATCH
    )
    Agreement.objects.bulk_create(
        [Agreement(depot=d, starts_at=NOW - timedelta(days=9)) for d in places], BATCH
    )
    TermsOverride.objects.bulk_create([TermsOverride(depot=d, horizon_days=60) for d in places], BATCH)
    _price(places)
    hours = [
        OpeningHours(depot=depot, weekday=day, from_minute=6 * 60, to_minute=22 * 60)
        for depot in places[::2]
        for day in range(1, 8)
    ]
    OpeningHours.objects.bulk_create(hours, BATCH)
    _equip(places)
    return make_vehicle(make_fleet(), length_cm=1650, height_cm=400, weight_kg=40_000, max_power_w=350_000)


def _price(places: Sequence[Depot]) -> None:
    """Each by a tariff of its own."""
    tariffs = Tariff.objects.bulk_create(
        [Tariff(operator_id=d.operator_id, code=d.code, kind="charging") for d in places], BATCH
    )
    content = TariffContent("EUR", (per_kwh("0.5"),)).to_json()
    TariffVersion.objects.bulk_create([new_version(tariff, content=content) for tariff in tariffs], BATCH)
    TariffBinding.objects.bulk_create(
        [
            TariffBinding(tariff=tariff, kind="charging", depot=depot, valid=ALWAYS)
            for tariff, depot in zip(tariffs, places, strict=True)
        ],
        BATCH,
    )


def occupy(evse_ids: list[int], each: int) -> int:
    """So many bookings of each EVSE, in a table of that size's own (`use`), loaded before its constraint is built; gives the
    number of rows. Both sizes stand beside one another, so that searches among them can be measured by turns."""
    use(each)
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute(f"CREATE SCHEMA {_schema(each)}")
        cursor.execute(
            f"CREATE TABLE {_schema(each)}.bookings_occupancy (LIKE public.bookings_occupancy INCLUDING ALL)"
        )
        name, constraint = _constraint(cursor)
        cursor.execute(f"ALTER TABLE bookings_occupancy DROP CONSTRAINT {name}")
        with cursor.copy("COPY bookings_occupancy (evse_id, span, holder, kind, power_w) FROM STDIN") as copy:
            for rows in _rows(evse_ids, 0, each):
                copy.write(rows)
        cursor.execute(f"ALTER TABLE bookings_occupancy ADD CONSTRAINT {name} {constraint}")
        cursor.execute("VACUUM ANALYZE")
    return Occupancy.objects.count()


def use(each: int) -> None:
    """Everything else is the same for both sizes; the first table of that name counts."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path = {_schema(each)}, public")


def _schema(each: int) -> str:
    return f"with_{each}_each"


def searches(vehicle: Vehicle, number: int) -> list[SlotSearch]:
    """For the same truck around places all over the area."""
    chance = random.Random(2)
    return [
        SlotSearch(
            vehicle.fleet, ASKED, NOW, vehicle=vehicle, min_power_w=LEAST_W, fitting_only=True,
            near=Circle(chance.uniform(SOUTH + 0.5, NORTH - 0.5), chance.uniform(WEST + 1, EAST - 1), RADIUS_KM),
        )
        for _ in range(number)
    ]  # fmt: skip


def _depot(number: int, operator_id: int, chance: random.Random) -> Depot:
    return Depot(
        operator_id=operator_id, code=f"S{number}", location_id=f"S{number}", name=f"Depot {number}",
        latitude=f"{chance.uniform(SOUTH, NORTH):.6f}", longitude=f"{chance.uniform(WEST, EAST):.6f}",
        time_zone="Europe/Berlin", grid_limit_w=2_000_000 if number % 4 == 0 else None,
    )  # fmt: skip


def _equip(places: list[Depot]) -> None:
    """Ten chargers a depot, of one EVSE with an option each: a third too short for the truck, a fifth with MCS alone."""
    spots = [(depot, number) for depot in places for number in range(EVSES_A_DEPOT)]
    chargers = Charger.objects.bulk_create(
        [Charger(depot=depot, identity=f"{depot.code}-{number}") for depot, number in spots], BATCH
    )
    evses = Evse.objects.bulk_create(
        [
            Evse(
                depot=depot, charger=charger, uid=charger.identity, max_power_w=400_000 if number % 4 else 100_000,
                max_vehicle_length_cm=1200 if number % 3 == 0 else 1875, max_vehicle_height_cm=430,
            )
            for (depot, number), charger in zip(spots, chargers, strict=True)
        ],
        BATCH,
    )  # fmt: skip
    Connector.objects.bulk_create(
        [Connector(evse=evse, standard=MCS if (evse.charger_id or 0) % 5 == 0 else CCS) for evse in evses],
        BATCH,
    )
    options = BookingOption.objects.bulk_create(
        [BookingOption(depot_id=evse.depot_id, code=evse.uid) for evse in evses], BATCH
    )
    offered = BookingOption.evses.through
    offered.objects.bulk_create(
        [offered(bookingoption_id=o.pk, evse_id=e.pk) for o, e in zip(options, evses, strict=True)], BATCH
    )


def _rows(evse_ids: list[int], since: int, until: int) -> Iterator[str]:
    """One text a time, of all EVSEs: as bookings come in, those of one EVSE lie far apart on the disk."""
    for number in range(since, until):
        starts_at = FIRST + number * BETWEEN
        ends_at = starts_at + timedelta(hours=2)
        holder = 10_000_000_000 + number * 1_000_000
        yield "".join(
            f"{evse_id}\t[{starts_at + shift},{ends_at + shift})\t{holder + evse_id}\tbooking\t150000\n"
            for evse_id in evse_ids
            for shift in [timedelta(minutes=15 * (evse_id % 24))]
        )


def _constraint(cursor: CursorWrapper) -> tuple[str, str]:
    """The name and definition of the one that keeps spans apart, as the migrations made it."""
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'bookings_occupancy'::regclass AND contype = 'x'"
    )
    (row,) = cursor.fetchall()
    return row[0], row[1]


def evse_ids() -> list[int]:
    return list(Evse.objects.order_by("pk").values_list("pk", flat=True))
