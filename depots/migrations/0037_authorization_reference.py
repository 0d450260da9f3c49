from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("depots", "0036_bays_are_configuration"),
    ]

    operations = [
        migrations.AddField(
            model_name="chargingsession",
            name="authorization_reference",
            field=models.CharField(
                blank=True, help_text="by which whoever issued its token let it charge", max_length=64
            ),
        ),
    ]
