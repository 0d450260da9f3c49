"""Each list of a partner is read at times of its own."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

READ_SO_FAR = ("location", "booking_location", "booking")


def plan_lists(apps: Any, schema_editor: Any) -> None:
    pulls = apps.get_model("roaming", "PartnerPull").objects
    read = apps.get_model("roaming", "Partner").objects.filter(next_pull_at__isnull=False)
    pulls.bulk_create(
        pulls.model(
            partner=partner,
            module=name,
            next_at=partner.next_pull_at,
            read_at=partner.pulled_at,
            completed_at=partner.pulled_at,
            failures=partner.pull_failures,
        )
        for partner in read
        for name in READ_SO_FAR
    )


class Migration(migrations.Migration):
    dependencies = [("roaming", "0005_kinds_of_deliveries")]

    operations = [
        migrations.CreateModel(
            name="PartnerPull",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "module",
                    models.CharField(help_text="a name of roaming.outbound.reader_table", max_length=30),
                ),
                (
                    "next_at",
                    models.DateTimeField(
                        blank=True, help_text="null for a list that the partner has not", null=True
                    ),
                ),
                (
                    "wants_all",
                    models.BooleanField(default=False, help_text="next time all of it, not what changed"),
                ),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                (
                    "read_at",
                    models.DateTimeField(
                        blank=True, help_text="start of the last crawl that came to its end", null=True
                    ),
                ),
                (
                    "completed_at",
                    models.DateTimeField(blank=True, help_text="of the last one without a filter", null=True),
                ),
                ("failures", models.PositiveIntegerField(default=0, help_text="in a row")),
                ("last_error", models.CharField(blank=True, max_length=300)),
                (
                    "partner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pulls",
                        to="roaming.partner",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=["partner", "module"], name="pull_once")],
                "indexes": [
                    models.Index(condition=Q(next_at__isnull=False), fields=["next_at"], name="pull_due")
                ],
            },
        ),
        migrations.AddField(
            model_name="partner",
            name="next_resync_at",
            field=models.DateTimeField(
                blank=True, help_text="when all is told and read again, every night", null=True
            ),
        ),
        migrations.RunPython(plan_lists, migrations.RunPython.noop),
        *[
            migrations.RemoveField(model_name="partner", name=name)
            for name in ("next_pull_at", "pull_failures", "pull_leased_until", "pulled_at")
        ],
    ]
