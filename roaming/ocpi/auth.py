"""Who calls: the token of a request, the partner behind it, the parties it speaks for and to.

OCPI 2.3.0 transport_and_format, Authorization header and Message routing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from depots.models import Organisation
from depots.rows import columns, instance, width
from depots.secrets import hash_token_under_each_key
from roaming import deviations
from roaming.hubs.clients import hub_party, tells_of_clients
from roaming.models import Partner, PartnerMessage, PartnerToken
from roaming.ocpi.envelope import Code, RefusalError
from roaming.ocpi.wire_object import folded

Party = tuple[str, str]
MAX_HEADER = 400
# In the environment of a request, for the server that sends its answer: which partner asked (its id), and for how many seconds
# one that is beyond its rate is to wait.
PARTNER, RESTS_S = "berth.partner", "berth.rests_s"
SUSPENDED = "Your access is suspended by the operator of this platform."
Kind = PartnerToken.Kind
# With these a partner is registered: the one given in a PUT of ours that nobody has answered yet among them. A token A, or one
# given in a first handshake, opens only the way into it.
FULL = frozenset({Kind.CURRENT, Kind.PREVIOUS, Kind.PENDING})
_TOKEN_TABLES = ((PartnerToken, "token"), (Partner, "partner"), (Organisation, "organisation"))


@dataclass(frozen=True)
class Caller:
    """A partner whose token is valid. `from_party` and `to_party` are those of the routing headers, if any."""

    partner: Partner
    token: PartnerToken
    from_party: Party | None
    to_party: Party | None

    @property
    def is_registered(self) -> bool:
        return self.token.kind in FULL and self.partner.is_registered


class CallerAuth:
    """A ninja `auth`: the Caller as `request.auth`, or 401. `handshake` also lets in who is not registered yet."""

    def __init__(self, *, handshake: bool = False) -> None:
        self.handshake = handshake

    def __call__(self, request: HttpRequest) -> Caller | None:
        token = recognised(request)
        if token is None:
            return None
        caller = Caller(token.partner, token, *_routing(request))
        request.caller = caller  # type: ignore[attr-defined]  # for the message log, refused or not
        if caller.partner.is_suspended:
            raise RefusalError(Code.CLIENT_ERROR, SUSPENDED, http=403)
        if not self.handshake and not caller.is_registered:
            _check_not_about_to_be(caller)
            return None
        if not self.handshake:
            _check_sender(caller)
        return caller


registered = CallerAuth()
anybody_known = CallerAuth(handshake=True)


def recognise(request: HttpRequest, *, now: datetime) -> None:
    """Whose token a request carries, looked up before anything else is looked at, so that whatever is asked counts in the rate of
    whoever asks. Raises RefusalError (429) beyond it."""
    token = token_of(request, now=now)
    request.ocpi_token = token  # type: ignore[attr-defined]
    if token is not None:
        request.META[PARTNER] = token.partner_id
        _check_rate(request, token.partner, now=now)


def recognised(request: HttpRequest) -> PartnerToken | None:
    """The valid token of a request, with its partner, once `recognise` has looked."""
    token: PartnerToken | None = getattr(request, "ocpi_token", None)
    return token


def caller_of(request: HttpRequest) -> Caller:
    caller = getattr(request, "caller", None)
    if not isinstance(caller, Caller):
        raise RefusalError(Code.CLIENT_ERROR, "The token is missing or unknown.", http=401)
    return caller


def partner_of(request: HttpRequest) -> Partner:
    """The partner whose token came with the request; 401 without one."""
    return caller_of(request).partner


def token_of(request: HttpRequest, *, now: datetime) -> PartnerToken | None:
    """The valid token of the Authorization header, with its partner. One query.

    The first call with a new token ends the one it replaced.
    """
    token, replaces_another = _token_of_header(request.headers.get("Authorization", ""), now)
    if token is not None and token.kind == Kind.CURRENT and replaces_another:
        PartnerToken.objects.filter(partner=token.partner, kind=Kind.PREVIOUS).delete()
    return token


def partner_of_header(authorization: str) -> int | None:
    """The id of the partner that an Authorization header is of; nothing follows from it. One query."""
    token, _ = _token_of_header(authorization, timezone.now())
    return None if token is None else token.partner_id


def _token_of_header(authorization: str, now: datetime) -> tuple[PartnerToken | None, bool]:
    hashes = [
        hashed for spelling in spellings(authorization) for hashed in hash_token_under_each_key(spelling)
    ]
    if not hashes:
        return None, False
    with connection.cursor() as cursor:
        cursor.execute(_token_statement(), [hashes, now])
        row = cursor.fetchone()
    return (None, False) if row is None else (_token_in(row), bool(row[-1]))


@cache
def _token_statement() -> str:
    """A token with its partner and the partner's organisation, and whether another one is about to be replaced by it."""
    found = ", ".join(columns(model, alias) for model, alias in _TOKEN_TABLES)
    return f"""
        SELECT {found}, EXISTS (
            SELECT FROM roaming_partnertoken p WHERE p.partner_id = token.partner_id AND p.kind = 'previous'
        )
        FROM roaming_partnertoken token
        JOIN roaming_partner partner ON partner.id = token.partner_id
        JOIN depots_organisation organisation ON organisation.id = partner.organisation_id
        WHERE token.token_hash = ANY(%s) AND (token.valid_until IS NULL OR token.valid_until > %s)
        ORDER BY token.id
        LIMIT 1
    """  # noqa: S608 - made of names of ours


