from __future__ import annotations

from importlib import import_module

from django.db import migrations

counting = import_module("depots.migrations.0006_configuration_version")

OWNER = "bookings_depot_of_agreement(r.agreement_id)"


class Migration(migrations.Migration):
    dependencies = [("bookings", "0021_reminders_before_they_are_sent")]

    operations = [counting.counted("bookings_paymentterms", OWNER, counting.ANY_COLUMN)]
