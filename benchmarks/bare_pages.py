"""A page of bookings by the same queries as the product's, written down by the plainest means: mounted for benchmarks."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from bookings.models import Booking
from roaming import access
from roaming.ocpi.auth import token_of


def bare_page(request: HttpRequest) -> HttpResponse:
    token = token_of(request, now=timezone.now())
    if token is None:
        return HttpResponse(status=401)
    rows = access.bookings(token.partner)
    offset, limit = int(request.GET.get("offset", 0)), int(request.GET.get("limit", 100))
    total = rows.count()
    page = json.dumps([_plain(booking) for booking in rows[offset : offset + limit]])
    return HttpResponse(page, content_type="application/json", headers={"X-Total-Count": str(total)})


def _plain(booking: Booking) -> dict[str, Any]:
    """What goes out, as it lies in the rows."""
    evse = booking.evse
    return {
        "id": booking.reference,
        "country_code": booking.depot.operator.country_code,
        "party_id": booking.depot.operator.cpo_party_id,
        "request_id": booking.request_id,
        "location_id": booking.depot.location_id,
        "evses": [one.uid for one in booking.option.evses.all()],
        "evse": evse.uid if evse else None,
        "connectors": [c.standard for c in evse.connectors.all()] if evse else [],
        "tokens": [
            {"uid": t.uid, "type": t.type, "contract_id": t.contract_id} for t in booking.tokens.all()
        ],
        "period": [booking.starts_at.isoformat(), booking.ends_at.isoformat()],
        "power": booking.promised_power_w,
        "status": booking.status,
        "authorization_reference": booking.authorization_reference,
        "terms": booking.terms_json,
        "requests": [[r.decision, r.received, r.asked_at.isoformat()] for r in booking.requests.all()],
        "last_updated": booking.updated_at.isoformat(),
    }
