"""Charging of our fleets at a partner's depots, as it tells it: pushed, or read of its list. All of it ends here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from bookings.actors import Actor
from bookings.models import RemoteSession, SessionStatus
from bookings.operations import RemoteSessionId, RemoteSessionState, keep_remote_session
from roaming import deviations
from roaming.mirror import partner_places
from roaming.mirror.charging_customers import customer_by
from roaming.mirror.kept_objects import SESSION, forget_unmatched, keep
from roaming.mirror.session_values import ToldSession
from roaming.models import Partner
from roaming.ocpi.wire_object import Read

logger = structlog.get_logger(__name__)
MOST_POWER_W = 2**31 - 1


@dataclass(frozen=True)
class AdoptedSession:
    """`session` is None where nobody here is said to have charged; `is_new`: the partner had not told of it."""

    session: RemoteSession | None
    is_new: bool


def adopt_session(
    partner: Partner, read: Read[ToldSession], raw: dict[str, Any], *, now: datetime
) -> AdoptedSession:
    """Take over a session as a partner told it, with the message itself; what is older than known is dropped. Raises
    UnreadableError."""
    told = read.value
    with transaction.atomic():
        owner = told.country_code, told.party_id
        kept, is_new = keep(partner, SESSION, owner, told.id, raw, now=now)
        if kept.last_updated is not None and told.last_updated < kept.last_updated:
            return AdoptedSession(None, is_new=False)
        customer = customer_by(
            partner, owner, told.token, booking_id="", reference=told.authorization_reference, session_id="",
            at=told.starts_at,
        )  # fmt: skip
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.is_unmatched = customer is None
        kept.save()
        session = None
        if customer is None and is_new:
            forget_unmatched(partner, SESSION)
        if customer is not None:
            depot = partner_places.locked_depot(partner, *owner, told.location_id)
            session = keep_remote_session(
                RemoteSessionId(partner.organisation, *owner, told.id), state_of(told),
                depot=depot, fleet=customer.fleet, booking_id=customer.booking_id, vehicle=customer.vehicle,
                actor=Actor.partner(*owner), now=now,
            )  # fmt: skip
    names = [*read.deviations, *(["session.of_nobody_here"] if customer is None and is_new else [])]
    deviations.count(partner, names)
    return AdoptedSession(session, is_new)


def state_of(told: ToldSession) -> RemoteSessionState:
    """A state that is over has an end, also where the partner did not say when."""
    powers = [period.power_kw for period in told.periods if period.power_kw is not None]
    charges = [period.soc_percent for period in told.periods if period.soc_percent is not None]
    is_running = told.status == SessionStatus.CHARGING
    ended_at = told.ends_at if told.ends_at is None or told.ends_at >= told.starts_at else told.starts_at
    return RemoteSessionState(
        status=told.status,
        remote_status=told.told_status,
        started_at=told.starts_at,
        ended_at=(ended_at or told.last_updated) if told.status.is_over else ended_at,
        # What is only reserved has delivered nothing, whatever is told of it.
        energy_wh=0 if told.status == SessionStatus.RESERVED else int(told.energy_kwh * 1000),
        power_w=min(int(powers[-1] * 1000), MOST_POWER_W) if powers and is_running else None,
        soc_percent=min(float(charges[-1]), 100.0) if charges else None,
        evse_uid=told.evse_uid,
        connector_id=told.connector_id,
        token_uid=told.token.uid,
        token_type=told.token.type,
        authorization_reference=told.authorization_reference,
        currency=told.currency,
        before_taxes=told.cost.before_taxes if told.cost is not None else None,
        taxes=told.cost.tax if told.cost is not None else None,
        told_at=told.last_updated,
    )
