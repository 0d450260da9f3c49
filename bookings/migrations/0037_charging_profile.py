import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0036_power_that_expires"),
    ]

    operations = [
        migrations.RenameModel("PowerProfile", "ChargingProfile"),
        migrations.AlterField(
            model_name="chargingprofile",
            name="evse",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="charging_profiles",
                to="depots.evse",
            ),
        ),
    ]
