"""Which of a network's parties has a tariff: two of them may use one id."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models.functions import Upper

# As its newest version was told.
FILL = """
UPDATE bookings_tariff AS tariff
SET party = upper(told.source->>'country_code') || '*' || upper(told.source->>'party_id')
FROM depots_organisation AS operator, (
    SELECT DISTINCT ON (tariff_id) tariff_id, source FROM bookings_tariffversion ORDER BY tariff_id, number DESC
) AS told
WHERE operator.id = tariff.operator_id AND operator.is_partner AND told.tariff_id = tariff.id
    AND length(told.source->>'country_code') <= 2 AND length(told.source->>'party_id') <= 5
"""


class Migration(migrations.Migration):
    dependencies = [("bookings", "0058_parties_of_records")]

    operations = [
        migrations.RemoveConstraint(model_name="tariff", name="tariff_code_once"),
        migrations.AddField(
            model_name="tariff",
            name="party",
            field=models.CharField(blank=True, db_default="", max_length=8),
        ),
        migrations.AddConstraint(
            model_name="tariff",
            constraint=models.UniqueConstraint(
                models.F("operator"), models.F("party"), Upper("code"), name="tariff_code_once"
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
