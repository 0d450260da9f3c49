from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built beside bookings that are made meanwhile

    dependencies = [("bookings", "0077_untold_events")]

    operations = [
        AddIndexConcurrently(
            model_name="booking",
            index=models.Index(fields=["fleet", "updated_at", "id"], name="booking_by_change"),
        ),
    ]
