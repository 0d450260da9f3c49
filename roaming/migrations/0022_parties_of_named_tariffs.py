"""Whose EVSE or offer names a tariff, as the code of its depot has it; and whether a partner that fails answers."""

from __future__ import annotations

from django.db import migrations, models

FILL = """
UPDATE roaming_namedtariffs AS named
SET party = left(upper(split_part(depot.code, '-', 1)) || '*' || upper(split_part(depot.code, '-', 2)), 8)
FROM depots_depot AS depot
WHERE depot.id = CASE named.kind
    WHEN 'evse' THEN (SELECT depot_id FROM depots_evse WHERE id = named.object_id)
    ELSE (SELECT depot_id FROM bookings_bookingoption WHERE id = named.object_id) END
"""


class Migration(migrations.Migration):
    dependencies = [
        ("roaming", "0021_sessions_that_a_reservation_begins"),
        ("bookings", "0059_parties_of_tariffs"),
    ]

    operations = [
        migrations.AddField(
            model_name="namedtariffs",
            name="party",
            field=models.CharField(blank=True, db_default="", max_length=8),
        ),
        migrations.AddField(
            model_name="partner",
            name="refuses",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="of the failures in a row the last was an answer, but no yes",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
