"""Client certificates of chargers: which of them still opens, and what becomes of those before it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from depots.certificates import ClientCertificate
from depots.models import Charger, ChargerCertificate, RefusedConnection

Reason = RefusedConnection.Reason
State = ChargerCertificate.State


def accept_certificate(*, charger_id: int, certificate: ClientCertificate, now: datetime) -> str:
    """Why the charger may not come in with this certificate (RefusedConnection.Reason); empty when it may.

    Its chain has been checked, its name is the charger's; its end is looked at here as well, since a TLS session that is resumed
    has nothing verified anew. With the first use of a newer one those before it are replaced:
    until then both open.
    """
    if certificate.not_after <= now:
        return Reason.EXPIRED
    known = ChargerCertificate.objects.filter(
        issuer=certificate.issuer, serial_number=certificate.serial_number
    )
    if known.filter(charger=charger_id, state=State.CURRENT).exists():
        return ""
    with transaction.atomic():
        Charger.objects.select_for_update(no_key=True).only("pk").get(pk=charger_id)
        row = known.first() or unused_certificate(charger_id, certificate)
        if row.charger_id != charger_id:
            return Reason.OTHER_NAME
        if row.state in {State.REVOKED, State.REPLACED}:
            return Reason(row.state)
        return _use(row, now)


def revoke_certificate(*, certificate: ChargerCertificate, now: datetime) -> None:
    """From its next connection on nobody comes in with it."""
    ChargerCertificate.objects.filter(pk=certificate.pk).exclude(state=State.REVOKED).update(
        state=State.REVOKED, revoked_at=now
    )


def unused_certificate(
    charger_id: int, certificate: ClientCertificate, *, issued_at: datetime | None = None
) -> ChargerCertificate:
    """Its row, not saved. `issued_at` of our own authority; those of others are known once they are used."""
    return ChargerCertificate(
        charger_id=charger_id,
        issuer=certificate.issuer,
        issuer_name=certificate.issuer_name,
        serial_number=certificate.serial_number,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        state=State.ISSUED,
        issued_at=issued_at,
    )


def _use(row: ChargerCertificate, now: datetime) -> str:
    others = ChargerCertificate.objects.filter(charger=row.charger_id).exclude(pk=row.pk)
    is_older = others.filter(state=State.CURRENT, not_before__gt=row.not_before).exists()
    if not is_older:
        # Of two that were issued in the same second the other may be the newer: it is not used yet, and opens still.
        older = Q(state=State.CURRENT) | Q(state=State.ISSUED, not_before__lt=row.not_before)
        others.filter(older).update(state=State.REPLACED)
    row.state = State.REPLACED if is_older else State.CURRENT
    row.first_used_at = row.first_used_at or now
    row.save()
    return Reason.REPLACED if is_older else ""
