"""What partners see of our fleets' tokens, and what they are told when they ask about one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.db.models import Q, QuerySet

from bookings.models import Booking, BookingStatus, OwnerAnswer, OwnerCheck, Token
from depots.models import Organisation
from depots.token_numbers import TokenKind, is_same, spellings
from roaming.models import Partner
from roaming.switches import switch

Outcome = OwnerAnswer.Outcome
# Who comes to a booked slot is known for its truck from so long before.
BEFORE_A_SLOT = timedelta(minutes=15)
# OCPI names no contracts of plug and charge in lists (mod_tokens, TokenType), nor anything that is not ASCII.
_ON_A_WIRE = Q(uid__regex=r"^[\x21-\x7e][\x20-\x7e]*$")


@dataclass(frozen=True)
class PublishedToken:
    """A token of a fleet as a partner sees it. `group_id` names its group to who does not know the fleet's names for them."""

    token: Token
    check: OwnerCheck

    @property
    def is_valid(self) -> bool:
        return not self.token.is_blocked and not self._is_left

    @property
    def _is_left(self) -> bool:
        """In a vehicle that its fleet has retired."""
        return self.token.vehicle is not None and self.token.vehicle.is_retired

    @property
    def group_id(self) -> str:
        if not self.token.group_name:
            return ""
        named = f"{self.token.fleet_id}:{self.token.group_name.upper()}"
        return sha256(named.encode()).hexdigest()[:32].upper()

    @property
    def outcome(self) -> Outcome:
        if self.token.is_blocked:
            return Outcome.BLOCKED
        return Outcome.EXPIRED if self._is_left else Outcome.ALLOWED


@dataclass(frozen=True)
class TokenPlace:
    """Where a token is to charge: a depot, and which of its EVSEs; none named are all."""

    location_id: str
    evse_uids: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskedOwner:
    """What a partner is told that asked about a token. `reference` is that of the booking whose slot it is."""

    published: PublishedToken
    outcome: Outcome
    place: TokenPlace | None
    reference: str = ""


class TokenUnknown(Exception):
    """None of our fleets has such a token."""


def tokens(partner: Partner, *, fleet: Organisation | None = None) -> QuerySet[Token]:
    """What this partner may know of, of one fleet or of all, oldest first: fleets charge at every partner with depots."""
    rows = addressable(partner).exclude(type=TokenKind.EMAID).order_by("created_at", "id")
    return rows.filter(fleet=fleet) if fleet is not None else rows


def addressable(partner: Partner) -> QuerySet[Token]:
    """All that have a name on a wire, contracts too."""
    rows = Token.objects.filter(_ON_A_WIRE, told__isnull=True, fleet__is_partner=False)
    rows = rows.exclude(fleet__emsp_party_id="").exclude(fleet__country_code="")
    return rows.select_related("fleet", "vehicle") if partner.has_role("CPO") else rows.none()


def published(partner: Partner, found: Collection[Token]) -> list[PublishedToken]:
    check = OwnerCheck(switch(partner, "token_check"))
    return [PublishedToken(token, check) for token in found]


def authorize(
    partner: Partner,
    uid: str,
    kind: str,
    place: TokenPlace | None,
    *,
    fleet: Organisation | None = None,
    now: datetime,
) -> AskedOwner:
    """May this token charge there? Raises TokenUnknown. Neither hours nor what an EVSE does are reasons to refuse one."""
    found = _find(partner, uid, kind, fleet)
    booked = _booking_of(partner, found.token, place, now) if found.outcome == Outcome.ALLOWED else None
    reference = (booked.authorization_reference or booked.reference)[:36] if booked is not None else ""
    return AskedOwner(found, found.outcome, place, reference)


def _find(partner: Partner, uid: str, kind: str, fleet: Organisation | None) -> PublishedToken:
    """Two fleets may have a card of the same number: one that works counts."""
    rows = addressable(partner).filter(uid__card__in=spellings(uid, kind))
    rows = rows.filter(fleet=fleet) if fleet is not None else rows
    same = [token for token in rows if is_same(token.uid, token.type, uid, kind)]
    if not same:
        raise TokenUnknown
    return min(published(partner, same), key=lambda found: (not found.is_valid, found.token.pk))


def _booking_of(partner: Partner, token: Token, place: TokenPlace | None, now: datetime) -> Booking | None:
    """The booking at the partner's depot in whose slot the token comes."""
    rows = Booking.objects.filter(
        fleet=token.fleet_id,
        depot__operator=partner.organisation_id,
        status__in=(BookingStatus.CONFIRMED, BookingStatus.CHARGING),
        starts_at__lte=now + BEFORE_A_SLOT,
        ends_at__gt=now,
    )
    if place is not None:
        rows = rows.filter(depot__location_id__iexact=place.location_id)
    return next((b for b in rows.prefetch_related("tokens").order_by("starts_at") if _names(b, token)), None)


def _names(booking: Booking, token: Token) -> bool:
    return any(
        named.uid.upper() == token.group_name.upper()
        if named.is_group
        else is_same(named.uid, named.type, token.uid, token.type)
        for named in booking.tokens.all()
    )
