"""What sessions may take, PUT to the partners that have limited them once, whenever it is another amount."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from bookings import smart_charging
from depots.models import ChargingSession
from roaming.guest_sessions import told_id
from roaming.models import Partner, ReceivedCommand
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, digests_had, partners_of, push_to, written_each

# OCPI advises between 5 and 60 minutes; who wants to know more may ask.
TOLD_FOR = timedelta(hours=1)


def profiles_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many. A session that is over is told of by itself."""
    partners, had = partners_of(leases), digests_had(leases)
    ids = {lease.object_id for lease in leases}
    running = ChargingSession.objects.filter(pk__in=ids, ended_at=None, evse__isnull=False)
    sessions = running.select_related("evse", "charger").in_bulk()
    limits = smart_charging.given_limits(sessions.values(), lasts=TOLD_FOR, now=now)
    asked = _askers(sessions)

    def write(lease: Lease) -> Push | None:
        asker = asked.get((lease.partner_id, lease.object_id))
        if asker is None:
            return None
        return _push(
            lease, partners[lease.partner_id], limits[lease.object_id], asker, had[lease.delivery_id], now
        )

    return written_each(leases, write, now=now)


def _askers(session_ids: Iterable[int]) -> dict[tuple[int, int], ReceivedCommand]:
    """By partner and session, the last limit that was asked for."""
    rows = ReceivedCommand.objects.filter(session__in=session_ids, kind=ReceivedCommand.Kind.LIMIT)
    latest = rows.order_by("partner", "session", "-pk").distinct("partner", "session")
    found = latest.select_related("operator", "session__guest").defer("raw", "report")
    return {(row.partner_id, row.session_id or 0): row for row in found}


def _push(
    lease: Lease, partner: Partner, limits: list[tuple[int, int]], asker: ReceivedCommand, had: str | None, now: datetime
) -> Push | None:  # fmt: skip
    profiles, session = dialect_of(partner).charging_profiles, asker.session
    url = profiles.active_url(partner, told_id(session)) if session is not None else ""
    # The same amount a minute later is no news, nor is the same change when it is nearer.
    digest = deliveries.digest({"watts": [watts for _, watts in limits]})
    if not url or digest == had:
        return None
    owner = (asker.operator.country_code.upper(), asker.operator.cpo_party_id.upper())
    body = Written.of(profiles.write_active(limits, now, TOLD_FOR))
    return push_to(
        partner, lease, url, body, digest=digest, from_party=owner, to_party=(asker.country_code, asker.party_id)
    )  # fmt: skip
