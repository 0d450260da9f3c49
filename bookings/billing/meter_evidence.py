"""Which meter values may still be asked about: of what is not recorded, not billed, or disputed."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from bookings.operations.charge import NO_ENERGY_WH

# Of an ended session `s` with `no_energy`: it has no record, and is no failed try, of which none is made.
WITHOUT_RECORD = """
    NOT EXISTS (SELECT FROM bookings_chargedetailrecord c WHERE c.session_id = s.id)
    AND NOT coalesce(s.meter_stop_wh >= s.meter_start_wh AND s.meter_stop_wh - s.meter_start_wh < %(no_energy)s
        AND NOT s.flags ?| ARRAY['bad_meter', 'no_meter_start', 'no_meter_stop', 'no_stop'], false)
"""
# A record and its credit that are both on no invoice come to nothing, and are never billed. Nor is what a partner sent, or
# what an operator owes itself.
_NEEDED = f"""
SELECT s.id
FROM depots_chargingsession s
LEFT JOIN bookings_bookingsession v ON v.session_id = s.id
LEFT JOIN bookings_booking b ON b.id = v.booking_id
WHERE s.id = ANY(%(sessions)s::bigint[]) AND (
    EXISTS (
        SELECT FROM bookings_chargedetailrecord c JOIN bookings_dispute dispute ON dispute.cdr_id = c.id
        WHERE (c.session_id = s.id OR c.booking_id = b.id) AND dispute.outcome = 'open'
    )
    OR EXISTS (
        SELECT FROM bookings_chargedetailrecord c
        WHERE c.session_id = s.id AND c.customer_id <> c.operator_id AND c.received IS NULL AND c.before_taxes <> 0
            AND NOT EXISTS (SELECT FROM bookings_invoicedcdr billed WHERE billed.cdr_id = c.id)
            AND NOT EXISTS (
                SELECT FROM bookings_chargedetailrecord other
                WHERE (other.credits_id = c.id OR other.id = c.credits_id)
                    AND NOT EXISTS (SELECT FROM bookings_invoicedcdr billed WHERE billed.cdr_id = other.id)
            )
    )
    OR (b.route <> 'outbound' AND (b.charging_tariff_id IS NOT NULL OR b.booking_tariff_id IS NOT NULL) AND {WITHOUT_RECORD})
)
"""  # noqa: S608 - of the statement above


def needed_readings(session_ids: Sequence[int]) -> set[int]:
    """Called by depots.gate, one statement: sessions of a booking that is to have a record and has none, whose record is on
    no invoice yet, or is disputed, be it by what their booking costs besides."""
    with connection.cursor() as cursor:
        cursor.execute(_NEEDED, {"sessions": list(session_ids), "no_energy": NO_ENERGY_WH})
        return {session_id for (session_id,) in cursor.fetchall()}
