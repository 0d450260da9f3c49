"""What a charger's page says of how the charger proves who it is, and of connections under its name that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bookings.rules.content_version import version_of
from depots.models import Charger, ChargerCertificate, RefusedConnection

PROFILES = {
    0: "0: nothing. Anybody can come in under its name",
    1: "1: password",
    2: "2: password over TLS",
    3: "3: client certificate over TLS",
}
LAST_CERTIFICATES = LAST_EVENTS = 5


def password_version(charger: Charger) -> int:
    """For the buttons that replace it: changes with each new one."""
    return version_of([charger.password_hash, charger.next_password_hash])


def security(charger: Charger, now: datetime) -> Mapping[str, Any]:
    """The context of bookings/yard/_security.html."""
    return {
        "password_version": password_version(charger),
        "profile": PROFILES[charger.security_profile],
        "refused": RefusedConnection.objects.filter(identity__iexact=charger.identity).first(),
        "certificates": [
            {"row": row, "has_expired": row.not_after <= now}
            for row in charger.certificates.exclude(state=ChargerCertificate.State.REPLACED).order_by("-pk")[
                :LAST_CERTIFICATES
            ]
        ],
        "security_events": charger.security_events.order_by("-pk")[:LAST_EVENTS],
    }
