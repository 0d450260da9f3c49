from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bookings", "0019_flat_tariffs_have_versions")]

    operations = [
        migrations.DeleteModel("FlatTariff"),
        migrations.RunSQL(
            "DROP FUNCTION bookings_flattariff_configured_rows(); DROP FUNCTION bookings_flattariff_configured_row();",
            migrations.RunSQL.noop,
        ),
    ]
