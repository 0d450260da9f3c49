"""What differs between us and a partner: what it keeps of ours, and what we keep of its.

Asked for with GETs; nothing is changed by it. What is on its way just now is no difference. Each difference has one repair: our
object is sent again, or the partner's list is read whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction

from bookings.models import Token
from roaming import registration
from roaming.mirror import kept_objects, partner_invoice_records
from roaming.models import Delivery, Partner, PartnerObject
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Http, Party
from roaming.outbound import pull_plan, pulls
from roaming.outbound.deliveries import unlocked
from roaming.outbound.doubts import DOUBTED_THERE
from roaming.outbound.our_objects import RECORDS_SINCE, OurObject, our_objects
from roaming.outbound.pulls import Crawl
from roaming.outbound.readers.sessions import REACHES_BACK as SESSIONS_REACH_BACK
from roaming.outbound.waking import wake_sender
from roaming.party_roles import NotRegistered

AT_ONCE, A_BATCH = 4, 40
# Lists of which we keep each object as it came, and how far back each is read.
KEPT_LISTS: dict[str, timedelta | None] = {
    "tariff": None, "location": None, "booking_location": None, "token": None, "booking": None,
    "session": SESSIONS_REACH_BACK, "cdr": RECORDS_SINCE, "invoice_record": None, "self_billed_record": None,
}  # fmt: skip
# As which kind, where that is not the name of the list.
KEPT_AS = {"invoice_record": kept_objects.INVOICE_RECORD, "self_billed_record": kept_objects.INVOICE_RECORD}
# What such a list does not name any more is gone.
ALL_LISTED = frozenset({"tariff", "location", "booking_location", "invoice_record", "self_billed_record"})
# Written anew with every answer; a calendar ages by itself.
TIMELESS = frozenset({"last_updated"})
AGEING = frozenset({"calendars"})
UNDER_WAY = ("ACTIVE", "PENDING")


class What(StrEnum):
    MISSING_THERE = "missing_there"
    DIFFERS_THERE = "differs_there"
    UNREADABLE_THERE = "cannot_be_asked_for"
    MISSING_HERE = "missing_here"
    DIFFERS_HERE = "differs_here"
    GONE_THERE = "gone_there"


@dataclass(frozen=True)
class Difference:
    """`kind` as in Delivery or reader_table; `fields` are names of those that differ at the top. `object_id` is the key of our
    own row; a difference without it is about something of the partner's."""

    kind: str
    name: str
    what: What
    fields: tuple[str, ...] = ()
    object_id: int | None = None

    @property
    def repair(self) -> str:
        """A record that is there is never told again: it does not change, and would be there twice (OCPI mod_cdrs)."""
        if self.object_id is None:
            return "read_again"
        is_there = self.kind == Delivery.Kind.CDR and self.what != What.MISSING_THERE
        return "by_hand" if is_there else "send_again"


def compare(
    *, partner_id: int, now: datetime, progress: Callable[[int, int], None] = lambda done, of: None
) -> list[Difference]:
    """`progress` is told how much was asked for, and of how much. Raises NotRegistered, and CallFailed where a list of the
    partner's cannot be read."""
    partner = _registered(partner_id)
    ours, lists = our_objects(partner, now=now), _lists(partner, now)
    found: list[Difference] = []
    for done in range(0, len(ours), A_BATCH):
        progress(done, len(ours) + len(lists))
        found += _all_there(ours[done : done + A_BATCH], now)
    for done, ((name, party), crawls) in enumerate(lists.items(), start=len(ours)):
        progress(done, len(ours) + len(lists))
        found += _here(partner, name, party, _read(crawls, now))
    return found


def repair(*, partner_id: int, differences: Iterable[Difference], now: datetime) -> None:
    """Send ours again as they are, and read whole the lists in which theirs differ. Raises NotRegistered."""
    partner = _registered(partner_id)
    wanted = list(differences)
    again = [(one.kind, one.object_id) for one in wanted if one.object_id and one.repair == "send_again"]
    with transaction.atomic():
        for kind in sorted({kind for kind, _ in again}):
            ids = [object_id for of, object_id in again if of == kind]
            rows = unlocked(partner.deliveries.filter(kind=kind, object_id__in=ids))
            rows.update(next_try_at=now, delivered=DOUBTED_THERE, attempts=0, was_refused=False)
        pull_plan.plan([partner], now=now)
        pulls.soon(partner, lists={one.kind for one in wanted if one.object_id is None}, now=now)
        wake_sender()


def _registered(partner_id: int) -> Partner:
    partner = Partner.objects.select_related("organisation").get(pk=partner_id)
    if not partner.is_registered:
        raise NotRegistered(f"{partner} is not registered.")
    return partner


