"""Reading a partner's lists: all of each after registration and from time to time, what changed otherwise.

Each list of a partner has a row with times of its own (`PartnerPull`), so that one that fails does not keep the others from being
read. A worker takes all that is due of a partner, in the order of reader_table. Only a crawl without a filter that came to
its end withdraws what it did not list.

Rows of PartnerPull are locked after their partner's, and alone by whoever reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from depots.models import Organisation
from roaming import deviations, registration
from roaming.hubs import clients as hub_clients
from roaming.hubs.clients import hub_party
from roaming.models import Partner, PartnerPull
from roaming.ocpi.call_failures import CallFailed
from roaming.ocpi.client import Http, Party, Peer
from roaming.ocpi.times import time_out
from roaming.outbound import deliveries
from roaming.outbound.pull_plan import EVERY, splay
from roaming.outbound.pulled_lists import Page, PulledList
from roaming.outbound.reader_table import LISTS
from roaming.outbound.waking import wake_sender

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
OVERLAP = timedelta(minutes=5)
PARTNERS_AT_ONCE = 8
MOST_SPLAYED = timedelta(minutes=10)
# Of which of our parties a list is read that belongs to parties of this role.
READS_AS = {"CPO": "emsp_party_id", "EMSP": "cpo_party_id", "HUB": "cpo_party_id"}


@dataclass(frozen=True)
class Visit:
    """What is due at one partner, the names of lists in the order in which they are read."""

    partner_id: int
    lists: tuple[str, ...]


@dataclass(frozen=True)
class Crawl:
    """One address to read. `party` owns what is listed there; where that is a hub's, each object says whose it is."""

    peer: Peer
    url: str
    query: dict[str, str]
    party: Party
    is_of_hub: bool = False


@dataclass
class Pull:
    """One list of a partner being read. `is_complete`: nothing is filtered, so what is not listed is gone."""

    partner_id: int
    of: PulledList
    started_at: datetime
    is_complete: bool
    crawls: list[Crawl] = field(default_factory=list)
    seen: dict[Party, set[str]] = field(default_factory=dict)


def claim(*, now: datetime) -> list[Visit]:
    """The partners to visit now, each taken by one worker, with all that is due there."""
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    open_now = Q(partner__closed_until__isnull=True) | Q(partner__closed_until__lte=now)
    due = PartnerPull.objects.filter(
        free & open_now,
        partner__state=Partner.State.REGISTERED,
        partner__paused_at__isnull=True,
        next_at__lte=now,
    )
    if not due.exists():
        return []
    with transaction.atomic():
        rows = due.select_for_update(skip_locked=True, no_key=True, of=("self",))
        found: dict[int, list[PartnerPull]] = {}
        for row in rows.order_by("next_at", "pk"):
            if row.partner_id in found or len(found) < PARTNERS_AT_ONCE:
                found.setdefault(row.partner_id, []).append(row)
        taken = [row.pk for of_one in found.values() for row in of_one]
        PartnerPull.objects.filter(pk__in=taken).update(leased_until=now + LEASE)
    return [
        Visit(partner_id, _in_order({row.module for row in of_one})) for partner_id, of_one in found.items()
    ]


def _in_order(names: set[str]) -> tuple[str, ...]:
    return tuple(name for name in LISTS if name in names)


def begin(partner_id: int, name: str, *, now: datetime) -> Pull | None:
    """What to read of a list this time; None where it need not be, or cannot be any more."""
    partner = Partner.objects.select_related("organisation").get(pk=partner_id)
    row = partner.pulls.get(module=name)
    if partner.closed_until is not None and partner.closed_until > now:
        PartnerPull.objects.filter(pk=row.pk).update(
            leased_until=None
        )  # it stays due until the partner is back
        return None
    of = LISTS[name]
    is_complete = _is_complete(row, of, now)
    query = _query(row, of, is_complete=is_complete, now=now)
    pull = Pull(partner_id, of, now, is_complete and of.reaches_back is None, _crawls(partner, of, query))
    PartnerPull.objects.filter(pk=row.pk).update(leased_until=now + LEASE)
    return pull


def crawls_to_look(partner: Partner, name: str, *, since: datetime | None = None) -> list[Crawl]:
    """A list, or what changed of it since then, for who only looks."""
    return _crawls(partner, LISTS[name], {"date_from": time_out(since)} if since else {})


def _crawls(partner: Partner, of: PulledList, query: dict[str, str]) -> list[Crawl]:
    """None where the partner does not offer the list; with several parties each has one of its own."""
    url, hub = of.url(partner), hub_party(partner) if of.is_routed else None
    return [
        Crawl(_peer(partner, of, own, theirs), url, query, theirs, is_of_hub=hub is not None)
        for theirs in (([hub] if hub else _their_parties(partner, of.owner)) if url else ())
        for own in _our_parties(partner, of)
    ]


def _is_complete(row: PartnerPull, of: PulledList, now: datetime) -> bool:
    if row.read_at is None or row.wants_all:
        return True
    if of.complete_every is None:
        return False
    return row.completed_at is None or now - row.completed_at >= of.complete_every


def _query(row: PartnerPull, of: PulledList, *, is_complete: bool, now: datetime) -> dict[str, str]:
    if is_complete or row.read_at is None:
        return {} if of.reaches_back is None else {"date_from": time_out(now - of.reaches_back)}
    return {"date_from": time_out(row.read_at - OVERLAP)}


def _peer(partner: Partner, of: PulledList, own: Party | None, theirs: Party) -> Peer:
    peer = registration.peer_of(partner, own, theirs)
    return peer if of.is_routed else peer.unrouted()


