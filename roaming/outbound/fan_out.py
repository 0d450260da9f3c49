"""Which partners are to get which offers: after a change at once, and once a day, because horizons move."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection, transaction

from roaming.models import Delivery, Partner
from roaming.outbound.deliveries import unlocked
from roaming.outbound.waking import wake_sender

# An offer's calendar reaches a day further every day, without anything having happened.
REFRESHED_EVERY = timedelta(hours=24)

# The partners that see an offer are those its depot is open to, and those that were told of it before: they have to
# hear that it is gone. Rows are written in the order that everybody keeps (deliveries.py).
_WANT = """
INSERT INTO roaming_delivery
    (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
SELECT seen.partner_id, 'booking_location', o.id, o.calendar_version, 0, %(now)s, 0, '', false
FROM bookings_bookingoption o
CROSS JOIN LATERAL (
    SELECT p.id AS partner_id
    FROM roaming_partner p
    JOIN depots_agreement a ON a.guest_id IS NULL OR a.guest_id = p.organisation_id
    WHERE p.state = 'registered' AND p.roles @> '[{"role": "EMSP"}]'
      AND a.depot_id = o.depot_id AND a.starts_at <= %(now)s AND (a.ends_at IS NULL OR a.ends_at > %(now)s)
      AND NOT o.is_withdrawn
    UNION
    SELECT d.partner_id
    FROM roaming_delivery d JOIN roaming_partner p ON p.id = d.partner_id AND p.state = 'registered'
    WHERE d.kind = 'booking_location' AND d.object_id = o.id
) seen
WHERE o.id = ANY(%(options)s) AND NOT o.is_mirror
ORDER BY seen.partner_id, o.id
ON CONFLICT (partner_id, kind, object_id) DO UPDATE
SET wanted_version = EXCLUDED.wanted_version, next_try_at = EXCLUDED.next_try_at
WHERE roaming_delivery.wanted_version < EXCLUDED.wanted_version
"""


def want(option_ids: Collection[int], *, now: datetime) -> int:
    """Every partner that sees these offers is to get them as they are; those that have them already are left alone."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_WANT, {"now": now, "options": list(option_ids)})
            reached = cursor.rowcount
        if reached:
            wake_sender()
    return reached


def refresh(*, now: datetime) -> int:
    """Offers that a partner got more than a day ago are looked at again; what tells nothing new is not sent."""
    old = Delivery.objects.filter(
        kind=Delivery.Kind.BOOKING_LOCATION,
        partner__state=Partner.State.REGISTERED,
        next_try_at__isnull=True,
        delivered_at__lte=now - REFRESHED_EVERY,
    )
    with transaction.atomic():
        return unlocked(old).update(next_try_at=now)