def _all_there(ours: list[OurObject], now: datetime) -> list[Difference]:
    async def ask(http: Http) -> list[Difference | None]:
        gate = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(_there(http, gate, one) for one in ours))

    return [one for one in registration.converse(ask, now) if one is not None]


async def _there(http: Http, gate: asyncio.Semaphore, ours: OurObject) -> Difference | None:
    """What a partner keeps of ours, against what it was to get."""
    try:
        async with gate:
            answer = await http.call(ours.peer, "GET", ours.url)
    except Refused as refusal:
        what = What.MISSING_THERE if refusal.http_status == 404 else What.UNREADABLE_THERE
        return Difference(ours.kind, ours.name, what, object_id=ours.object_id)
    except CallFailed:
        return Difference(ours.kind, ours.name, What.UNREADABLE_THERE, object_id=ours.object_id)
    fields = differing(ours.body, answer.data)
    return Difference(ours.kind, ours.name, What.DIFFERS_THERE, fields, ours.object_id) if fields else None


def differing(ours: dict[str, Any], theirs: Any) -> tuple[str, ...]:
    """The names of the fields we told that are otherwise there. What they add, and when it changed, does not count."""
    if not isinstance(theirs, dict):
        return tuple(ours)
    return tuple(
        name for name, told in ours.items() if name not in TIMELESS and not _is_same(told, theirs.get(name))
    )


def _is_same(told: Any, kept: Any) -> bool:
    if isinstance(told, dict):
        return isinstance(kept, dict) and not differing(told, kept)
    if isinstance(told, list):
        kept = kept or []
        return isinstance(kept, list) and len(told) == len(kept) and all(map(_is_same, told, kept))
    return bool(told == kept)


def _lists(partner: Partner, now: datetime) -> dict[tuple[str, Party], list[Crawl]]:
    """By list and whose it is: what is another list for each party of ours is one of theirs."""
    found: dict[tuple[str, Party], list[Crawl]] = {}
    for name, reaches_back in KEPT_LISTS.items():
        since = now - reaches_back if reaches_back else None
        for crawl in pulls.crawls_to_look(partner, name, since=since):
            found.setdefault((name, crawl.party), []).append(crawl)
    return found


def _read(crawls: list[Crawl], now: datetime) -> list[Any]:
    async def read(http: Http) -> list[Any]:
        return [
            raw
            for crawl in crawls
            async for page in http.pages(crawl.peer, crawl.url, crawl.query or None)
            for raw in page
        ]

    return registration.converse(read, now)


def _here(partner: Partner, kind: str, party: Party, listed: list[Any]) -> list[Difference]:
    """What we keep of a partner's list, against what it has."""
    kept = _kept_tokens(partner, party) if kind == "token" else _kept_objects(partner, kind, party)
    theirs = {
        name: {field: told for field, told in raw.items() if field not in AGEING}
        for raw in listed
        if isinstance(raw, dict) and (name := _name(kind, raw)) and _owner(raw) == party
    }
    found = [
        Difference(kind, name, What.DIFFERS_HERE if name in kept else What.MISSING_HERE, fields)
        for name, raw in theirs.items()
        if not (kind == "session" and raw.get("status") in UNDER_WAY)
        and (fields := differing(raw, kept.get(name)))
    ]
    gone = kept.keys() - theirs.keys() if kind in ALL_LISTED else set()
    if gone and kind in KEPT_AS:
        is_reverse = kind == "self_billed_record"
        gone -= partner_invoice_records.codes_of_other_way(partner, party, is_reverse=is_reverse)
    return found + [Difference(kind, name, What.GONE_THERE) for name in sorted(gone)]


def _kept_objects(partner: Partner, kind: str, party: Party) -> dict[str, Any]:
    rows = PartnerObject.objects.filter(
        partner=partner,
        kind=KEPT_AS.get(kind, kind),
        country_code__iexact=party[0],
        party_id__iexact=party[1],
    )
    return {key.upper(): raw for key, raw in rows.values_list("key", "raw")}


def _kept_tokens(partner: Partner, party: Party) -> dict[str, Any]:
    """As they were told; one that is not listed any more is invalid, which shows as no difference."""
    rows = Token.objects.filter(fleet=partner.organisation_id, told__isnull=False)
    rows = rows.filter(country_code__iexact=party[0], party_id__iexact=party[1])
    return {f"{uid} {kind}".upper(): told for uid, kind, told in rows.values_list("uid", "type", "told")}


def _name(kind: str, raw: dict[str, Any]) -> str:
    """What an object is known by among those of its owner, in capitals; empty where it does not say."""
    named = f"{raw['uid']} {raw.get('type', '')}" if kind == "token" and raw.get("uid") else raw.get("id")
    return str(named or "").upper()


def _owner(raw: dict[str, Any]) -> Party:
    return str(raw.get("country_code", "")).upper(), str(raw.get("party_id", "")).upper()
