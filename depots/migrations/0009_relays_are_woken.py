from __future__ import annotations

from django.db import migrations

# Relays that are awake share the lock (depots.notices). Where none is, one writer at a time gets it, and wakes them as it commits.
WAKE = """
CREATE FUNCTION depots_wake_relays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('relays_awake', 0)) THEN
        PERFORM pg_notify('berth_notices', '');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER wake_relays AFTER INSERT ON depots_notice FOR EACH STATEMENT EXECUTE FUNCTION depots_wake_relays();
"""
UNWOKEN = """
DROP TRIGGER wake_relays ON depots_notice;
DROP FUNCTION depots_wake_relays();
"""


class Migration(migrations.Migration):
    dependencies = [("depots", "0008_version_goes_with_its_depot")]

    operations = [migrations.RunSQL(WAKE, UNWOKEN)]