def _token_in(row: tuple[Any, ...]) -> PartnerToken:
    at_partner = width(PartnerToken)
    at_organisation = at_partner + width(Partner)
    token = instance(PartnerToken, row[:at_partner])
    token.partner = instance(Partner, row[at_partner:at_organisation])
    token.partner.organisation = instance(Organisation, row[at_organisation:-1])
    return token


def spellings(header: str) -> list[str]:
    """The tokens a header may mean, likeliest first: base64, base64 of a text with a line end, and raw.

    Compared by keyed hash, so no comparison tells by its time how much was right.
    """
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() != "token" or not value or len(value) > MAX_HEADER:
        return []
    decoded = list(_decoded(value))
    return list(dict.fromkeys([*decoded, *(text.rstrip("\r\n") for text in decoded), value]))


def own_party(caller: Caller, role: str) -> Organisation | None:
    """The organisation of ours that a request is addressed to, in a role ("CPO" or "EMSP"); None when it names none.

    Raises RefusalError (404 with 2001) for a party that is not ours.
    """
    if caller.to_party is None:
        return None
    country, party = caller.to_party
    field = "cpo_party_id" if role == "CPO" else "emsp_party_id"
    organisations = Organisation.objects.filter(is_partner=False, country_code__iexact=country)
    found = organisations.filter(**{f"{field}__iexact": party}).first()
    if found is None:
        raise RefusalError(
            Code.INVALID, "OCPI-to-party-id: no such party on this platform in that role.", http=404
        )
    return found


def speaking_party(caller: Caller, role: str) -> Party:
    """The party that a request is of: the one that its headers name, else the partner's first of a role. Raises RefusalError."""
    if caller.from_party is not None:
        return caller.from_party
    for each in caller.partner.roles:
        if each["role"] == role:
            return each["country_code"], each["party_id"]
    raise RefusalError(Code.INVALID, f"OCPI-from-party-id: you have no {role} party")


def speaks_for(partner: Partner, country: str, party: str, role: str = "") -> bool:
    """Is this one of the partner's parties (in a role)? Case does not count."""
    return any(
        (r["country_code"].upper(), r["party_id"].upper()) == (country.upper(), party.upper())
        and (not role or r["role"] == role)
        for r in partner.roles
    )


def tells_of(caller: Caller, country: str, party: str, role: str = "") -> bool:
    """May the caller write or read what a party of its own (in a role) keeps here? Behind a hub each party its own alone, and
    the hub, from which broadcasts come, all of them. Decision 135."""
    partner, sender = caller.partner, caller.from_party
    if not speaks_for(partner, country, party, role):
        return False
    if sender is None or folded(*sender) == folded(country, party):
        return True
    hub = hub_party(partner)
    if hub is None:
        deviations.count(partner, ["routing.from_another_party"])
        return True
    return folded(*sender) == hub


def _decoded(value: str) -> Iterator[str]:
    try:
        yield base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return


def _routing(request: HttpRequest) -> tuple[Party | None, Party | None]:
    def party(direction: str) -> Party | None:
        country = request.headers.get(f"OCPI-{direction}-country-code", "").strip()
        party_id = request.headers.get(f"OCPI-{direction}-party-id", "").strip()
        return (country, party_id) if country and party_id else None

    return party("from"), party("to")


def _check_not_about_to_be(caller: Caller) -> None:
    """Who has just answered our POST of credentials may call before its answer is stored: what its parties are stands in there.
    It is to try again, not to think that its token is wrong. Raises RefusalError."""
    if caller.token.kind == Kind.PENDING:
        message = "Your answer to our registration is being stored."
        raise RefusalError(Code.SERVER_ERROR, message, http=503, headers={"Retry-After": "1"})


def _check_sender(caller: Caller) -> None:
    """A partner speaks for its own parties; a hub, which the operator says it is, for those it tells of, and for all if it tells
    of none."""
    partner, party = caller.partner, caller.from_party
    if party is None or speaks_for(partner, *party):
        return
    hub = hub_party(partner)
    if hub is None or ((party[0].upper(), party[1].upper()) != hub and tells_of_clients(partner)):
        raise RefusalError(
            Code.INVALID, "OCPI-from-party-id: not one of the parties of your credentials.", http=404
        )


def _check_rate(request: HttpRequest, partner: Partner, *, now: datetime) -> None:
    """At most so many requests a minute, counted over all our processes in the message log."""
    allowed: int = settings.BERTH_OCPI_PER_MINUTE
    if not allowed:
        return
    minute = timedelta(minutes=1)
    recent = PartnerMessage.objects.filter(partner=partner, is_incoming=True, at__gt=now - minute)
    # The oldest of as many as are allowed: there is one only for who has used them up.
    used_up = recent.order_by("-at").values_list("at", flat=True)[allowed - 1 : allowed]
    oldest = next(iter(used_up), None)
    if oldest is not None:
        wait = max(1, int((oldest + minute - now).total_seconds()) + 1)
        request.META[RESTS_S] = wait
        message = f"At most {allowed} requests a minute."
        raise RefusalError(Code.CLIENT_ERROR, message, http=429, headers={"Retry-After": str(wait)})
