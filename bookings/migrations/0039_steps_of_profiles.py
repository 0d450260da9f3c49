"""A charging profile may rise as well as fall with time."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bookings", "0038_words_of_power")]

    operations = [
        migrations.RenameField("chargingprofile", f"{kind}_falls", f"{kind}_steps")
        for kind in ("sent", "unclear", "accepted")
    ]
