from django.db import migrations, models

HELP = "its customer or depot chose the EVSE: it is not moved to make room for others"


class Migration(migrations.Migration):
    """What was booked before may have asked for its EVSE, and stays."""

    dependencies = [("bookings", "0062_asked_in_energy")]

    operations = [
        migrations.AddField("booking", "is_evse_asked", models.BooleanField(default=True, help_text=HELP)),
        migrations.AlterField("booking", "is_evse_asked", models.BooleanField(default=False, help_text=HELP)),
    ]
