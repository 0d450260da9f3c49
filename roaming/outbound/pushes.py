"""What is sent of an object to a partner's Receiver, and what the writers of all kinds have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol
from urllib.parse import urljoin, urlsplit

import structlog

from roaming import registration
from roaming.hubs import clients as hub_clients
from roaming.hubs.clients import hub_party
from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Answer, Party, Peer, Written
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.postponing import Postponed, postpone_all

logger = structlog.get_logger(__name__)

Method = Literal["PUT", "POST", "PATCH", "DELETE", "GET"]
# What stands for a digest where the partner was told to delete the object, or that it is gone.
GONE = "gone"
LONGEST_LOCATION = 2000


class TakesAnswer(Protocol):
    """Settles what is sent once, by its answer or by what came instead."""

    def __call__(self, lease: Lease, answer: Answer | CallFailed, *, now: datetime) -> None: ...


@dataclass(frozen=True)
class Push:
    """A call to make: the state of now, or (DELETE) that there is none any more. `probe` is asked first where the partner has
    been failing. Where the partner keeps what is POSTed, its answer says (`Location`), and that is kept."""

    lease: Lease
    peer: Peer
    url: str
    body: Written | None
    digest: str = ""
    method: Method = "PUT"
    probe: str = ""
    take: TakesAnswer | None = None

    def to_callback(self) -> Push:
        """The same to an address that was named for this one message: whatever is answered there, it was taken."""
        return replace(self, peer=replace(self.peer, is_callback=True))

    def once(self, take: TakesAnswer) -> Push:
        """The same, which is not sent again whatever comes of it."""
        return replace(self, take=take, probe="")

    def is_done_by(self, refusal: Refused) -> bool:
        """What is not there need not be deleted."""
        return self.method == "DELETE" and refusal.http_status == 404


class Writer(Protocol):
    """Writes down many deliveries of one kind; settles those that have nothing to send, releases those it cannot write."""

    def __call__(self, leases: list[Lease], *, now: datetime) -> list[Push]: ...


def push_to(
    partner: Partner,
    lease: Lease,
    url: str,
    body: Written | None,
    *,
    from_party: Party,
    to_party: Party | None = None,
    digest: str = "",
    method: Method = "PUT",
) -> Push:
    """A push between two parties, with the probe of a partner that has been failing; a half of a party is none."""
    peer = registration.peer_of(partner, from_party, to_party if to_party and all(to_party) else None)
    is_failing = partner.failures >= deliveries.CIRCUIT_OPENS_AT
    return Push(lease, peer, url, body, digest, method, probe=partner.versions_url if is_failing else "")


def written_each(
    leases: Iterable[Lease], write: Callable[[Lease], Push | None], *, now: datetime
) -> list[Push]:
    """The push of each; what has nothing to send is settled, and one that cannot be written holds up no other."""
    pushes: list[Push] = []
    nothing_to_send: list[Lease] = []
    away: list[Postponed] = []
    leases = list(leases)
    unreachable = hub_clients.unreachable({lease.partner_id for lease in leases})
    for lease in leases:
        try:
            push = write(lease)
        except Exception as fault:
            logger.exception("cannot be written", delivery=lease.delivery_id, kind=lease.kind)
            deliveries.release(lease, now=now, error=f"our fault: {fault!r}")
            continue
        if push is None:
            nothing_to_send.append(lease)
        elif (lease.partner_id, party := _folded(push.peer.to_party)) in unreachable:
            reason = hub_clients.why_unreachable(party)
            away.append(Postponed(lease, now + hub_clients.ASKED_AGAIN, reason))
        else:
            pushes.append(push)
    deliveries.unchanged(*nothing_to_send)
    postpone_all(away)
    return pushes


def _folded(party: Party | None) -> Party:
    return (party[0].upper(), party[1].upper()) if party else ("", "")


def partners_of(leases: Iterable[Lease]) -> dict[int, Partner]:
    return Partner.objects.select_related("organisation").in_bulk({lease.partner_id for lease in leases})


def digests_had(leases: Iterable[Lease]) -> dict[int, str | None]:
    """What was sent last, by delivery; None where nothing was."""
    rows = Delivery.objects.filter(pk__in=[lease.delivery_id for lease in leases])
    return {pk: told.get("digest", "") if told else None for pk, told in rows.values_list("pk", "delivered")}


def party_of(partner: Partner, role: str) -> Party:
    """The first party of a partner in a role, which stands for all of them where they get the same; empty without one. Of a hub
    the hub itself, which passes it on to all it connects."""
    if hub := hub_party(partner):
        return hub
    named = [(r["country_code"], r["party_id"]) for r in partner.roles if r["role"] == role]
    return named[0] if named else ("", "")


def kept_at(answer: Answer, url: str) -> str:
    """Where a partner says it keeps what was POSTed to `url`; empty where it names nothing we can use: another host, say."""
    named = urljoin(url, answer.headers.get("Location", ""))
    is_theirs = named != url and urlsplit(named).netloc == urlsplit(url).netloc
    return named if is_theirs and len(named) <= LONGEST_LOCATION else ""
