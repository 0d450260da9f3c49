"""How a network becomes a partner, changes its registration, and leaves.

The conversations are HTTP and run without a transaction; what came of one is adopted in a short transaction that
looks at the partner again under its lock, so that of several at once one counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.db.models import F, Q

from bookings.models import BookingOption
from depots import secrets
from depots.models import Organisation
from roaming import message_log, party_roles
from roaming.hubs import clients as hub_clients
from roaming.models import Delivery, Partner, PartnerToken
from roaming.ocpi import client, handshake
from roaming.ocpi.client import Exchange, Http, Peer
from roaming.ocpi.handshake import Agreed
from roaming.ocpi.party_credentials import PartyCredentials
from roaming.outbound import full_sets, pull_plan, resync
from roaming.outbound.deliveries import unlocked
from roaming.outbound.waking import wake_sender
from roaming.party_roles import NotRegistered, RegistrationError
from roaming.switches import switch

TOKEN_A_DAYS = 30
OVERLAP = timedelta(minutes=15)  # how long a replaced token is still good
CALL_BACK_S = 20.0  # for all that is read of a partner while it waits for our answer
IN_FLIGHT = timedelta(minutes=5)  # how long a token we offer waits for the partner's answer

T = TypeVar("T")


class AlreadyRegistered(RegistrationError):
    pass


@dataclass(frozen=True)
class Invitation:
    """Token A, to be handed over by a person, and where the partner starts."""

    partner: Partner
    token_a: str
    versions_url: str


# Invitations


def invite(*, name: str, country_code: str, party_id: str, roles: Iterable[str], now: datetime) -> Invitation:
    """A token A for one registration within 30 days. Inviting again replaces it. Raises RegistrationError."""
    with transaction.atomic():
        partner = _partner_to_be(name, country_code, party_id, list(dict.fromkeys(roles)))
        partner.tokens.filter(kind=PartnerToken.Kind.REGISTRATION).delete()
        token = give_token(partner, PartnerToken.Kind.REGISTRATION, now + timedelta(days=TOKEN_A_DAYS))
    return Invitation(partner, token, handshake.our_versions_url())


def connect(
    *,
    name: str,
    country_code: str,
    party_id: str,
    roles: Iterable[str],
    versions_url: str,
    token_a: str,
    now: datetime,
) -> Partner:
    """Register with a partner that has invited us. Raises RegistrationError, CannotAgree or CallFailed.

    Our own server must be answering at BERTH_BASE_URL: the partner calls back before it answers.
    """
    with transaction.atomic():
        partner = _partner_to_be(name, country_code, party_id, list(dict.fromkeys(roles)))
        partner.tokens.exclude(kind=PartnerToken.Kind.REGISTRATION).delete()
        token_b = give_token(partner, PartnerToken.Kind.PENDING, now + IN_FLIGHT)
    by_switch = Peer(token_a, partner_id=partner.pk, sends_raw_token=bool(switch(partner, "raw_token")))

    async def introduce(http: Http) -> tuple[Agreed, bool]:
        peer = await handshake.in_their_spelling(http, by_switch, versions_url)
        agreed = await handshake.introduce(
            http,
            peer,
            versions_url,
            credentials=credentials,
            expected_roles=partner.expected_roles,
            bookings_as=str(switch(partner, "booking_custom_identifier")),
        )
        return agreed, peer.sends_raw_token

    try:
        credentials = our_credentials(token_b)
        agreed, sends_raw_token = converse(introduce, now)
        return _adopt_connection(partner, agreed, sends_raw_token, now)
    except Exception:
        partner.tokens.filter(kind=PartnerToken.Kind.PENDING).delete()
        raise


def _adopt_connection(partner: Partner, agreed: Agreed, sends_raw_token: bool, now: datetime) -> Partner:
    with transaction.atomic():
        partner = locked(partner)
        if sends_raw_token != bool(switch(partner, "raw_token")):
            partner.switches["raw_token"] = sends_raw_token
        party_roles.take_roles(partner, agreed.roles)
        pending = partner.tokens.filter(kind=PartnerToken.Kind.PENDING)
        partner.tokens.filter(kind__in=[PartnerToken.Kind.REGISTRATION, PartnerToken.Kind.CURRENT]).delete()
        pending.update(kind=PartnerToken.Kind.CURRENT, valid_until=None)
        keep_agreed(partner, agreed, now)
        start_exchange(partner, now=now)
    return partner


# What a partner does: POST, PUT, DELETE and GET of credentials


def register(
    *, partner: Partner, credentials: PartyCredentials, version: str, now: datetime
) -> PartyCredentials:
    """POST credentials: the partner has called with token A. Gives what to answer: its token C.

    Calls the partner back first. Raises AlreadyRegistered, WrongParty or CannotAgree, with nothing registered.
    """
    if partner.is_registered:
        raise AlreadyRegistered("You are registered already; use PUT to change your registration.")
    agreed = _looked_up(partner, credentials, version, now)
    with transaction.atomic():
        partner = locked(partner)
        if partner.is_registered or not partner.tokens.filter(kind=PartnerToken.Kind.REGISTRATION).exists():
            raise AlreadyRegistered("You have just been registered by another request.")
        party_roles.take_roles(partner, agreed.roles)
        partner.tokens.all().delete()
        token_c = give_token(partner, PartnerToken.Kind.CURRENT, None)
        keep_agreed(partner, agreed, now)
        start_exchange(partner, now=now)
    return our_credentials(token_c)


def renew(
    *, partner: Partner, credentials: PartyCredentials, version: str, now: datetime
) -> PartyCredentials:
    """PUT credentials: reads the partner's endpoints again, always, and gives a new token; the old one overlaps.

    Raises NotRegistered, WrongParty or CannotAgree, and then everything stays as it was.
    """
    if not partner.is_registered:
        raise NotRegistered("You are not registered; use POST first.")
    agreed = _looked_up(partner, credentials, version, now)
    with transaction.atomic():
        partner = locked(partner)
        if not partner.is_registered:
            raise NotRegistered("You are not registered any more.")
        party_roles.take_roles(partner, agreed.roles)
        replace_token(partner, now)
        partner.tokens.filter(
            kind=PartnerToken.Kind.PENDING
        ).delete()  # of a PUT of ours that theirs has overtaken
        token = give_token(partner, PartnerToken.Kind.CURRENT, None)
        keep_agreed(partner, agreed, now)
        resume(partner, now=now)
    return our_credentials(token)


def unregister(*, partner: Partner, now: datetime) -> None:
    """DELETE credentials: traffic stops and tokens die, what was booked stays. Raises NotRegistered."""
    with transaction.atomic():
        withdraw_offers(partner)
        partner = locked(partner)
        if not partner.is_registered and not partner.is_suspended:
            raise NotRegistered("You are not registered.")
        partner.tokens.all().delete()
        unlocked(partner.deliveries.exclude(kind=Delivery.Kind.REQUEST)).update(next_try_at=None)
        partner.state = Partner.State.GONE
        partner.outbound_token_encrypted, partner.endpoints = "", []
        partner.pulls.all().delete()
        partner.next_resync_at = partner.next_rotation_at = partner.closed_until = None
        partner.failures = 0
        partner.save()


def withdraw_offers(partner: Partner) -> None:
    """Nobody can be asked there any more; the offers come back when they are read again. Before the partner is locked."""
    BookingOption.objects.filter(depot__operator=partner.organisation, is_mirror=True).update(
        is_withdrawn=True
    )


def leave(*, partner: Partner, now: datetime) -> None:
    """End the registration from our side. Raises NotRegistered; CallFailed when the partner could not be told."""
    if not partner.is_registered and not partner.is_suspended:
        raise NotRegistered(f"{partner} is not registered.")
    peer, endpoints = peer_of(partner), partner.endpoints
    unregister(partner=partner, now=now)
    converse(lambda http: handshake.take_leave(http, peer, endpoints), now)


def credentials_of(token: PartnerToken) -> PartyCredentials:
    """GET credentials: what we gave the partner, the token that it has called with included.

    Never another one: whoever has found a token that was replaced must not be given the one that replaced it.
    """
    return our_credentials(secrets.decrypt(token.token_encrypted))


def our_credentials(token: str) -> PartyCredentials:
    """One CPO role for each depot operator we host, one EMSP role for each fleet. Raises RegistrationError for none."""
    hosted = Organisation.objects.filter(is_partner=False).exclude(country_code="").order_by("pk")
    roles = [
        {
            "role": role,
            "country_code": organisation.country_code.upper(),
            "party_id": party_id.upper(),
            "name": organisation.name,
            "website": organisation.website,
        }
        for organisation in hosted
        for role, party_id in (("CPO", organisation.cpo_party_id), ("EMSP", organisation.emsp_party_id))
        if party_id
    ]
    if not roles:
        raise RegistrationError(
            "No organisation here has a party id yet: add one with add_organisation --country-code … --cpo-party-id …"
        )
    return PartyCredentials(token, handshake.our_versions_url(), roles)


def peer_of(
    partner: Partner, from_party: client.Party | None = None, to_party: client.Party | None = None
) -> Peer:
    """How a registered partner is called."""
    return Peer(
        secrets.decrypt(partner.outbound_token_encrypted),
        partner_id=partner.pk,
        sends_raw_token=bool(partner.switches.get("raw_token")),
        from_party=from_party,
        to_party=to_party,
    )


def start_exchange(partner: Partner, *, now: datetime) -> None:
    """All it is to have is on its way to it, all it has is read: at once, in the caller's transaction."""
    full_sets.want_all(partner, anew=True, now=now)
    pull_plan.read_all_again(partner, now=now)
    partner.next_resync_at = resync.next_night(partner, now)
    partner.save(update_fields=["next_resync_at"])
    resume(partner, now=now)


