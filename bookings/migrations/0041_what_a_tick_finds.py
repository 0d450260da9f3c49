import django.db.models.fields.json
import django.db.models.functions.comparison
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built beside bookings that are made meanwhile

    dependencies = [
        ("bookings", "0040_charge_curve"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="booking",
            index=models.Index(
                condition=models.Q(("enforcement", "at_risk"), ("status", "confirmed")),
                fields=["starts_at"],
                name="booking_at_risk",
            ),
        ),
        AddIndexConcurrently(
            model_name="booking",
            index=models.Index(
                django.db.models.functions.comparison.Greatest(
                    django.db.models.functions.comparison.Cast(
                        django.db.models.fields.json.KeyTextTransform("arm_lead_min", "terms_json"),
                        models.IntegerField(),
                    ),
                    django.db.models.functions.comparison.Cast(
                        django.db.models.fields.json.KeyTextTransform("early_start_min", "terms_json"),
                        models.IntegerField(),
                    ),
                ),
                condition=models.Q(("enforcement", "not_due"), ("status", "confirmed")),
                name="booking_lead",
            ),
        ),
    ]
