import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0051_received_records"),
        ("depots", "0037_authorization_reference"),
    ]

    operations = [
        migrations.AlterField(
            model_name="token",
            name="vehicle",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="tokens",
                to="bookings.vehicle",
            ),
        ),
        migrations.AddIndex(
            model_name="token",
            index=models.Index(
                condition=models.Q(("vehicle__isnull", False)), fields=["vehicle"], name="token_vehicle"
            ),
        ),
        # Each full list of a network marks all its tokens as told of: a row finds room beside itself, and no index is written.
        migrations.RunSQL(
            "ALTER TABLE bookings_token SET (fillfactor = 50)",
            "ALTER TABLE bookings_token RESET (fillfactor)",
        ),
    ]
