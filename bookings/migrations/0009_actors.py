"""An actor is kept with its kind. What was one text is told apart here once and for all: of old rows the kind of a person
is not known, `partner DE*ABC` and `charger CP-1` keep what follows the word."""

from django.db import migrations, models

KINDS = [
    ("dispatcher", "Dispatcher of the fleet"),
    ("manager", "Manager of the depot"),
    ("person", "Person, of which side is not known"),
    ("partner", "Partner network"),
    ("charger", "Charger"),
    ("command", "Operator command"),
    ("berth", "Berth itself"),
]
COLUMNS = {
    "bookings_bookingevent": ["actor"],
    "bookings_bookingrequest": ["asked_by", "decided_by"],
    "bookings_closure": ["created_by"],
}
TELL_APART = """
    UPDATE {table} SET
        {name}_kind = CASE
            WHEN {name} LIKE '%%@%%' THEN 'person'
            WHEN {name} = 'partner' OR {name} LIKE 'partner %%' THEN 'partner'
            WHEN {name} = 'charger' OR {name} LIKE 'charger %%' THEN 'charger'
            WHEN {name} IN ('operator command', 'demo') THEN 'command'
            WHEN {name} IN ('scheduler', 'enforcement', 'rule', '') THEN 'berth'
            ELSE 'person'
        END,
        {name} = CASE
            WHEN {name} LIKE '%%@%%' THEN {name}
            ELSE regexp_replace({name}, '^(partner|charger)( |$)', '')
        END
    WHERE {name}_kind = '' {only}
"""
PUT_TOGETHER = """
    UPDATE {table} SET {name} = trim({name}_kind || ' ' || {name}) WHERE {name}_kind IN ('partner', 'charger')
"""


def tell_apart(apps, schema_editor):
    for table, names in COLUMNS.items():
        for name in names:
            only = "AND decided_by <> ''" if name == "decided_by" else ""
            schema_editor.execute(TELL_APART.format(table=table, name=name, only=only), ())


def put_together(apps, schema_editor):
    for table, names in COLUMNS.items():
        for name in names:
            schema_editor.execute(PUT_TOGETHER.format(table=table, name=name))


def _kept(model, name, *, blank=False):
    """The kind beside the name, whose column stays what it was called."""
    kind = models.CharField(blank=blank, choices=KINDS, default="", max_length=10)
    return [
        migrations.RenameField(model, name, f"{name}_name"),
        migrations.AlterField(
            model, f"{name}_name", models.CharField(blank=True, db_column=name, max_length=120)
        ),
        migrations.AddField(model, f"{name}_kind", kind, preserve_default=False),
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0008_calendar_marks"),
    ]

    operations = [
        *_kept("bookingevent", "actor"),
        *_kept("bookingrequest", "asked_by"),
        *_kept("bookingrequest", "decided_by", blank=True),
        *_kept("closure", "created_by"),
        migrations.RunPython(tell_apart, put_together),
    ]
