import django.db.models.deletion
from django.db import IntegrityError, migrations, models, transaction
from django.db.models import F
from django.utils import timezone

import bookings.models.bookings
from depots.cards import CardNumber, card_number

# One statement: rows written twice in a transaction wait for their foreign keys, and no table is altered meanwhile.
# gen_random_uuid is cryptographically strong; its 19 digits hold one fixed one, so 72 bits. What stands at chargers names
# the old, guessable groups: it is due to be replaced, by the same id.
FILL = """
    UPDATE bookings_booking SET
        "group" = 'G' || upper(left(replace(gen_random_uuid()::text, '-', ''), 19)),
        next_try_at = CASE
            WHEN status = 'confirmed' AND armed_evse_id IS NOT NULL AND enforcement IN ('due', 'armed', 'at_risk')
            THEN %s ELSE next_try_at
        END,
        metered_wh = (
            SELECT coalesce(meter_stop_wh, meter_last_wh) - meter_start_wh FROM depots_chargingsession
            WHERE depots_chargingsession.id = session_id AND ended_at IS NOT NULL
              AND coalesce(meter_stop_wh, meter_last_wh) >= meter_start_wh
        )
"""

# Two spellings of one card of one fleet become one token: the oldest, blocked if any of them was.
SPELLINGS = """
    WITH spelt AS (
        SELECT id, vehicle_id, is_blocked,
               first_value(id) OVER same AS kept_id,
               bool_or(is_blocked) OVER (PARTITION BY fleet_id, type, upper(regexp_replace(uid, '[\\s:-]', '', 'g')))
                   AS is_any_blocked
        FROM bookings_token
        WINDOW same AS (
            PARTITION BY fleet_id, type, upper(regexp_replace(uid, '[\\s:-]', '', 'g')) ORDER BY id
        )
    ), kept AS (
        UPDATE bookings_token SET is_blocked = spelt.is_any_blocked
        FROM spelt WHERE spelt.id = bookings_token.id AND spelt.id = spelt.kept_id
    )
    DELETE FROM bookings_token USING spelt WHERE spelt.id = bookings_token.id AND spelt.id <> spelt.kept_id
"""

VISITS = """
    INSERT INTO bookings_bookingsession (booking_id, session_id)
    SELECT id, session_id FROM bookings_booking WHERE session_id IS NOT NULL
"""


def claim_by_number(apps, schema_editor):
    """Claims name the card as it is compared now. Two that have been overlapping by other spellings stand."""
    spelt = {"token_key__regex": r"[\s:-]"}
    for claim in apps.get_model("bookings", "Claim").objects.filter(**spelt).iterator():
        claim.token_key = card_number(claim.token_key)
        try:
            with transaction.atomic():
                claim.save(update_fields=["token_key"])
        except IntegrityError:
            continue


def fill(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(FILL, [timezone.now()])


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0003_terms_within_limits"),
        ("depots", "0004_told_status_and_commands"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="token", name="token_once"),
        migrations.RunSQL(SPELLINGS, migrations.RunSQL.noop),
        migrations.AddIndex(model_name="token", index=models.Index(CardNumber("uid"), name="token_uid")),
        migrations.AddConstraint(
            model_name="token",
            constraint=models.UniqueConstraint(F("fleet"), CardNumber("uid"), F("type"), name="token_once"),
        ),
        migrations.RemoveIndex(model_name="bookingtoken", name="booking_token_uid"),
        migrations.AddIndex(
            model_name="bookingtoken", index=models.Index(CardNumber("uid"), name="booking_token_card")
        ),
        migrations.RunPython(claim_by_number, migrations.RunPython.noop),
        migrations.AddField(
            model_name="booking",
            name="group",
            field=models.CharField(
                default="",
                editable=False,
                help_text="what its tokens have in common at chargers",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="booking", name="interrupted_at", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="booking", name="interrupted_why", field=models.CharField(blank=True, max_length=20)
        ),
        migrations.AddField(
            model_name="booking",
            name="metered_wh",
            field=models.BigIntegerField(
                blank=True,
                editable=False,
                help_text="by all its sessions that have ended; null is not known",
                null=True,
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="booking",
            name="group",
            field=models.CharField(
                default=bookings.models.bookings.new_group,
                editable=False,
                help_text="what its tokens have in common at chargers",
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="booking",
            constraint=models.UniqueConstraint(fields=["group"], name="booking_group_once"),
        ),
        migrations.CreateModel(
            name="BookingSession",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "booking",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visits",
                        to="bookings.booking",
                    ),
                ),
                (
                    "session",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visit",
                        to="depots.chargingsession",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(VISITS, migrations.RunSQL.noop),
    ]