async def crawl_all(
    http: Http, pull: Pull, *, keep_page: Callable[[Pull, Crawl, list[Any]], Awaitable[None]]
) -> None:
    """Read every page; `keep_page(pull, crawl, objects)` stores one. Raises CallFailed when a crawl breaks off."""
    for crawl in pull.crawls:
        async for objects in http.pages(crawl.peer, crawl.url, crawl.query or None):
            await keep_page(pull, crawl, objects)


def keep_page(pull: Pull, crawl: Crawl, objects: Iterable[Any], *, now: datetime) -> None:
    """Store some objects of a page; the lease is kept up meanwhile."""
    partner = Partner.objects.select_related("organisation").get(pk=pull.partner_id)
    # Not with each page: that would be another wait for the disk. Half of it is longer than a page takes to come and be kept.
    ending = Q(leased_until__isnull=True) | Q(leased_until__lt=now + LEASE / 2)
    partner.pulls.filter(ending, module=pull.of.name).update(leased_until=now + LEASE)
    for party, theirs in _by_owner(partner, pull.of, crawl, objects).items():
        seen = pull.seen.setdefault(party, set())
        deviations.count(partner, pull.of.keep(Page(partner, party, theirs, seen, now)))


def _by_owner(
    partner: Partner, of: PulledList, crawl: Crawl, objects: Iterable[Any]
) -> dict[Party, list[Any]]:
    """The objects of a page; a hub lists those of all that it connects, and what is nobody's of these is left out."""
    if not crawl.is_of_hub:
        return {crawl.party: list(objects)}
    known, found = set(_their_parties(partner, of.owner)), dict[Party, list[Any]]()
    for raw in objects:
        told = raw if isinstance(raw, dict) else {}
        owner = (str(told.get("country_code", "")).upper(), str(told.get("party_id", "")).upper())
        if owner in known:
            found.setdefault(owner, []).append(raw)
        else:
            deviations.count(partner, [f"{of.name}.of_another_party"])
    return found


def finished(pull: Pull, *, now: datetime) -> None:
    """The list is read: hide what a complete crawl did not list, and plan the next one."""
    with transaction.atomic():
        partner = Partner.objects.select_related("organisation").get(pk=pull.partner_id)
        if pull.is_complete and pull.of.withdraw is not None:
            for party in _complete_of(partner, pull):
                pull.of.withdraw(partner, party, pull.seen.get(party, set()), pull.started_at)
        row = partner.pulls.select_for_update(no_key=True).get(module=pull.of.name)
        row.read_at = pull.started_at
        row.completed_at = pull.started_at if pull.is_complete else row.completed_at
        row.failures, row.last_error, row.leased_until = 0, "", None
        # What was asked for during the crawl, a stub to fill say, stays due.
        if row.next_at is not None and row.next_at <= pull.started_at:
            row.wants_all = False
            row.next_at = now + EVERY + splay(partner.pk, MOST_SPLAYED) if pull.crawls else None
        row.save()
    deliveries.record_success(partner.pk, now=now)


def _complete_of(partner: Partner, pull: Pull) -> set[Party]:
    """The parties of which all is known now. What a hub does not list of one that it cannot reach says nothing."""
    if not any(crawl.is_of_hub for crawl in pull.crawls):
        return {crawl.party for crawl in pull.crawls}
    away = {party for _, party in hub_clients.unreachable([partner.pk])}
    return set(_their_parties(partner, pull.of.owner)) - away


def broke_off(partner_id: int, name: str, failure: CallFailed, *, now: datetime) -> None:
    """Nothing is withdrawn; the list is tried again after a growing pause."""
    with transaction.atomic():
        row = PartnerPull.objects.select_for_update(no_key=True).get(partner=partner_id, module=name)
        row.failures += 1
        row.last_error, row.leased_until = str(failure)[:300].replace("\x00", ""), None
        if row.next_at is not None:
            row.next_at = now + deliveries.pause(row.failures)
        row.save(update_fields=["failures", "last_error", "leased_until", "next_at"])
    deliveries.record_failure(partner_id, failure, now=now)  # a no is about this list alone
    logger.warning("reading a partner broke off", partner=partner_id, list=name, error=str(failure))


def soon(partner: Partner, *, lists: Collection[str] = ("location",), now: datetime) -> None:
    """Read these lists whole with the next tick: something the partner told points to what we have not read."""
    rows = partner.pulls.filter(next_at__isnull=False, partner__state=Partner.State.REGISTERED)
    rows.filter(module__in=lists).update(next_at=now, wants_all=True)
    wake_sender()


def _their_parties(partner: Partner, role: str) -> list[Party]:
    named = [(r["country_code"].upper(), r["party_id"].upper()) for r in partner.roles if r["role"] == role]
    return list(dict.fromkeys(named))


def _our_parties(partner: Partner, of: PulledList) -> list[Party | None]:
    """In whose name we read: those it concerns where each has a list of its own, else any one of ours."""
    column = READS_AS[of.owner]
    ours = Organisation.objects.filter(is_partner=False).exclude(country_code="").exclude(**{column: ""})
    dealt_with = ours.filter(of.concerns(partner)).distinct()
    rows = list(dealt_with.order_by("pk")) or list(ours.order_by("pk")[:1])
    named: list[Party | None] = [(o.country_code.upper(), getattr(o, column).upper()) for o in rows]
    return (named if of.asks_for_each else named[:1]) or [None]
