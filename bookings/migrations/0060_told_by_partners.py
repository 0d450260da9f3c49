"""What partners tell people of their depots: hours that differ, planned statuses, places without a booking."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0059_parties_of_tariffs"),
    ]

    operations = [
        migrations.AddField(
            model_name="bookingoption",
            name="ad_hoc_places",
            field=models.PositiveIntegerField(
                blank=True, help_text="for vehicles without a booking, as a partner told", null=True
            ),
        ),
    ]
