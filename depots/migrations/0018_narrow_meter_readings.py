import django.db.models.deletion
from django.db import migrations, models

# Until now a row had a number of its own, whose index nobody used, and one of its session, which the key begins with.
NARROW = """
ALTER TABLE depots_meterreading DROP CONSTRAINT reading_once, DROP COLUMN id, ADD PRIMARY KEY (session_id, at);
DO $$
DECLARE found text;
BEGIN
    FOR found IN
        SELECT indexrelid::regclass::text FROM pg_index
        WHERE indrelid = 'depots_meterreading'::regclass AND NOT indisprimary
    LOOP
        EXECUTE 'DROP INDEX ' || found;
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("depots", "0017_security_profiles"),
    ]

    operations = [
        migrations.AddField(
            model_name="chargingsession",
            name="latest_at",
            field=models.DateTimeField(
                blank=True,
                help_text="the newest time that its meter or a transaction event told of",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="chargingsession",
            name="charging_state",
            field=models.CharField(
                blank=True,
                choices=[
                    ("charging", "Charging"),
                    ("no_demand", "The vehicle asks for no power"),
                    ("no_offer", "The EVSE gives no power"),
                    ("plugged", "Plugged in"),
                    ("unplugged", "Nobody is plugged in"),
                    ("out_of_order", "Out of order"),
                ],
                help_text="as a transaction event told it last (2.x)",
                max_length=12,
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(NARROW, migrations.RunSQL.noop)],
            state_operations=[
                migrations.DeleteModel(name="MeterReading"),
                migrations.CreateModel(
                    name="MeterReading",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "session_id",
                                "at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("at", models.DateTimeField()),
                        ("energy_wh", models.BigIntegerField(blank=True, null=True)),
                        ("power_w", models.IntegerField(blank=True, null=True)),
                        ("soc_percent", models.FloatField(blank=True, null=True)),
                        (
                            "session",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="readings",
                                to="depots.chargingsession",
                            ),
                        ),
                    ],
                    options={"ordering": ["session", "at"]},
                ),
            ],
        ),
    ]
