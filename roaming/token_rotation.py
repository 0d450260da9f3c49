"""New tokens for a registration that stands, from our side: PUT credentials, every month or when a person wants it.

A PUT whose answer is lost leaves both sides in doubt: the partner may have changed to the new tokens, or not have heard of
them. Until that is known we take the new token as well as the old one (kind PENDING); the partner is asked with GET credentials
which token it gives us, and the same PUT is made again where it has not changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import transaction

from depots import secrets
from roaming import party_roles, registration
from roaming.models import Partner, PartnerToken
from roaming.ocpi import handshake
from roaming.ocpi.call_failures import CallFailed, Refused, Unreachable
from roaming.ocpi.client import Http
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.handshake import Agreed, CannotAgree
from roaming.outbound.pull_plan import splay
from roaming.party_roles import NotRegistered, RegistrationError
from roaming.switches import switch

logger = structlog.get_logger(__name__)
Kind = PartnerToken.Kind

EVERY = timedelta(days=30)
OVER = timedelta(days=2)  # not all partners on the same day
IN_DOUBT = timedelta(days=7)  # how long both tokens are taken when nobody knows which one counts
TRIED_AGAIN = timedelta(hours=1)
AT_ONCE = 20


class TokenLost(RegistrationError):
    """The partner takes none of the tokens we know: its answer, with the new one, was lost."""


def rotate(*, partner: Partner, version: str = "", now: datetime) -> Partner:
    """Both tokens anew; the old one of ours overlaps as after the partner's own PUT. `version` changes to that one.

    Raises NotRegistered, TokenLost, WrongParty, CannotAgree or CallFailed. After an Unreachable that may have been received
    both tokens are taken, and calling this again finds out what holds.
    """
    partner, token, in_doubt = _offered_token(partner, now)
    peer, credentials = registration.peer_of(partner), registration.our_credentials(token)
    wanted = (version or partner.version,)

    async def converse(http: Http) -> Agreed:
        if in_doubt:
            given = await _token_given(http, partner)
            if given != peer.token:
                return Agreed(partner.versions_url, partner.version, partner.endpoints, partner.roles, given)
        return await handshake.introduce(
            http,
            peer,
            partner.versions_url,
            credentials=credentials,
            expected_roles=partner.expected_roles,
            bookings_as=str(switch(partner, "booking_custom_identifier")),
            method="PUT",
            versions=wanted,
        )

    try:
        agreed = registration.converse(converse, now)
    except (CannotAgree, CallFailed) as failure:
        _failed(partner, failure, is_new=not in_doubt, now=now)
        raise
    return _adopt(partner, agreed, now)


def plan_rotations(*, now: datetime) -> None:
    """For partners that have none planned: a month after they registered, spread over some days."""
    rows = Partner.objects.filter(state=Partner.State.REGISTERED, next_rotation_at__isnull=True)
    for partner in rows:
        since = partner.registered_at or now
        first = max(since + EVERY, now + timedelta(days=1)) + splay(partner.pk, OVER)
        Partner.objects.filter(pk=partner.pk, next_rotation_at__isnull=True).update(next_rotation_at=first)


def take_due(*, now: datetime) -> list[int]:
    """The partners whose tokens are to be changed now, by key; each is given to one worker, and comes again if that fails."""
    due = Partner.objects.filter(
        state=Partner.State.REGISTERED, next_rotation_at__lte=now, failures=0
    ).order_by("next_rotation_at")
    taken: list[int] = []
    for partner in due[:AT_ONCE]:
        is_wanted = bool(switch(partner, "monthly_rotation")) or is_in_doubt(partner)
        moved = now + (TRIED_AGAIN if is_wanted else EVERY)
        rows = Partner.objects.filter(pk=partner.pk, next_rotation_at=partner.next_rotation_at)
        if rows.update(next_rotation_at=moved) and is_wanted:
            taken.append(partner.pk)
    return taken


def rotate_due(*, partner_id: int, now: datetime) -> bool:
    """One of them. What a partner refuses is written down, and tried again."""
    partner = Partner.objects.select_related("organisation").get(pk=partner_id)
    try:
        rotate(partner=partner, now=now)
    except (RegistrationError, CannotAgree, CallFailed) as failure:
        logger.warning("tokens were not changed", partner=partner_id, error=str(failure))
        return False
    return True


def is_in_doubt(partner: Partner) -> bool:
    """Whether a PUT of ours has been answered by nobody yet."""
    return partner.tokens.filter(kind=Kind.PENDING).exists()


def _offered_token(partner: Partner, now: datetime) -> tuple[Partner, str, bool]:
    """The token that the partner is to call us with, stored before it is sent, and whether it was sent before."""
    with transaction.atomic():
        partner = registration.locked(partner)
        if not partner.is_registered:
            raise NotRegistered(f"{partner} is not registered.")
        if partner.version not in DIALECTS:
            raise RegistrationError(f"We do not speak OCPI {partner.version or 'of no version'} any more.")
        pending = partner.tokens.filter(kind=Kind.PENDING).order_by("-pk").first()
        if pending is None:
            return partner, registration.give_token(partner, Kind.PENDING, now + IN_DOUBT), False
        pending.valid_until = now + IN_DOUBT
        pending.save(update_fields=["valid_until"])
        return partner, secrets.decrypt(pending.token_encrypted), True


async def _token_given(http: Http, partner: Partner) -> str:
    """Raises TokenLost where the partner does not take the old token any more, else like `handshake.given_token`."""
    peer = registration.peer_of(partner)
    try:
        return await handshake.given_token(http, peer, partner.version, partner.endpoints)
    except Refused as refusal:
        if refusal.http_status in (401, 403):
            raise TokenLost(
                f"{partner} takes our token no more, and its answer with the new one was lost. End the registration "
                "here and register again, with a new token A of theirs or of ours."
            ) from refusal
        raise


def _failed(partner: Partner, failure: Exception, *, is_new: bool, now: datetime) -> None:
    """A no, or silence before the partner had our credentials, leaves everything as it was; anything else leaves doubt."""
    if isinstance(failure, Unreachable) and failure.maybe_received:
        Partner.objects.filter(pk=partner.pk).update(next_rotation_at=now + timedelta(minutes=5))
    elif is_new:
        partner.tokens.filter(kind=Kind.PENDING).delete()


def _adopt(partner: Partner, agreed: Agreed, now: datetime) -> Partner:
    with transaction.atomic():
        partner = registration.locked(partner)
        pending = partner.tokens.filter(kind=Kind.PENDING).order_by("-pk").first()
        if not partner.is_registered or pending is None:
            raise NotRegistered(f"{partner} is not registered any more.")
        party_roles.take_roles(partner, agreed.roles)
        registration.replace_token(partner, now)
        pending.kind, pending.valid_until = Kind.CURRENT, None
        pending.save(update_fields=["kind", "valid_until"])
        partner.next_rotation_at = now + EVERY + splay(partner.pk, OVER)
        registration.keep_agreed(partner, agreed, now)
        registration.resume(partner, now=now)
    return partner
