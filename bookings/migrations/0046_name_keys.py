from typing import Any

from django.db import migrations, models
from django.db.models import Q

from depots.name_keys import NameKey, name_key, set_apart


def write_plates(apps: Any, schema_editor: Any) -> None:
    """Of two vehicles of a fleet whose plates differ by capitals alone the newer one is set apart by a number: its bookings, tokens
    and records stay its own, and who keeps the fleet sees both."""
    rows = apps.get_model("bookings", "Vehicle").objects
    for fleet in rows.order_by("fleet").values_list("fleet", flat=True).distinct():
        own = rows.filter(fleet=fleet).order_by("pk")
        renamed = set_apart(own.values_list("pk", "plate"), longest=20)
        for row in own:
            row.plate = renamed.get(row.pk, row.plate)
            row.save(update_fields=["plate", "plate_key"])


def write_senders(apps: Any, schema_editor: Any) -> None:
    """Of an invoice that was entered twice the one counts that is furthest: the other is withdrawn, with the reason."""
    rows = apps.get_model("bookings", "IncomingInvoice").objects
    seen: set[tuple[int, str, str]] = set()
    for row in rows.defer("file", "told").order_by(models.F("paid_on").asc(nulls_last=True), "pk"):
        key = (row.recipient_id, name_key(row.sender_name), name_key(row.number))
        if key in seen and row.state != "withdrawn":
            row.state, row.paid_on, row.said = "withdrawn", None, "It was entered twice."
            row.version += 1
        seen |= {key} if row.state != "withdrawn" else set()
        row.save(update_fields=["state", "paid_on", "said", "version", "sender_key", "number_key"])


class Migration(migrations.Migration):
    dependencies = [("bookings", "0045_power_promised"), ("depots", "0034_name_keys")]

    operations = [
        migrations.AddField("vehicle", "plate_key", NameKey("plate", default=""), preserve_default=False),
        migrations.AddField(
            "incominginvoice", "sender_key", NameKey("sender_name", default=""), preserve_default=False
        ),
        migrations.AddField(
            "incominginvoice", "number_key", NameKey("number", max_length=800, default=""), preserve_default=False
        ),
        migrations.RunPython(write_plates, migrations.RunPython.noop),
        migrations.RunPython(write_senders, migrations.RunPython.noop),
        migrations.RemoveConstraint("vehicle", "vehicle_plate_once"),
        migrations.AddConstraint(
            "vehicle", models.UniqueConstraint(fields=["fleet", "plate_key"], name="vehicle_plate_once")
        ),
        migrations.RemoveConstraint("incominginvoice", "incoming_invoice_once"),
        migrations.AddConstraint(
            "incominginvoice",
            models.UniqueConstraint(
                fields=["recipient", "sender_key", "number_key"], name="incoming_invoice_once",
                condition=~Q(state="withdrawn"),
            ),
        ),
    ]  # fmt: skip
