from __future__ import annotations

from importlib import import_module

from django.db import migrations

counting = import_module("depots.migrations.0006_configuration_version")

# The triggers of the table that was called so before.
FLAT = """
ALTER FUNCTION {old}_configured_rows() RENAME TO {new}_configured_rows;
ALTER FUNCTION {old}_configured_row() RENAME TO {new}_configured_row;
ALTER TRIGGER {old}_configured_by_insert ON bookings_flattariff RENAME TO {new}_configured_by_insert;
ALTER TRIGGER {old}_configured_by_delete ON bookings_flattariff RENAME TO {new}_configured_by_delete;
ALTER TRIGGER {old}_configured_by_update ON bookings_flattariff RENAME TO {new}_configured_by_update;
"""
OWNER = """coalesce({r}.depot_id, bookings_depot_of_option({r}.option_id), depots_depot_of_evse({r}.evse_id),
    bookings_depot_of_agreement({r}.agreement_id))"""
FUNCTIONS = f"""
CREATE FUNCTION bookings_depots_of_tariff(bigint) RETURNS SETOF bigint LANGUAGE sql STABLE AS
    'SELECT {OWNER.format(r="b")} FROM bookings_tariffbinding AS b WHERE b.tariff_id = $1';
"""  # noqa: S608 - names of our own
DROP_FUNCTIONS = "DROP FUNCTION bookings_depots_of_tariff(bigint);"
TABLES = {
    "bookings_tariffbinding": (OWNER.format(r="r"), counting.ANY_COLUMN),
    "bookings_tariff": (
        "bookings_depots_of_tariff(r.id)",
        ("operator_id", "code", "kind", "name", "is_withdrawn"),
    ),
    "bookings_tariffversion": ("bookings_depots_of_tariff(r.tariff_id)", counting.ANY_COLUMN),
}


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0015_money"),
        ("depots", "0006_configuration_version"),
    ]

    operations = [
        migrations.RunSQL(
            FLAT.format(old="bookings_tariff", new="bookings_flattariff"),
            FLAT.format(old="bookings_flattariff", new="bookings_tariff"),
        ),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        *[counting.counted(table, *of) for table, of in TABLES.items()],
    ]