def resume(partner: Partner, *, now: datetime) -> None:
    """Close the circuit: whatever a partner has not got yet is tried now."""
    behind = Q(kind=Delivery.Kind.REQUEST, next_try_at__isnull=False) | Q(
        delivered_version__lt=F("wanted_version")
    )
    unlocked(partner.deliveries.filter(behind)).update(next_try_at=now, attempts=0, was_refused=False)
    partner.failures, partner.closed_until = 0, None
    partner.save(update_fields=["failures", "closed_until"])
    pull_plan.plan([partner], now=now)
    partner.pulls.filter(failures__gt=0).update(next_at=now, failures=0)
    wake_sender()


def _looked_up(partner: Partner, credentials: PartyCredentials, version: str, now: datetime) -> Agreed:
    party_roles.check_roles(partner, credentials.roles_with_hub)
    peer = Peer(
        credentials.token, partner_id=partner.pk, sends_raw_token=bool(partner.switches.get("raw_token"))
    )

    async def look_up(http: Http) -> tuple[str, list[dict[str, str]]]:
        try:
            async with asyncio.timeout(CALL_BACK_S):
                return await handshake.look_up(
                    http,
                    peer,
                    credentials.versions_url,
                    expected_roles=partner.expected_roles,
                    bookings_as=str(switch(partner, "booking_custom_identifier")),
                    versions=[version],
                )
        except TimeoutError as error:
            raise handshake.NoUseOfTheirApi("Your versions could not be read: no answer in time") from error

    found, endpoints = converse(look_up, now)
    return Agreed(credentials.versions_url, found, endpoints, credentials.roles_with_hub, credentials.token)


