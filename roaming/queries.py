"""Which partner is meant, and what partners have got of a booking."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q

from bookings.models import Booking
from depots.periods import utc_text
from roaming.models import Delivery, Partner


def partner_named(name: str) -> Partner | None:
    """By its name or one of its parties (`SE*ABC`), whatever the case."""
    wanted = name.strip().upper()
    for partner in Partner.objects.select_related("organisation"):
        parties = {f"{r['country_code']}*{r['party_id']}".upper() for r in partner.roles}
        if wanted in {str(partner).upper(), *parties}:
            return partner
    return None


def deliveries_of(booking: Booking) -> list[dict[str, Any]]:
    """What each partner has got of a booking and of our asks for it, as `show_booking` prints it."""
    asks = list(booking.requests.values_list("pk", flat=True))
    about = Q(kind=Delivery.Kind.BOOKING, object_id=booking.pk) | Q(
        kind=Delivery.Kind.REQUEST, object_id__in=asks
    )
    rows = Delivery.objects.filter(about).select_related("partner__organisation").order_by("pk")
    return [
        {
            "partner": str(row.partner),
            "kind": row.kind,
            "object_id": row.object_id,
            "wanted_version": row.wanted_version,
            "delivered_version": row.delivered_version,
            "is_delivered": row.delivered_version >= row.wanted_version,
            "delivered_at": _text(row.delivered_at),
            "attempts": row.attempts,
            "next_try_at": _text(row.next_try_at),
            "last_error": row.last_error or None,
        }
        for row in rows
    ]


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None
