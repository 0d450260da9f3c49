import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

import depots.cards


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0047_limits_told_as_they_are_set"),
        ("depots", "0037_authorization_reference"),
    ]

    operations = [
        migrations.CreateModel(
            name="OwnerAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.CharField(max_length=64)),
                ("type", models.CharField(blank=True, max_length=12)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("allowed", "It may charge"),
                            ("blocked", "It is blocked"),
                            ("expired", "It has expired"),
                            ("no_credit", "Its holder has no credit"),
                            ("not_allowed", "It may not charge here"),
                            ("unknown", "Nobody knows it"),
                            ("silent", "Nobody answered"),
                        ],
                        max_length=11,
                    ),
                ),
                ("reference", models.CharField(blank=True, max_length=64)),
                (
                    "evse_uids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64), blank=True, default=list, size=None
                    ),
                ),
                ("info", models.CharField(blank=True, max_length=512)),
                ("answered_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="token",
            name="token_once",
        ),
        migrations.AddField(
            model_name="token",
            name="country_code",
            field=models.CharField(blank=True, editable=False, max_length=2),
        ),
        migrations.AddField(
            model_name="token",
            name="heard_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="token",
            name="owner_check",
            field=models.CharField(
                choices=[
                    ("never", "Never: what the network told of it counts"),
                    ("may", "Not needed: what the network told of it counts"),
                    ("should", "Each time, as far as the network answers"),
                    ("must", "Each time, and without an answer it does not charge"),
                ],
                default="never",
                editable=False,
                max_length=6,
            ),
        ),
        migrations.AddField(
            model_name="token",
            name="party_id",
            field=models.CharField(blank=True, editable=False, max_length=5),
        ),
        migrations.AddField(
            model_name="token",
            name="told",
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="token",
            name="told_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="token",
            name="updated_at",
            field=models.DateTimeField(auto_now=True),
        ),
        migrations.AddField(
            model_name="token",
            name="version",
            field=models.BigIntegerField(default=1, editable=False),
        ),
        migrations.AddConstraint(
            model_name="token",
            constraint=models.UniqueConstraint(
                models.F("fleet"),
                depots.cards.CardNumber("uid"),
                models.F("type"),
                condition=models.Q(("told__isnull", True)),
                name="token_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="token",
            constraint=models.UniqueConstraint(
                models.F("fleet"),
                django.db.models.functions.text.Upper("country_code"),
                django.db.models.functions.text.Upper("party_id"),
                django.db.models.functions.text.Upper("uid"),
                models.F("type"),
                condition=models.Q(("told__isnull", False)),
                name="network_token_once",
            ),
        ),
        migrations.AddField(
            model_name="owneranswer",
            name="charger",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="owner_answers", to="depots.charger"
            ),
        ),
        migrations.AddField(
            model_name="owneranswer",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="depots.organisation",
            ),
        ),
        migrations.AddConstraint(
            model_name="owneranswer",
            constraint=models.UniqueConstraint(
                fields=("charger", "number", "type"), name="owner_answer_once"
            ),
        ),
    ]
