from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bookings", "0013_a_request_id_is_found_by_itself")]

    operations = [migrations.RenameModel("Tariff", "FlatTariff")]
