from importlib import import_module

from django.db import migrations

before = import_module("depots.migrations.0036_bays_are_configuration")
# What partners are told of an EVSE (roaming/outbound/shown_changes.py compares configurations by version).
NOW = (
    *before.NOW, "public_id", "floor_level", "physical_reference", "parking_restrictions", "bay_direction", "is_roofed", "is_lit",
)  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("depots", "0037_authorization_reference")]

    operations = [migrations.RunSQL(before.counted(NOW), before.counted(before.NOW))]
