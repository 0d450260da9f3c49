from importlib import import_module

import django.contrib.postgres.fields
from django.db import migrations, models

counted = import_module("depots.migrations.0036_bays_are_configuration").counted
before = import_module("depots.migrations.0038_descriptions_are_configuration")
# Whether trailers fit and where its cable reaches is configuration of an EVSE, too.
NOW = (*before.NOW, "takes_trailers", "inlet_sides")


class Migration(migrations.Migration):
    dependencies = [
        ("depots", "0044_listed_depots"),
    ]

    operations = [
        migrations.AddField(
            model_name="evse",
            name="inlet_sides",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=5),
                blank=True,
                default=list,
                help_text="where its cable reaches a vehicle's inlet, of depots.standards.SIDES; none is not known",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="evse",
            name="takes_trailers",
            field=models.BooleanField(blank=True, help_text="null is not known", null=True),
        ),
        migrations.RunSQL(counted(NOW), counted(before.NOW)),
    ]
