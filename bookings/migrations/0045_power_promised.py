from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bookings", "0044_lifted_limits")]

    operations = [migrations.RenameField("evsepower", "floor_w", "promised_w")]
