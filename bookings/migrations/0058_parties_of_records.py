"""Which of a network's parties issued a record: two of them may use one id."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Concat, Upper

# As 0051 has it; before a row is written its generated columns are not there yet.
FUNCTION = """
CREATE OR REPLACE FUNCTION bookings_chargedetailrecord_issued() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE later text[] := {later};
BEGIN
    IF TG_OP = 'DELETE' OR (to_jsonb(OLD) - later) <> (to_jsonb(NEW) - later) THEN
        RAISE EXCEPTION 'bookings_chargedetailrecord % was issued and is never changed', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'cdr_issued';
    END IF;
    RETURN NEW;
END $$;
"""
LATER = """CASE WHEN OLD.received IS NOT NULL AND OLD.booking_id IS NULL
    THEN ARRAY['booking_id', 'vehicle_id', 'plate'{party}] ELSE ARRAY[{party_alone}]::text[] END"""
TEXT = models.TextField()
NONE = models.Value("", TEXT)
PARTY = Upper(Concat(KT("place__country_code"), models.Value("*", TEXT), KT("place__party_id")))


class Migration(migrations.Migration):
    dependencies = [("bookings", "0057_partners_without_bookings")]

    operations = [
        migrations.RunSQL(
            FUNCTION.format(later=LATER.format(party=", 'party'", party_alone="'party'")),
            FUNCTION.format(later=LATER.format(party="", party_alone="")),
        ),
        migrations.RemoveConstraint(model_name="chargedetailrecord", name="cdr_code_once"),
        migrations.AddField(
            model_name="chargedetailrecord",
            name="party",
            field=models.GeneratedField(
                expression=models.Case(
                    models.When(received__isnull=True, then=NONE),
                    default=Coalesce(PARTY, NONE),
                ),
                output_field=models.CharField(max_length=8),
                db_persist=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="chargedetailrecord",
            constraint=models.UniqueConstraint(
                models.F("operator"), models.F("party"), Upper("code"), name="cdr_code_once"
            ),
        ),
    ]
