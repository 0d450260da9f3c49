from __future__ import annotations

from importlib import import_module

from django.db import migrations

counting = import_module("depots.migrations.0006_configuration_version")

FUNCTIONS = """
CREATE FUNCTION bookings_depot_of_option(bigint) RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT depot_id FROM bookings_bookingoption WHERE id = $1';
CREATE FUNCTION bookings_depot_of_agreement(bigint) RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT depot_id FROM depots_agreement WHERE id = $1';
"""
DROP_FUNCTIONS = """
DROP FUNCTION bookings_depot_of_agreement(bigint);
DROP FUNCTION bookings_depot_of_option(bigint);
"""
OWNER = (
    "coalesce(r.depot_id, bookings_depot_of_agreement(r.agreement_id), bookings_depot_of_option(r.option_id))"
)
TABLES = {
    # Its calendar is written with every booking.
    "bookings_bookingoption": ("r.depot_id", ("depot_id", "code", "name", "is_mirror", "is_withdrawn")),
    "bookings_bookingoption_evses": ("bookings_depot_of_option(r.bookingoption_id)", counting.ANY_COLUMN),
    "bookings_termsoverride": (OWNER, counting.ANY_COLUMN),
    "bookings_tariff": (OWNER, counting.ANY_COLUMN),
}


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0009_actors"),
        ("depots", "0006_configuration_version"),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        *[counting.counted(table, *of) for table, of in TABLES.items()],
    ]
