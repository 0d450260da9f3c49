from django.db import migrations

# What of an EVSE is configuration (0006), and now what an offer says of its bay.
BEFORE = (
    "depot_id", "charger_id", "uid", "max_power_w", "vehicle_types", "max_vehicle_length_cm", "max_vehicle_width_cm",
    "max_vehicle_height_cm", "max_vehicle_weight_kg", "drive_through", "dangerous_goods_allowed", "refrigeration_outlet",
    "is_withdrawn",
)  # fmt: skip
NOW = (*BEFORE, "bay_position", "bay_length_cm", "bay_width_cm")


def counted(columns: tuple[str, ...]) -> str:
    differs = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    return f"""
        DROP TRIGGER depots_evse_configured_by_update ON depots_evse;
        CREATE TRIGGER depots_evse_configured_by_update AFTER UPDATE ON depots_evse
            FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION depots_evse_configured_row();
    """


class Migration(migrations.Migration):
    dependencies = [("depots", "0035_descriptions")]

    operations = [migrations.RunSQL(counted(NOW), counted(BEFORE))]
