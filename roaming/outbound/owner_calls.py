"""Which networks are asked whether a token may charge, where and about which token: found in one statement where it is known
whose it is, since a driver waits for it (decision 131)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q, QuerySet

from bookings.models import Token
from bookings.rules.owner_checks import spoken_for
from depots import round_trips
from depots.gate import Holder, OwnerQuestion
from depots.models import Agreement
from depots.token_numbers import TokenKind, is_same, spellings
from roaming import registration
from roaming.models import Partner
from roaming.ocpi.client import Party, Peer
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pushes import party_of
from roaming.published import cpo_party
from roaming.published_tokens import TokenPlace
from roaming.switches import switch

# Of those that may know an unknown card.
MOST_ASKED = 5
# Kinds that are known by their network's word alone, in the moment it starts a session: nobody is asked about them.
NEVER_ASKED = frozenset({TokenKind.APP_USER, TokenKind.AD_HOC_USER})
# What a call needs of a partner, in the order of its table; all else is read where somebody asks for it.
_PARTNER = (
    "id", "organisation_id", "state", "roles", "version", "endpoints", "outbound_token_encrypted", "switches",
)  # fmt: skip
_DOCUMENTS = {"roles", "endpoints", "switches"}
# The place, once for each token of an owner that can be asked, with that owner; without any once alone. `token_uid` serves it.
_PLACE_AND_OWNERS = round_trips.Prepared(rf"""
    SELECT depot.id, depot.location_id, operator.country_code, operator.cpo_party_id,
        ARRAY(
            SELECT uid FROM depots_evse
            WHERE charger_id = charger.id AND (%(evse)s::bigint IS NULL OR id = %(evse)s::bigint) ORDER BY number
        ),
        token.id, token.uid, token.type, token.is_blocked, token.country_code, token.party_id, token.told::text,
        {", ".join(f"partner.{name}" for name in _PARTNER)}
    FROM depots_charger AS charger
    JOIN depots_depot AS depot ON depot.id = charger.depot_id
    JOIN depots_organisation AS operator ON operator.id = depot.operator_id
    LEFT JOIN (
        bookings_token AS token
        JOIN roaming_partner AS partner ON partner.organisation_id = token.fleet_id AND partner.state = 'registered'
    ) ON token.fleet_id = ANY (%(owners)s::bigint[]) AND token.told IS NOT NULL
        AND UPPER(REGEXP_REPLACE(token.uid, '[\s:-]', '', 'g')) = ANY (%(spellings)s::text[])
        AND (partner.closed_until IS NULL OR partner.closed_until <= %(now)s::timestamptz)
    WHERE charger.id = %(charger)s::bigint
""")  # noqa: S608 - made of constants


@dataclass(frozen=True)
class OwnerCall:
    """One network to ask: where, as whom, and what. `party` is its party that is asked; `told` is the token as it told it before,
    as JSON; empty if it did not."""

    partner: Partner
    party: Party
    peer: Peer
    url: str
    body: dict[str, Any]
    told: str

    @property
    def holders(self) -> list[Holder]:
        """Whose bookings the answer may speak of."""
        return spoken_for(self.partner.organisation_id, *self.party)

    def told_before(self) -> Any:
        return json.loads(self.told) if self.told else None


@dataclass(frozen=True)
class _Place:
    """Where the token is to charge: OCPI's words for it, and the party it belongs to."""

    depot_id: int
    party: Party
    place: TokenPlace


@dataclass(frozen=True)
class _Named:
    """A token as a network names it."""

    pk: int | None
    uid: str
    type: str
    is_blocked: bool = False
    country_code: str = ""
    party_id: str = ""
    told: str = ""


def calls_about(question: OwnerQuestion, *, now: datetime) -> list[OwnerCall]:
    """Those of its owners that can be asked, each about the token as it names it, and those whose bookings it may open, about
    the token as it was read; without owners also those that may know it. For a booking alone nobody but its holder."""
    rows = _read(question, now)
    depot_id, location_id, country_code, party_id, uids = rows[0][:5]
    place = _Place(depot_id, cpo_party(country_code, party_id), TokenPlace(location_id, tuple(uids)))
    found = _owners(question, rows)
    token = _as_read(question)
    if token.type not in NEVER_ASKED:
        found += _holders(question, token, now)
        is_open = not question.owner_ids and not question.is_for_booking
        found += [(p, token) for p in _may_know(depot_id, now)] if is_open else []
    calls = [_call(partner, named, place) for partner, named in _each_once(found)]
    return [
        call for call in calls if call.url and (not question.is_for_booking or is_of_holder(call, question))
    ]


