"""Tokens between OCPI and us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bookings.models import OwnerAnswer, OwnerCheck
from roaming.mirror.values import ToldAuthorization, ToldToken
from roaming.ocpi.v2_3_0.bookings.schemas import TokenType
from roaming.ocpi.v2_3_0.bookings.token_types import token_type_out
from roaming.ocpi.v2_3_0.tokens import schemas
from roaming.ocpi.v2_3_0.tokens.reading import plain_of, read_token
from roaming.ocpi.v2_3_0.tokens.schemas import AllowedType, WhitelistType
from roaming.ocpi.wire_object import Read, UnreadableError
from roaming.published_tokens import AskedOwner, PublishedToken

CHECK = {
    WhitelistType.ALWAYS: OwnerCheck.NEVER,
    WhitelistType.ALLOWED: OwnerCheck.MAY,
    WhitelistType.ALLOWED_OFFLINE: OwnerCheck.SHOULD,
    WhitelistType.NEVER: OwnerCheck.MUST,
}
WHITELIST = {check: whitelist for whitelist, check in CHECK.items()}
OUTCOME = {
    AllowedType.ALLOWED: OwnerAnswer.Outcome.ALLOWED,
    AllowedType.BLOCKED: OwnerAnswer.Outcome.BLOCKED,
    AllowedType.EXPIRED: OwnerAnswer.Outcome.EXPIRED,
    AllowedType.NO_CREDIT: OwnerAnswer.Outcome.NO_CREDIT,
    AllowedType.NOT_ALLOWED: OwnerAnswer.Outcome.NOT_ALLOWED,
}
ALLOWED = {outcome: allowed for allowed, outcome in OUTCOME.items()}
_CHECK_CALLED = {str(whitelist): str(check) for whitelist, check in CHECK.items()}
# Known by their network's own command: it is not asked about them again (mod_tokens, Real-time authorization).
COMMANDED = frozenset({TokenType.APP_USER, TokenType.AD_HOC_USER})


def token_out(published: PublishedToken) -> schemas.Token:
    token = published.token
    return schemas.Token(
        country_code=token.fleet.country_code.upper(),
        party_id=token.fleet.emsp_party_id.upper(),
        uid=token.uid,
        type=token_type_out(token.type),
        contract_id=token.contract_id or token.uid,
        issuer=token.fleet.name[:64],
        group_id=published.group_id or None,
        valid=published.is_valid,
        whitelist=WHITELIST[published.check],
        last_updated=token.updated_at,
    )


def authorization_out(answer: AskedOwner) -> schemas.AuthorizationInfo:
    place = answer.place
    return schemas.AuthorizationInfo(
        allowed=ALLOWED[answer.outcome],
        token=token_out(answer.published),
        location=schemas.LocationReferences(location_id=place.location_id, evse_uids=list(place.evse_uids))
        if place is not None
        else None,
        authorization_reference=answer.reference or None,
    )


def token_in(token: schemas.Token) -> ToldToken:
    return ToldToken(
        country_code=token.country_code,
        party_id=token.party_id,
        uid=token.uid,
        type=token.type.value,
        contract_id=token.contract_id,
        visual_number=token.visual_number or "",
        group_id=token.group_id or "",
        is_valid=token.valid,
        check=OwnerCheck.NEVER if token.type in COMMANDED else CHECK[token.whitelist],
        last_updated=token.last_updated,
    )


def tokens_in(raws: Sequence[Any]) -> list[Read[ToldToken] | UnreadableError]:
    """Each by itself; one that cannot be read is its error."""
    return [
        _plain_in(raw) if is_plain else _read_in(raw)
        for raw, is_plain in zip(raws, plain_of(raws), strict=True)
    ]


def authorization_in(info: schemas.AuthorizationInfo) -> ToldAuthorization:
    return ToldAuthorization(
        outcome=OUTCOME[info.allowed],
        token=token_in(info.token) if info.token is not None else None,
        reference=info.authorization_reference or "",
        evse_uids=tuple(info.location.evse_uids) if info.location is not None else (),
        info=info.info.text if info.info is not None else "",
    )


def _plain_in(raw: dict[str, Any]) -> Read[ToldToken] | UnreadableError:
    get = raw.get
    try:
        at = datetime.fromisoformat(raw["last_updated"])
    except ValueError:  # it looks like a time, and there is none such: 30 February
        return _read_in(raw)
    return Read(ToldToken(
        raw["country_code"], raw["party_id"], raw["uid"], raw["type"], raw["contract_id"], get("visual_number", ""),
        get("group_id", ""), raw["valid"],
        OwnerCheck.NEVER.value if raw["type"] in COMMANDED else _CHECK_CALLED[raw["whitelist"]],
        at,
    ))  # fmt: skip


def _read_in(raw: Any) -> Read[ToldToken] | UnreadableError:
    try:
        read = read_token(raw)
    except UnreadableError as error:
        return error
    return Read(token_in(read.value), read.deviations)
