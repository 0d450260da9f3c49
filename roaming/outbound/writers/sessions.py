"""Sessions at our depots, each to the partner whose customer charges: whole, so that nothing has to be merged."""

from __future__ import annotations

from datetime import datetime

from roaming import access
from roaming.models import GuestSession
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, digests_had, partners_of, push_to, written_each
from roaming.published_sessions import published_sessions


def sessions_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many; what has nothing new is settled."""
    partners, had = partners_of(leases), digests_had(leases)
    rows = GuestSession.objects.filter(pk__in={lease.object_id for lease in leases})
    guests = access.sessions_with_all(rows).in_bulk()

    def write(lease: Lease) -> Push | None:
        partner, guest = partners[lease.partner_id], guests.get(lease.object_id)
        dialect = dialect_of(partner)
        if guest is None or guest.partner_id != partner.pk or not partner.endpoint("sessions", "RECEIVER"):
            return None
        [session] = published_sessions([guest], now=now)
        if not all(session.owner):
            return None
        body = dialect.sessions.write(session, style_of(partner))
        digest = deliveries.digest(body)
        if digest == had[lease.delivery_id]:
            return None
        token = session.token
        return push_to(
            partner, lease, dialect.sessions.url(partner, session), Written.of(body), digest=digest,
            from_party=session.owner, to_party=(token["country_code"].upper(), token["party_id"].upper()),
        )  # fmt: skip

    return written_each(leases, write, now=now)
