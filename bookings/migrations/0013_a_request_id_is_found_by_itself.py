import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0012_indexes_of_live_rows"),
        ("depots", "0009_relays_are_woken"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="booking",
            name="booking_request_id_once",
        ),
        migrations.AddConstraint(
            model_name="booking",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Upper("request_id"),
                models.F("fleet"),
                django.db.models.functions.text.Upper("customer_country"),
                django.db.models.functions.text.Upper("customer_party"),
                name="booking_request_id_once",
            ),
        ),
    ]
