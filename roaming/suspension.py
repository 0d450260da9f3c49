"""A partner that a person has suspended: nothing is sent to it or read of it, all it asks is answered 403, and its depots cannot
be booked. Its registration and its tokens stay, so that it goes on where it was when the suspension is lifted."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from roaming import registration
from roaming.models import Partner
from roaming.outbound.resync import resync
from roaming.party_roles import NotRegistered, RegistrationError


class NotSuspended(RegistrationError):
    pass


def suspend(*, partner: Partner) -> Partner:
    """Raises NotRegistered. What it was told of and has booked stays, and its deliveries go on being wanted."""
    with transaction.atomic():
        registration.withdraw_offers(partner)
        partner = registration.locked(partner)
        if not partner.is_registered:
            raise NotRegistered(f"{partner} is not registered.")
        partner.state = Partner.State.SUSPENDED
        partner.next_resync_at = None
        partner.save(update_fields=["state", "next_resync_at"])
    return partner


def lift_suspension(*, partner: Partner, now: datetime) -> Partner:
    """What either side has missed is told and read again, all of it. Raises NotSuspended."""
    with transaction.atomic():
        partner = registration.locked(partner)
        if not partner.is_suspended:
            raise NotSuspended(f"{partner} is not suspended.")
        partner.state = Partner.State.REGISTERED
        partner.save(update_fields=["state"])
        partner = resync(partner_id=partner.pk, now=now)
        registration.resume(partner, now=now)
    return partner
