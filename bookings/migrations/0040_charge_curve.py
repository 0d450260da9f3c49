from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bookings", "0039_steps_of_profiles")]

    operations = [
        migrations.AddField(
            model_name="vehicle",
            name="charge_curve",
            field=ArrayField(
                base_field=ArrayField(base_field=models.PositiveIntegerField(), size=2),
                blank=True,
                default=list,
                help_text="(percent, watts), see bookings.rules.charge_curve; empty is not known",
                size=None,
            ),
        ),
    ]
