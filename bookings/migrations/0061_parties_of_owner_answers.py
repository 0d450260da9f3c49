"""Which of a network's parties answered about a token: a hub is one network for many."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0060_told_by_partners"),
    ]

    operations = [
        migrations.AddField(
            model_name="owneranswer",
            name="country_code",
            field=models.CharField(blank=True, db_default="", max_length=2),
        ),
        migrations.AddField(
            model_name="owneranswer",
            name="party_id",
            field=models.CharField(blank=True, db_default="", max_length=5),
        ),
    ]
