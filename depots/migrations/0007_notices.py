from __future__ import annotations

import django.db.models.lookups
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("depots", "0006_configuration_version")]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("channel", models.CharField(max_length=63)),
                ("payload", models.TextField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="notice_can_be_notified",
                        condition=models.Q(
                            models.Q(("channel", ""), _negated=True),
                            django.db.models.lookups.LessThan(
                                models.Func(
                                    "payload", function="octet_length", output_field=models.IntegerField()
                                ),
                                8000,
                            ),
                        ),
                    )
                ],
            },
        ),
        # A crash ends all that listen, and who listens again looks at everything: the rows before it are of no use then.
        migrations.RunSQL("ALTER TABLE depots_notice SET UNLOGGED", migrations.RunSQL.noop),
    ]
