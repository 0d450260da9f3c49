import uuid
from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

# A movement changes what is available, and what its booking has reserved, in its own statement: neither can part from their
# sum, and neither can fall below zero (checks). Updated before it is inserted: an insert below zero is refused before it could
# find that there is a row.
KEEP_BALANCE = """
CREATE FUNCTION bookings_prepaidentry_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE bookings_prepaidbalance b SET available = b.available + NEW.amount
    WHERE b.operator_id = NEW.operator_id AND b.customer_id = NEW.customer_id AND b.currency = NEW.currency;
    IF NOT FOUND THEN
        INSERT INTO bookings_prepaidbalance (operator_id, customer_id, currency, available)
        VALUES (NEW.operator_id, NEW.customer_id, NEW.currency, NEW.amount)
        ON CONFLICT (operator_id, customer_id, currency)
        DO UPDATE SET available = bookings_prepaidbalance.available + excluded.available;
    END IF;
    IF NEW.kind IN ('reserved', 'released') THEN
        UPDATE bookings_bookingpayment SET reserved = reserved - NEW.amount
        WHERE booking_id = NEW.booking_id AND provider = 'prepaid' AND currency = NEW.currency;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'booking % has no payment from the prepaid balance', NEW.booking_id
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'prepaid_entry_about';
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bookings_prepaidentry_balance AFTER INSERT ON bookings_prepaidentry
FOR EACH ROW EXECUTE FUNCTION bookings_prepaidentry_balance();
INSERT INTO bookings_prepaidbalance (operator_id, customer_id, currency, available)
SELECT operator_id, customer_id, currency, sum(amount) FROM bookings_prepaidentry GROUP BY 1, 2, 3;
"""
DROP_BALANCE = """
DROP TRIGGER bookings_prepaidentry_balance ON bookings_prepaidentry;
DROP FUNCTION bookings_prepaidentry_balance();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0026_payments_taken_back"),
        ("depots", "0012_sepa_creditor_id"),
    ]

    operations = [
        migrations.CreateModel(
            name="BookingPayment",
            fields=[
                (
                    "booking",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="payment",
                        serialize=False,
                        to="bookings.booking",
                    ),
                ),
                (
                    "before",
                    models.CharField(
                        choices=[
                            ("nothing", "Nothing"),
                            ("prepayment", "Prepayment"),
                            ("guarantee", "A guarantee"),
                        ],
                        max_length=10,
                    ),
                ),
                ("provider", models.CharField(max_length=30)),
                ("payment_min", models.PositiveSmallIntegerField()),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("amount", models.DecimalField(decimal_places=4, max_digits=14)),
                ("reserved", models.DecimalField(decimal_places=4, default=Decimal(0), max_digits=14)),
                ("settles", models.DecimalField(decimal_places=4, default=Decimal(0), max_digits=14)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("planned", "Not asked for yet"),
                            ("asked", "Waited for"),
                            ("secured", "Secured"),
                            ("refused", "Refused"),
                            ("released", "Given back"),
                            ("used", "Used"),
                        ],
                        default="planned",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("key", models.UUIDField(default=uuid.uuid4, editable=False)),
                ("reference", models.CharField(blank=True, max_length=140)),
                ("url", models.URLField(blank=True, max_length=500)),
                ("asked_at", models.DateTimeField(blank=True, null=True)),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("approved_at", models.DateTimeField(blank=True, null=True)),
                ("changed_at", models.DateTimeField()),
                (
                    "owed",
                    models.CharField(
                        blank=True,
                        choices=[("secure", "Ask"), ("settle", "Take"), ("release", "Give back")],
                        max_length=7,
                    ),
                ),
                ("next_try_at", models.DateTimeField(blank=True, null=True)),
                ("calling_until", models.DateTimeField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="PrepaidBalance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("currency", models.CharField(max_length=3)),
                ("available", models.DecimalField(decimal_places=4, default=Decimal(0), max_digits=14)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="prepaidentry",
            name="prepaid_once",
        ),
        migrations.RemoveConstraint(
            model_name="prepaidentry",
            name="top_up_once",
        ),
        migrations.AddField(
            model_name="paymentterms",
            name="payment_min",
            field=models.PositiveSmallIntegerField(default=60),
        ),
        migrations.AddField(
            model_name="paymentterms",
            name="provider",
            field=models.CharField(default="prepaid", max_length=30),
        ),
        migrations.AlterField(
            model_name="payment",
            name="means",
            field=models.CharField(
                choices=[
                    ("transfer", "Transfer"),
                    ("direct_debit", "Direct debit"),
                    ("prepaid", "Prepaid balance"),
                    ("provider", "Payment provider"),
                    ("credit_note", "Credit note"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="prepaidentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("top_up", "Paid in"),
                    ("reserved", "Reserved for a booking"),
                    ("released", "Given back"),
                    ("settled", "Used for an invoice"),
                    ("paid_out", "Paid out"),
                ],
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentterms",
            constraint=models.CheckConstraint(
                condition=models.Q(("payment_min__gt", 0)), name="payment_min_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="prepaidentry",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind__in", ["top_up", "paid_out"]), models.Q(("reference", ""), _negated=True)
                ),
                fields=("operator", "customer", "kind", "reference"),
                name="top_up_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="prepaidentry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "settled")), fields=("booking",), name="prepaid_settles_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="prepaidentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount__gt", 0), ("kind__in", ["top_up", "released"])),
                    models.Q(("amount__lt", 0), ("kind__in", ["reserved", "settled", "paid_out"])),
                    _connector="OR",
                ),
                name="prepaid_entry_signed",
            ),
        ),
        migrations.AddConstraint(
            model_name="prepaidentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("booking__isnull", False), ("kind__in", ["reserved", "released"])),
                    models.Q(("booking__isnull", False), ("invoice__isnull", False), ("kind", "settled")),
                    models.Q(
                        ("booking__isnull", True),
                        ("invoice__isnull", True),
                        ("kind__in", ["top_up", "paid_out"]),
                    ),
                    _connector="OR",
                ),
                name="prepaid_entry_about",
            ),
        ),
        migrations.AddField(
            model_name="bookingpayment",
            name="customer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="depots.organisation",
            ),
        ),
        migrations.AddField(
            model_name="bookingpayment",
            name="invoice",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="bookings.invoice",
            ),
        ),
        migrations.AddField(
            model_name="bookingpayment",
            name="operator",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="depots.organisation",
            ),
        ),
        migrations.AddField(
            model_name="prepaidbalance",
            name="customer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="prepaid_balances",
                to="depots.organisation",
            ),
        ),
        migrations.AddField(
            model_name="prepaidbalance",
            name="operator",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="prepaid_of_customers",
                to="depots.organisation",
            ),
        ),
        migrations.AddIndex(
            model_name="bookingpayment",
            index=models.Index(
                condition=models.Q(("status__in", ["planned", "asked", "secured"])),
                fields=["operator", "customer", "currency"],
                name="booking_payment_live",
            ),
        ),
        migrations.AddIndex(
            model_name="bookingpayment",
            index=models.Index(
                condition=models.Q(("next_try_at__isnull", False)),
                fields=["next_try_at"],
                name="booking_payment_owed",
            ),
        ),
        migrations.AddIndex(
            model_name="bookingpayment",
            index=models.Index(
                condition=models.Q(("status", "secured")),
                fields=["invoice"],
                name="booking_payment_of_invoice",
            ),
        ),
        migrations.AddConstraint(
            model_name="bookingpayment",
            constraint=models.UniqueConstraint(fields=("key",), name="booking_payment_key_once"),
        ),
        migrations.AddConstraint(
            model_name="bookingpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["planned", "asked", "secured", "refused", "released", "used"])
                ),
                name="booking_payment_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="bookingpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gte", 0)), name="booking_payment_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="bookingpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("reserved", 0),
                    models.Q(
                        ("reserved__gt", 0), ("reserved__lte", models.F("amount")), ("status", "secured")
                    ),
                    _connector="OR",
                ),
                name="booking_payment_reserved_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="bookingpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "asked"), _negated=True), ("until__isnull", False), _connector="OR"
                ),
                name="booking_payment_has_deadline",
            ),
        ),
        migrations.AddConstraint(
            model_name="bookingpayment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("next_try_at__isnull", True), ("owed", "")),
                    models.Q(("next_try_at__isnull", False), ("owed__in", ["secure", "settle", "release"])),
                    _connector="OR",
                ),
                name="booking_payment_owed_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="prepaidbalance",
            constraint=models.UniqueConstraint(
                fields=("operator", "customer", "currency"), name="prepaid_balance_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="prepaidbalance",
            constraint=models.CheckConstraint(
                condition=models.Q(("available__gte", 0)), name="prepaid_balance_not_negative"
            ),
        ),
        migrations.RunSQL(KEEP_BALANCE, DROP_BALANCE),
    ]
