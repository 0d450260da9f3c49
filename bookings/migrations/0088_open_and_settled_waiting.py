from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False  # built beside those who join meanwhile

    dependencies = [("bookings", "0087_bookings_of_series_and_trips")]

    operations = [
        AddIndexConcurrently(
            model_name="waitlistentry",
            index=models.Index(
                fields=["fleet", "asked_at", "id"],
                name="waitlist_open",
                condition=Q(status__in=["waiting", "offered"]),
            ),
        ),
        AddIndexConcurrently(
            model_name="waitlistentry",
            index=models.Index(
                fields=["fleet", "-settled_at", "-id"],
                name="waitlist_settled",
                condition=Q(settled_at__isnull=False),
            ),
        ),
        AddIndexConcurrently(
            model_name="waitlistentry",
            index=models.Index(
                fields=["settled_at"], name="waitlist_forgotten", condition=Q(settled_at__isnull=False)
            ),
        ),
    ]
