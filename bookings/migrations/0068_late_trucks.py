from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bookings", "0067_agreement_proposals")]

    operations = [
        migrations.AddField(
            "booking",
            "late_from",
            models.DateTimeField(
                blank=True,
                help_text="the start that deadlines count from, where it slid after them",
                null=True,
            ),
        ),
    ]
