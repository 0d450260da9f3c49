import django.db.models.functions.text
from django.db import migrations, models

_OF_REVERSE_INVOICES = """
UPDATE bookings_invoicereconciliationrecord r SET is_reverse = true
FROM bookings_invoice i WHERE i.id = r.invoice_id AND i.is_reverse
"""


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0054_indexes_begun_by_others"),
        ("depots", "0038_descriptions_are_configuration"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="invoicereconciliationrecord",
            name="reconciliation_record_once",
        ),
        migrations.AddField(
            model_name="invoicereconciliationrecord",
            name="is_reverse",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunSQL(_OF_REVERSE_INVOICES, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="invoicereconciliationrecord",
            name="owner_party",
            field=models.CharField(blank=True, db_default="", max_length=8),
        ),
        migrations.AlterField(
            model_name="invoicereconciliationrecord",
            name="code",
            field=models.CharField(max_length=64),
        ),
        migrations.AddConstraint(
            model_name="invoicereconciliationrecord",
            constraint=models.UniqueConstraint(
                models.F("owner"),
                django.db.models.functions.text.Upper("owner_party"),
                django.db.models.functions.text.Upper("code"),
                name="reconciliation_record_once",
            ),
        ),
    ]
