"""What partners tell people of their depots: hours that differ, planned statuses, places without a booking."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("depots", "0040_locations_of_parties"),
    ]

    operations = [
        migrations.AddField(
            model_name="depot",
            name="exceptional_hours",
            field=models.JSONField(
                blank=True,
                help_text='where its hours differ, as a partner told: [{"starts_at", "ends_at", "is_open"}]',
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="evse",
            name="planned_statuses",
            field=models.JSONField(
                blank=True,
                help_text='what it will be, as a partner told: [{"starts_at", "ends_at" or null, "status"}]',
                null=True,
            ),
        ),
    ]
