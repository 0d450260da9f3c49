"""Reading a partner's depots, offers and our bookings there: all of it after registration, what changed from then on.

Only an unfiltered crawl that came to its end withdraws what it did not list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from depots.models import Organisation
from roaming import deviations, registration
from roaming.mirror import partner_offers, partner_places, remote_bookings
from roaming.mirror.values import ToldOffer, ToldPlace
from roaming.models import Partner
from roaming.ocpi.client import CallFailed, Http, Party, Peer
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.times import time_out
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound import deliveries

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
OVERLAP = timedelta(minutes=5)
EVERY = timedelta(hours=1)
ALL_EVERY = timedelta(hours=6)
LARGEST_OBJECT = 1024 * 1024  # as in a push
KINDS = ("location", "booking_location", "booking")


@dataclass(frozen=True)
class Crawl:
    """One list to read: whose, of which kind, from where. `party` is the CPO that owns what is in it."""

    kind: str
    peer: Peer
    url: str
    query: dict[str, str]
    party: Party


@dataclass
class Pull:
    """One visit to a partner. `is_complete`: nothing is filtered, so what is not listed is gone."""

    partner_id: int
    started_at: datetime
    is_complete: bool
    crawls: list[Crawl]
    seen: dict[Party, set[str]] = field(default_factory=dict)


def claim(*, now: datetime) -> list[int]:
    """The partners to visit now, each taken by one worker."""
    due = Partner.objects.filter(state=Partner.State.REGISTERED, next_pull_at__lte=now)
    free = Q(pull_leased_until__isnull=True) | Q(pull_leased_until__lte=now)
    open_now = Q(closed_until__isnull=True) | Q(closed_until__lte=now)
    with transaction.atomic():
        rows = due.filter(free & open_now).select_for_update(skip_locked=True, no_key=True)
        ids = list(rows.order_by("next_pull_at").values_list("pk", flat=True)[:8])
        Partner.objects.filter(pk__in=ids).update(pull_leased_until=now + LEASE)
    return ids


def begin(partner_id: int, *, now: datetime) -> Pull:
    """What to read this time. With several CPO parties each has lists of its own."""
    partner = Partner.objects.select_related("organisation").get(pk=partner_id)
    is_complete = partner.pulled_at is None or now - partner.pulled_at >= ALL_EVERY
    since = {} if partner.pulled_at is None else {"date_from": time_out(partner.pulled_at - OVERLAP)}
    our_parties = _our_parties(partner)
    crawls = []
    for theirs in _their_parties(partner):
        for kind in KINDS:
            url = _list_url(partner, kind)
            if not url:
                continue
            query = {} if is_complete and kind != "booking" else since
            crawls += [
                Crawl(kind, registration.peer_of(partner, own, theirs), url, query, theirs)
                for own in (our_parties if kind == "booking" else our_parties[:1])
            ]
    return Pull(partner_id, now, is_complete, crawls)


async def visit(http: Http, pull: Pull, *, keep_page: Any) -> None:
    """Read every list; `keep_page(pull, crawl, objects)` stores a page. Raises CallFailed when one breaks off."""
    for crawl in pull.crawls:
        async for objects in http.pages(crawl.peer, crawl.url, crawl.query or None):
            await keep_page(pull, crawl, objects)


def keep_page(pull: Pull, crawl: Crawl, objects: Iterable[Any], *, now: datetime) -> None:
    """Store a page, each object by itself: a bad one is counted and does not keep the others out."""
    partner = Partner.objects.select_related("organisation").get(pk=pull.partner_id)
    Partner.objects.filter(pk=partner.pk).update(pull_leased_until=now + LEASE)
    odd: list[str] = []
    for raw in objects:
        try:
            names = _keep(partner, crawl, pull, raw, now)
        except UnreadableError as error:
            logger.info(
                "a partner's object cannot be read", partner=partner.pk, kind=crawl.kind, error=str(error)
            )
            names = [f"{crawl.kind}.unreadable"]
            if pull.is_complete and isinstance(raw, dict) and "id" in raw:
                pull.seen.setdefault(crawl.party, set()).add(str(raw["id"]))  # it is there, if unreadable
        odd += names
    deviations.count(partner, odd)


def finished(pull: Pull, *, now: datetime) -> None:
    """The visit is over: hide what a complete crawl did not list, and plan the next one."""
    with transaction.atomic():
        partner = Partner.objects.select_related("organisation").get(pk=pull.partner_id)
        if pull.is_complete:
            for party in {crawl.party for crawl in pull.crawls if crawl.kind == "booking_location"}:
                partner_offers.withdraw_missing(
                    partner, *party, seen=pull.seen.get(party, set()), before=pull.started_at
                )
        partner = Partner.objects.select_for_update(no_key=True).get(pk=pull.partner_id)
        partner.pulled_at = pull.started_at if pull.is_complete else partner.pulled_at
        partner.pull_failures, partner.pull_leased_until = 0, None
        if partner.is_registered:
            # What became due during the visit, a stub to fill say, stays due.
            is_due_again = partner.next_pull_at is not None and partner.next_pull_at > pull.started_at
            partner.next_pull_at = partner.next_pull_at if is_due_again else now + EVERY + _splay(partner)
        partner.save(update_fields=["pulled_at", "pull_failures", "pull_leased_until", "next_pull_at"])
        deliveries.record_success(partner.pk, now=now)


def broke_off(pull_of: int, failure: CallFailed, *, now: datetime) -> None:
    """Nothing is withdrawn; the visit is tried again after a growing pause."""
    with transaction.atomic():
        partner = Partner.objects.select_for_update(no_key=True).get(pk=pull_of)
        partner.pull_failures += 1
        partner.pull_leased_until = None
        if partner.next_pull_at is not None:
            partner.next_pull_at = now + deliveries.pause(partner.pull_failures)
        partner.save(update_fields=["pull_failures", "pull_leased_until", "next_pull_at"])
        deliveries.record_failure(partner.pk, now=now)
    logger.warning("reading a partner's depots broke off", partner=pull_of, error=str(failure))


def soon(partner: Partner, *, now: datetime) -> None:
    """Visit a partner with the next tick: something it told points to something we have not read."""
    Partner.objects.filter(pk=partner.pk, state=Partner.State.REGISTERED).update(
        next_pull_at=now, pulled_at=None
    )
    registration.wake_sender()


def _keep(partner: Partner, crawl: Crawl, pull: Pull, raw: Any, now: datetime) -> list[str]:
    """Store one object; gives the names of what was odd. Raises UnreadableError."""
    if len(json.dumps(raw)) > LARGEST_OBJECT:
        raise UnreadableError("", f"is larger than {LARGEST_OBJECT} bytes")
    dialect = dialect_of(partner)
    if crawl.kind == "booking":
        told = raw if isinstance(raw, dict) else {}
        remote_bookings.adopt_booking(partner, dialect.bookings.read(partner, told), told, now=now)
        return []
    if crawl.kind == "location":
        return _keep_place(partner, crawl, raw, now)
    offer = dialect.bookings.read_offer(partner, raw)
    if not _is_of(offer.value, crawl.party):
        return ["booking_location.of_another_party"]
    pull.seen.setdefault(crawl.party, set()).add(offer.value.code)
    adopted = remote_bookings.adopt_offer(partner, offer, raw, now=now)
    # Locations are read before; of a push they may follow.
    return ["booking_location.location_not_told"] if partner_places.is_stub(adopted.option.depot) else []


def _keep_place(partner: Partner, crawl: Crawl, raw: Any, now: datetime) -> list[str]:
    place = dialect_of(partner).locations.read(raw)
    if not _is_of(place.value, crawl.party):
        return ["location.of_another_party"]
    depot = partner_places.adopt_place(partner, place, raw, now=now).depot
    if place.value.time_zone is None:
        logger.warning(
            "a depot has no time zone that can be read", depot=depot.code, shown_in=depot.time_zone
        )
    return []


def _is_of(told: ToldPlace | ToldOffer, party: Party) -> bool:
    """Objects of other owners in a list are left alone: a hub's platform lists those of all it connects."""
    return (told.country_code.upper(), told.party_id.upper()) == party


def _their_parties(partner: Partner) -> list[Party]:
    named = [(r["country_code"].upper(), r["party_id"].upper()) for r in partner.roles if r["role"] == "CPO"]
    return list(dict.fromkeys(named))


def _our_parties(partner: Partner) -> list[Party | None]:
    """The eMSP parties in whose name we read: those with bookings there, else any one of ours."""
    fleets = Organisation.objects.filter(is_partner=False).exclude(country_code="").exclude(emsp_party_id="")
    booked = fleets.filter(
        bookings__depot__operator=partner.organisation, bookings__route="outbound"
    ).distinct()
    rows = list(booked.order_by("pk")) or list(fleets.order_by("pk")[:1])
    return [(o.country_code.upper(), o.emsp_party_id.upper()) for o in rows] or [None]


def _list_url(partner: Partner, kind: str) -> str:
    dialect = dialect_of(partner)
    lists = {"location": dialect.locations.list_url, "booking_location": dialect.bookings.offers_url}
    return lists.get(kind, dialect.bookings.list_url)(partner)


def _splay(partner: Partner) -> timedelta:
    """Not all partners in the same minute."""
    return timedelta(seconds=partner.pk * 37 % 600)
