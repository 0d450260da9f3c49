"""The parties behind a hub. Who is a hub an operator says (switch `hub_party_id`), never the partner itself.

A party that a hub tells of joins its roles, so that whatever asks what a partner speaks for finds it there, as it finds those a
2.3.0 hub lists in its credentials. One that is somebody else's here does not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from roaming import party_roles
from roaming.hubs.models import HubClient
from roaming.models import Partner
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound.waking import wake_sender
from roaming.party_roles import PARTY_ROLES
from roaming.switches import switch

Party = tuple[str, str]
HUB = "HUB"
# What waits for a party is sent when it is back; this is in case that is missed.
ASKED_AGAIN = timedelta(minutes=15)
# How the `last_error` of a delivery begins that waits for its party to come back.
UNREACHABLE = "The hub cannot reach"
# As many as credentials may name; each is a role that every request of the hub is held against.
MOST_CLIENTS = 1_000


@dataclass(frozen=True)
class ToldClient:
    """What a hub tells of a party: in upper case, `status` one of HubClient's."""

    country_code: str
    party_id: str
    role: str
    status: str
    last_updated: datetime


def hub_party(partner: Partner) -> Party | None:
    """Country and party of a hub; None for a partner that is none."""
    name = str(switch(partner, "hub_party_id")).strip().upper()
    return (name[:2], name[2:]) if len(name) > 2 else None


def tells_of_clients(partner: Partner) -> bool:
    """Whether there is a list that a party must be on: roles of others in its credentials, or client infos."""
    own = hub_party(partner)
    return partner.endpoint("hubclientinfo", "SENDER") != "" or any(
        (role["country_code"].upper(), role["party_id"].upper()) != own for role in partner.roles
    )


def keep_client(partner: Partner, told: ToldClient, raw: dict[str, Any], *, now: datetime) -> bool:
    """Keep what a hub told, unless what is known is newer; True where the party is new. What waited for it is sent when it
    is connected again. Raises UnreadableError for one too many."""
    with transaction.atomic():
        partner = Partner.objects.select_for_update(no_key=True, of=("self",)).select_related(
            "organisation"
        ).get(pk=partner.pk)  # fmt: skip
        known = find_client(partner, (told.country_code, told.party_id), told.role)
        if known is not None and known.last_updated > told.last_updated:
            return False
        if known is None and partner.hub_clients.count() >= MOST_CLIENTS:
            raise UnreadableError("", f"a hub may tell of {MOST_CLIENTS} parties")
        row = known or HubClient(
            partner=partner, country_code=told.country_code, party_id=told.party_id, role=told.role
        )
        row.status, row.last_updated, row.raw = told.status, told.last_updated, raw
        row.save()
        if known is None:
            _welcome(partner, told.role, now)
        if told.status == HubClient.Status.CONNECTED:
            _send_what_waits(partner, (told.country_code, told.party_id), now)
    return known is None


def _welcome(partner: Partner, role: str, now: datetime) -> None:
    """A new party behind a (locked) hub: as the first eMSP there all is told, of a CPO all lists are read."""
    from roaming.outbound import full_sets, pull_plan, reader_table

    is_first, before = not partner.has_role(role), len(partner.roles)
    add_to_roles(partner)
    if len(partner.roles) == before:
        return
    partner.save(update_fields=["roles"])
    if role == "EMSP" and is_first:
        full_sets.want_all(partner, anew=False, now=now)
    if role in PARTY_ROLES:
        pull_plan.plan([partner], now=now)
        lists = [name for name, one in reader_table.LISTS.items() if one.owner == role]
        partner.pulls.filter(module__in=lists, next_at__isnull=False).update(next_at=now, wants_all=True)
        wake_sender()


def find_client(partner: Partner, party: Party, role: str = "") -> HubClient | None:
    """In one role, or in the one told of last."""
    rows = partner.hub_clients.filter(country_code__iexact=party[0], party_id__iexact=party[1])
    rows = rows.filter(role=role) if role else rows
    return rows.order_by("-last_updated", "-pk").first()


def add_to_roles(partner: Partner) -> None:
    """The known parties behind a (locked) hub are among its roles; the caller saves."""
    if hub_party(partner) is None:
        return
    clients = partner.hub_clients.filter(role__in=PARTY_ROLES).order_by("pk")
    named = {_role_key(role) for role in partner.roles}
    new = [
        {
            "role": one.role,
            "country_code": one.country_code.upper(),
            "party_id": one.party_id.upper(),
            "name": "",
        }
        for one in clients
        if (one.role, one.country_code.upper(), one.party_id.upper()) not in named
    ]
    if new:
        partner.roles = [*partner.roles, *party_roles.unclaimed(partner, new)]


def unreachable(partner_ids: Collection[int]) -> set[tuple[int, Party]]:
    """By partner the parties to which nothing is to be sent. One query."""
    rows = HubClient.objects.filter(partner__in=partner_ids).exclude(status=HubClient.Status.CONNECTED)
    return {
        (partner_id, (country.upper(), party.upper()))
        for partner_id, country, party in rows.values_list("partner", "country_code", "party_id")
    }


def is_unreachable(partner: Partner, party: Party) -> bool:
    found = find_client(partner, party)
    return found is not None and found.status != HubClient.Status.CONNECTED


def why_unreachable(party: Party) -> str:
    return f"{UNREACHABLE} {party[0].upper()}*{party[1].upper()}."


def _send_what_waits(partner: Partner, party: Party, now: datetime) -> None:
    from roaming.outbound.deliveries import unlocked

    waiting = partner.deliveries.filter(next_try_at__gt=now, last_error__startswith=why_unreachable(party))
    if unlocked(waiting).update(next_try_at=now):
        wake_sender()


def _role_key(role: dict[str, str]) -> tuple[str, str, str]:
    return role["role"], role["country_code"].upper(), role["party_id"].upper()
