from typing import Any

from django.db import migrations, models

from depots.name_keys import NameKey, set_apart


def write_keys(apps: Any, schema_editor: Any) -> None:
    """Of two organisations whose names differ by capitals alone the newer one is set apart by a number."""
    rows = apps.get_model("depots", "Organisation").objects
    renamed = set_apart(rows.order_by("pk").values_list("pk", "name"), longest=100)
    for row in rows.order_by("pk"):
        row.name = renamed.get(row.pk, row.name)
        row.save(update_fields=["name", "name_key", "legal_name_key"])


def write_small_letters(apps: Any, schema_editor: Any) -> None:
    """Two people with one address are one: the older account gets the roles of the newer, which nobody can sign in with any more."""
    users, memberships = (
        apps.get_model("depots", "User").objects,
        apps.get_model("depots", "Membership").objects,
    )
    known: dict[str, list[int]] = {}
    for pk, address in users.order_by("pk").values_list("pk", "email"):
        known.setdefault(address.lower(), []).append(pk)
    for address, (oldest, *newer) in known.items():
        for role in memberships.filter(user__in=newer):
            memberships.get_or_create(user_id=oldest, organisation_id=role.organisation_id, role=role.role)
        memberships.filter(user__in=newer).delete()
        for pk in newer:
            users.filter(pk=pk).update(is_active=False, email=f"{pk}.{address}"[:254])
        users.filter(pk=oldest).exclude(email=address).update(email=address)


class Migration(migrations.Migration):
    dependencies = [("depots", "0033_offline_by_gateway")]

    operations = [
        migrations.AddField("organisation", "name_key", NameKey("name", default=""), preserve_default=False),
        migrations.AddField(
            "organisation", "legal_name_key",
            NameKey("legal_name", blank=True, max_length=600, default=""), preserve_default=False,
        ),
        migrations.RunPython(write_keys, migrations.RunPython.noop),
        migrations.RunPython(write_small_letters, migrations.RunPython.noop),
        migrations.RemoveConstraint("organisation", "organisation_name_once"),
        migrations.AddConstraint(
            "organisation", models.UniqueConstraint(fields=["name_key"], name="organisation_name_once")
        ),
    ]  # fmt: skip
