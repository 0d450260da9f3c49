from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

# Counts what is configured at depots of ours; a partner's depot is never kept in memory, and its messages lock in other orders.
# Numbers come from a sequence: one that was given in a transaction that was rolled back never comes again.
FUNCTIONS = """
CREATE SEQUENCE depots_configuration_seq;

CREATE FUNCTION depots_configuration_written(depot_ids bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO depots_configurationversion (depot_id, version)
    SELECT id, nextval('depots_configuration_seq')
    FROM (SELECT id FROM depots_depot WHERE id = ANY (depot_ids) AND NOT is_mirror ORDER BY id) AS ours
    ON CONFLICT (depot_id) DO UPDATE SET version = excluded.version
$$;

-- Of a column of another table, the depot its row belongs to.
CREATE FUNCTION depots_depot_of_evse(bigint) RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT depot_id FROM depots_evse WHERE id = $1';
"""
DROP_FUNCTIONS = """
DROP FUNCTION depots_depot_of_evse(bigint);
DROP FUNCTION depots_configuration_written(bigint[]);
DROP SEQUENCE depots_configuration_seq;
"""
# Rows are inserted and deleted in bulk, and counted once a statement. Updates are counted by the row, because only then a
# condition can leave out at no cost those of columns that change all the time: a charger's lease, an EVSE's status.
TRIGGERS = """
CREATE FUNCTION {table}_configured_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM depots_configuration_written(ARRAY(SELECT DISTINCT {depot} FROM rows AS r));
    RETURN NULL;
END $$;
CREATE FUNCTION {table}_configured_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM depots_configuration_written(ARRAY(SELECT {depot} FROM (SELECT OLD.* UNION SELECT NEW.*) AS r));
    RETURN NULL;
END $$;
CREATE TRIGGER {table}_configured_by_insert AFTER INSERT ON {table}
    REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION {table}_configured_rows();
CREATE TRIGGER {table}_configured_by_delete AFTER DELETE ON {table}
    REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION {table}_configured_rows();
CREATE TRIGGER {table}_configured_by_update AFTER UPDATE ON {table}
    FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION {table}_configured_row();
"""
DROP_TRIGGERS = """
DROP TRIGGER {table}_configured_by_insert ON {table};
DROP TRIGGER {table}_configured_by_delete ON {table};
DROP TRIGGER {table}_configured_by_update ON {table};
DROP FUNCTION {table}_configured_rows();
DROP FUNCTION {table}_configured_row();
"""
ANY_COLUMN = ("*",)
EVSE = (
    "depot_id", "charger_id", "uid", "max_power_w", "vehicle_types", "max_vehicle_length_cm", "max_vehicle_width_cm",
    "max_vehicle_height_cm", "max_vehicle_weight_kg", "drive_through", "dangerous_goods_allowed", "refrigeration_outlet",
    "is_withdrawn",
)  # fmt: skip
# Table: the depot of a row `r`, and the columns that are configuration.
TABLES = {
    "depots_depot": ("r.id", ANY_COLUMN),
    "depots_openinghours": ("r.depot_id", ANY_COLUMN),
    "depots_agreement": ("r.depot_id", ANY_COLUMN),
    "depots_charger": ("r.depot_id", ("depot_id", "identity", "cabinet", "cabinet_limit_w")),
    "depots_evse": ("r.depot_id", EVSE),
    "depots_connector": ("depots_depot_of_evse(r.evse_id)", ANY_COLUMN),
}
COUNTED_SINCE_NOW = """
INSERT INTO depots_configurationversion (depot_id, version)
SELECT id, nextval('depots_configuration_seq') FROM depots_depot WHERE NOT is_mirror;
"""


def counted(table: str, depot: str, columns: tuple[str, ...]) -> migrations.RunSQL:
    """The triggers of one table."""
    differs = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    return migrations.RunSQL(
        TRIGGERS.format(table=table, depot=depot, differs=differs), DROP_TRIGGERS.format(table=table)
    )


class Migration(migrations.Migration):
    dependencies = [("depots", "0005_figures_clocks_and_deviations")]

    operations = [
        migrations.CreateModel(
            name="ConfigurationVersion",
            fields=[
                (
                    "depot",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="configuration",
                        serialize=False,
                        to="depots.depot",
                    ),
                ),
                ("version", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        *[counted(table, *of) for table, of in TABLES.items()],
        migrations.RunSQL(COUNTED_SINCE_NOW, migrations.RunSQL.noop),
    ]
