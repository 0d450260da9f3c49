from django.db import migrations

# Jobs of this name are not run any more. What they had to tell is told of all depots by the first tick; partners
# that have it already are sent nothing.
FORWARDS = """
DO $$
BEGIN
    IF to_regclass('dramatiq.queue') IS NOT NULL THEN
        DELETE FROM dramatiq.queue WHERE message->>'actor_name' = 'fan_out_calendars';
    END IF;
    INSERT INTO bookings_calendarmark (depot_id) SELECT id FROM depots_depot WHERE NOT is_mirror;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0008_calendar_marks"),
        ("roaming", "0003_stubs_are_not_offered"),
    ]

    operations = [migrations.RunSQL(FORWARDS, migrations.RunSQL.noop)]
