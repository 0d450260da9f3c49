"""What a charger's page says of how the charger proves who it is, and of connections under its name that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bookings.rules.content_version import version_of
from depots.models import Charger, ChargerCertificate, RefusedConnection, SecurityRaise

PROFILES = {
    0: "0: nothing. Anybody can come in under its name",
    1: "1: password",
    2: "2: password over TLS",
    3: "3: client certificate over TLS",
}
# What OpenSSL says of a TLS handshake that failed.
HANDSHAKES = {
    "http request": "It spoke without TLS",
    "wrong version number": "What it spoke is no TLS",
    "unsupported protocol": "It knows no TLS newer than 1.1",
    "no shared cipher": "It knows none of the cipher suites",
    "certificate has expired": "Its certificate has expired",
    "certificate is not yet valid": "Its certificate is not valid yet",
    "self-signed certificate": "Its certificate is signed by itself, and not one that is trusted here",
    "self-signed certificate in certificate chain": "Its certificate is of an authority that is not trusted here",
    "unable to get local issuer certificate": "Its certificate is of an authority that is not trusted here",
    "tlsv1 alert unknown ca": "It does not know the authority of Berth's certificate",
    "sslv3 alert bad certificate": "It does not take Berth's certificate",
    "sslv3 alert certificate unknown": "It does not take Berth's certificate",
    "sslv3 alert certificate expired": "For it Berth's certificate has expired: its clock may be wrong",
}
HIGHEST_PROFILE = max(PROFILES)
LAST_CERTIFICATES = LAST_EVENTS = 5

# Why a raise of the profile is where it is, by its step.
STEPS = {
    SecurityRaise.Step.ROOT: "it is told the root to trust Berth by",
    SecurityRaise.Step.CERTIFICATE: "it is to ask for a certificate of its own",
    SecurityRaise.Step.SLOTS: "it is asked by which ways it connects",
    SecurityRaise.Step.PROFILE: "it is told the new profile",
    SecurityRaise.Step.PRIORITY: "it is told to connect by the new profile first",
    SecurityRaise.Step.RESTART: "it is restarted once nobody is there",
    SecurityRaise.Step.COMING: "it is to come with it",
}


def raise_in_words(raised: SecurityRaise) -> str:
    """How far a charger is on its way to a higher security profile."""
    if raised.ended_at is not None:
        return f"To {raised.profile} broken off. {raised.why}" if raised.why else ""
    times = "once" if raised.came_without == 1 else f"{raised.came_without} times"
    came = f"; it came {times} without" if raised.came_without else ""
    return f"On its way to {raised.profile}: {STEPS[SecurityRaise.Step(raised.step)]}{came}"


def handshake_words(reason: str) -> str:
    """Why a TLS handshake failed; what is not known is told as it is."""
    return HANDSHAKES.get(reason, f"TLS says: {reason}" if reason else "It went away in the middle")


def password_version(charger: Charger) -> int:
    """For the buttons that replace it: changes with each new one."""
    return version_of([charger.password_hash, charger.next_password_hash])


def security(charger: Charger, now: datetime) -> Mapping[str, Any]:
    """The context of bookings/yard/_security.html."""
    raised = SecurityRaise.objects.filter(charger=charger).first()
    return {
        "password_version": password_version(charger),
        "profile": PROFILES[charger.security_profile],
        "raised": raise_in_words(raised) if raised is not None else "",
        "has_password": charger.security_profile < HIGHEST_PROFILE,
        "refused": RefusedConnection.objects.filter(identity__iexact=charger.identity).first(),
        "certificates": [
            {"row": row, "has_expired": row.not_after <= now}
            for row in charger.certificates.exclude(state=ChargerCertificate.State.REPLACED).order_by("-pk")[
                :LAST_CERTIFICATES
            ]
        ],
        "security_events": charger.security_events.order_by("-received_at", "-pk")[:LAST_EVENTS],
    }
