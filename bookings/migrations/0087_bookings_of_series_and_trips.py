from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models


def _built(
    name: str, create: str, state: migrations.operations.base.Operation
) -> migrations.SeparateDatabaseAndState:
    """Beside bookings that are made meanwhile. One that broke off half built is taken away first."""
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    return migrations.SeparateDatabaseAndState([migrations.RunSQL([drop, create], drop)], [state])


ONCE = """
CREATE UNIQUE INDEX CONCURRENTLY booking_of_series_once
ON bookings_booking (series_id, series_date) WHERE series_id IS NOT NULL
"""
OF_TRIP = "CREATE INDEX CONCURRENTLY booking_of_trip ON bookings_booking (trip_id) WHERE trip_id IS NOT NULL"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("bookings", "0079_outcomes_of_closures")]

    operations = [
        _built(
            "booking_of_series_once",
            ONCE,
            migrations.AddConstraint(
                model_name="booking",
                constraint=models.UniqueConstraint(
                    condition=models.Q(("series__isnull", False)),
                    fields=("series", "series_date"),
                    name="booking_of_series_once",
                ),
            ),
        ),
        _built(
            "booking_of_trip",
            OF_TRIP,
            migrations.AddIndex(
                model_name="booking",
                index=models.Index(
                    condition=models.Q(("trip__isnull", False)), fields=["trip"], name="booking_of_trip"
                ),
            ),
        ),
        ValidateConstraint(model_name="booking", name="booking_of_series_dated"),
    ]
