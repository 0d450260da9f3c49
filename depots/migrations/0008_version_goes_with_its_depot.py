from __future__ import annotations

from django.db import migrations

# A delete of the ORM's leaves the row to the database (DO_NOTHING), and so does one by SQL.
CASCADE = """
DELETE FROM depots_configurationversion v WHERE NOT EXISTS (SELECT FROM depots_depot d WHERE d.id = v.depot_id);
ALTER TABLE depots_configurationversion ADD CONSTRAINT configuration_of_depot
    FOREIGN KEY (depot_id) REFERENCES depots_depot (id) ON DELETE CASCADE;
"""
UNTIED = "ALTER TABLE depots_configurationversion DROP CONSTRAINT configuration_of_depot;"


class Migration(migrations.Migration):
    dependencies = [("depots", "0007_notices")]

    operations = [migrations.RunSQL(CASCADE, UNTIED)]