def converse(conversation: Callable[[Http], Awaitable[T]], now: datetime) -> T:
    said: list[Exchange] = []
    try:
        return client.in_thread(conversation, said.append)
    finally:
        message_log.record(said, now=now)


def _partner_to_be(name: str, country_code: str, party_id: str, roles: list[str]) -> Partner:
    """The partner of this party, made if need be, locked. Raises RegistrationError when it cannot be invited."""
    country_code, party_id = country_code.upper(), party_id.upper()
    is_party = Q()
    for column in ("cpo_party_id", "emsp_party_id"):
        is_party |= Q(country_code__iexact=country_code, **{f"{column}__iexact": party_id})
    known = Organisation.objects.select_for_update(no_key=True).filter(is_party).order_by("pk").first()
    if known and not known.is_partner:
        raise RegistrationError(f"{country_code}*{party_id} is {known.name}, which is hosted here.")
    if known is None:
        if Organisation.objects.filter(name_key=name).exists():
            raise RegistrationError(f"The name {name} is taken: every organisation has a name of its own.")
        known = Organisation(name=name, country_code=country_code, is_partner=True)
    is_hub = party_roles.HUB in roles
    known.cpo_party_id = party_id if "CPO" in roles or is_hub else ""
    known.emsp_party_id = party_id if "EMSP" in roles else ""
    known.save()
    partner, _ = Partner.objects.get_or_create(organisation=known)
    partner = locked(partner)
    if partner.is_registered or partner.is_suspended:
        state = "suspended" if partner.is_suspended else "registered already"
        raise AlreadyRegistered(f"{known.name} ({country_code}*{party_id}) is {state}.")
    partner.expected_roles = roles
    if is_hub:
        partner.switches["hub_party_id"] = country_code + party_id
    partner.save(update_fields=["expected_roles", "switches"])
    return partner


def keep_agreed(partner: Partner, agreed: Agreed, now: datetime) -> None:
    partner.state = Partner.State.REGISTERED
    hub_clients.add_to_roles(partner)
    partner.endpoints = agreed.endpoints
    partner.versions_url, partner.version = agreed.versions_url, agreed.version
    partner.outbound_token_encrypted = secrets.encrypt(agreed.token)
    partner.registered_at = now
    partner.save()


def give_token(partner: Partner, kind: PartnerToken.Kind, valid_until: datetime | None) -> str:
    token = secrets.new_token()
    partner.tokens.create(
        kind=kind,
        token_hash=secrets.hash_token(token),
        token_encrypted=secrets.encrypt(token),
        valid_until=valid_until,
    )
    return token


def replace_token(partner: Partner, now: datetime) -> None:
    """What the partner has called us with until now is good for a moment still."""
    partner.tokens.filter(kind=PartnerToken.Kind.PREVIOUS, valid_until__lte=now).delete()
    partner.tokens.filter(kind=PartnerToken.Kind.CURRENT).update(
        kind=PartnerToken.Kind.PREVIOUS, valid_until=now + OVERLAP
    )


def locked(partner: Partner) -> Partner:
    """The partner, and before or behind it, in one order, whoever claims a party it was invited as."""
    claims = Q(pk=partner.pk)
    for wanted in party_roles.invited(partner):
        claims |= Q(roles__contains=[party_roles.as_role(wanted)])
    rows = Partner.objects.select_for_update(no_key=True, of=("self",)).select_related("organisation")
    return next(p for p in rows.filter(claims).order_by("pk") if p.pk == partner.pk)
