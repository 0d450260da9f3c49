from django.db import migrations, models

# Every event so far raised its booking's version by one: counted back from the version the booking has now.
NUMBER = """
UPDATE bookings_bookingevent event SET version = counted.version
FROM (
    SELECT e.id, b.version + 1 - row_number() OVER (PARTITION BY e.booking_id ORDER BY e.id DESC) AS version
    FROM bookings_bookingevent e JOIN bookings_booking b ON b.id = e.booking_id
) counted
WHERE counted.id = event.id
"""


class Migration(migrations.Migration):
    dependencies = [("bookings", "0004_groups_visits_and_card_numbers")]

    operations = [
        migrations.AddField(
            model_name="bookingevent",
            name="version",
            field=models.BigIntegerField(default=0),
        ),
        migrations.RunSQL(NUMBER, migrations.RunSQL.noop),
    ]
