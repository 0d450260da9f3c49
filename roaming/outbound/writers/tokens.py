"""What our fleets identify with, to partners with depots: one that may charge no more is invalid there, never deleted.

A token whose number or kind was changed is another one there. What was sent last says by which name a partner knows it: that
one becomes invalid first, and the delivery stays due for the new one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bookings.models import Token
from depots.token_numbers import TokenKind
from roaming.models import Partner
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.outbound import deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, digests_had, partners_of, party_of, push_to, written_each
from roaming.published_tokens import PublishedToken, addressable, published


def tokens_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The PUTs of many tokens; what has nothing to send is settled."""
    partners, had = partners_of(leases), digests_had(leases)
    known = {partner.pk: _known(partner, leases) for partner in partners.values()}

    def write(lease: Lease) -> Push | None:
        token = known[lease.partner_id].get(lease.object_id)
        return _push(partners[lease.partner_id], lease, token, had[lease.delivery_id]) if token else None

    return written_each(leases, write, now=now)


def _known(partner: Partner, leases: list[Lease]) -> dict[int, PublishedToken]:
    """What the partner may know of, by the token's key."""
    wanted = [lease.object_id for lease in leases if lease.partner_id == partner.pk]
    found = published(partner, list(addressable(partner).filter(pk__in=wanted)))
    return {one.token.pk: one for one in found}


def _push(partner: Partner, lease: Lease, told: PublishedToken, had: str | None) -> Push | None:
    name, known_as = _name(told.token), _name_in(had)
    if known_as is not None and known_as != name and known_as[0] != TokenKind.EMAID:
        lease, told = replace(lease, version=lease.version - 1), _gone(told, known_as)
        return _put(partner, lease, told, digest=f"{_written(name)}#")
    if told.token.type == TokenKind.EMAID:
        return None  # told of in bookings alone
    body = dialect_of(partner).tokens.write(told)
    digest = f"{_written(name)}#{deliveries.digest(body)}"
    return None if had == digest else _put(partner, lease, told, digest=digest)


def _put(partner: Partner, lease: Lease, told: PublishedToken, *, digest: str) -> Push | None:
    dialect, fleet = dialect_of(partner), told.token.fleet
    url = dialect.tokens.url(partner, told)
    if not url:
        return None
    owner = fleet.country_code.upper(), fleet.emsp_party_id.upper()
    body = Written.of(dialect.tokens.write(told))
    return push_to(
        partner, lease, url, body, digest=digest, from_party=owner, to_party=party_of(partner, "CPO")
    )


def _gone(told: PublishedToken, name: tuple[str, str]) -> PublishedToken:
    """The token by the name it had, which opens nothing any more."""
    now = told.token
    kind, uid = name
    before = Token(
        fleet=now.fleet,
        type=kind,
        uid=uid,
        contract_id=now.contract_id,
        is_blocked=True,
        updated_at=now.updated_at,
    )
    return replace(told, token=before)


def _name(token: Token) -> tuple[str, str]:
    return token.type, token.uid


def _written(name: tuple[str, str]) -> str:
    return " ".join(name)


def _name_in(digest: str | None) -> tuple[str, str] | None:
    """By which name the partner was told of it; None where that is not known."""
    name, mark, _ = (digest or "").rpartition("#")
    kind, blank, uid = name.partition(" ")
    return (kind, uid) if mark and blank else None
