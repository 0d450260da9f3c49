"""A partner's depot that is known by its id alone has no place and no clock: nobody books it until it has been read."""

from typing import Any

from django.db import migrations
from django.db.models import F


def withdraw_stubs(apps: Any, schema_editor: Any) -> None:
    depots = apps.get_model("depots", "Depot").objects
    stubs = depots.filter(is_mirror=True, latitude__isnull=True, address="", name=F("location_id"))
    stubs.update(is_withdrawn=True)


class Migration(migrations.Migration):
    dependencies = [("roaming", "0002_sending"), ("depots", "0001_initial")]

    operations = [migrations.RunPython(withdraw_stubs, migrations.RunPython.noop)]