def is_of_holder(call: OwnerCall, question: OwnerQuestion) -> bool:
    return any(holder in question.holders for holder in call.holders)


def _read(question: OwnerQuestion, now: datetime) -> list[tuple[Any, ...]]:
    asked = {
        "charger": question.charger_id,
        "evse": question.evse_id,
        "owners": round_trips.bigints(question.owner_ids),
        "spellings": sorted(spellings(question.token_uid, question.token_type)),
        "now": now,
    }
    return round_trips.ask(_PLACE_AND_OWNERS, asked).rows


def _owners(question: OwnerQuestion, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Partner, _Named]]:
    """Of several copies that an owner has, one that works."""
    uid, kind = question.token_uid, question.token_type
    same: list[tuple[Partner, _Named]] = []
    for row in rows:
        if row[5] is None:
            continue
        token = _Named(*row[5:12])
        if is_same(token.uid, token.type, uid, kind):
            same.append((_partner(row[12:]), token))
    same.sort(key=lambda each: (each[0].pk, each[1].is_blocked, each[1].pk or 0))
    found: dict[int, tuple[Partner, _Named]] = {}
    for partner, token in same:
        found.setdefault(partner.pk, (partner, token))
    return list(found.values())


def _holders(question: OwnerQuestion, token: _Named, now: datetime) -> list[tuple[Partner, _Named]]:
    """The party that booked is asked about the token as if that were its own."""
    if not question.holders:
        return []
    owners = [owner for owner, _, _ in question.holders]
    rows = _askable(now).filter(organisation__in=owners)
    partners = {partner.organisation_id: partner for partner in rows}
    return [
        (partners[owner], replace(token, country_code=country_code, party_id=party_id))
        for owner, country_code, party_id in question.holders
        if owner in partners
    ]


def _askable(now: datetime) -> QuerySet[Partner]:
    is_open = Q(closed_until__isnull=True) | Q(closed_until__lte=now)
    return Partner.objects.filter(is_open, state=Partner.State.REGISTERED)


def _each_once(found: Iterable[tuple[Partner, _Named]]) -> list[tuple[Partner, _Named]]:
    """Each party of each partner once, by the first it is found by."""
    once: dict[tuple[int, str, str], tuple[Partner, _Named]] = {}
    for partner, token in found:
        party = (token.country_code, token.party_id) if token.party_id else party_of(partner, "EMSP")
        once.setdefault((partner.pk, *party), (partner, token))
    return list(once.values())


def _partner(row: Sequence[Any]) -> Partner:
    values = [
        json.loads(value) if name in _DOCUMENTS else value for name, value in zip(_PARTNER, row, strict=True)
    ]
    return Partner.from_db(DEFAULT_DB_ALIAS, _PARTNER, values)


def _may_know(depot_id: int, now: datetime) -> list[Partner]:
    """Networks that the depot is open to and that keep their tokens to themselves, or want to be asked about others."""
    guests = Agreement.objects.in_force(now).filter(depot=depot_id).values_list("guest", flat=True)
    rows = _askable(now).filter(roles__contains=[{"role": "EMSP"}]).order_by("pk")
    if None not in (admitted := set(guests)):
        rows = rows.filter(organisation__in=admitted)
    wanted = [
        p
        for p in rows
        if p.endpoint("tokens", "SENDER") and switch(p, "asked_about_unknown_tokens") != "never"
    ]
    telling = set(
        Token.objects.filter(fleet__in=[p.organisation_id for p in wanted], told__isnull=False)
        .values_list("fleet", flat=True)
        .distinct()
    )
    asked = [
        p
        for p in wanted
        if switch(p, "asked_about_unknown_tokens") == "always" or p.organisation_id not in telling
    ]
    return asked[:MOST_ASKED]


def _as_read(question: OwnerQuestion) -> _Named:
    kind = question.token_type if question.token_type in set(TokenKind) else TokenKind.RFID
    return _Named(None, question.number, kind)


def _call(partner: Partner, token: _Named, place: _Place) -> OwnerCall:
    dialect = dialect_of(partner)
    to_party: Party = (token.country_code, token.party_id) if token.party_id else party_of(partner, "EMSP")
    peer = registration.peer_of(partner, place.party, to_party if all(to_party) else None)
    url = dialect.tokens.authorize_url(partner, token.uid, token.type)
    body = dialect.tokens.write_place(place.place)
    return OwnerCall(partner, to_party, peer, url, body, token.told)
