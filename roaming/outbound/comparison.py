"""What differs between us and a partner: what it keeps of ours, and what we keep of its.

Asked for with GETs; nothing is changed by it. What is on its way just now is no difference. Each difference has one repair: our
object is sent again, or the partner's list is read whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction

from roaming import message_log
from roaming.mirror import kept_objects
from roaming.models import Partner, PartnerObject
from roaming.ocpi import client
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Exchange, Http, Party, Peer
from roaming.outbound import pull_plan, pulls
from roaming.outbound.our_objects import OurObject, our_objects
from roaming.outbound.waking import wake_sender
from roaming.party_roles import NotRegistered

AT_ONCE = 4
# Lists of which we keep each object as it came, and as which kind.
KEPT_LISTS = {
    "tariff": kept_objects.TARIFF,
    "location": kept_objects.LOCATION,
    "booking_location": kept_objects.BOOKING_LOCATION,
    "booking": kept_objects.BOOKING,
    "invoice_record": kept_objects.INVOICE_RECORD,
    "self_billed_record": kept_objects.INVOICE_RECORD,
}
# Written anew with every answer.
TIMELESS = frozenset({"last_updated"})


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
        return "read_again" if self.object_id is None else "send_again"


def compare(*, partner_id: int, now: datetime) -> list[Difference]:
    """Raises NotRegistered, and CallFailed where a list of the partner's cannot be read."""
    partner = _registered(partner_id)
    ours, lists = our_objects(partner, now=now), _lists(partner)
    said: list[Exchange] = []

    async def converse(http: Http) -> tuple[list[Difference], list[list[Any]]]:
        gate = asyncio.Semaphore(AT_ONCE)
        there = await asyncio.gather(*(_there(http, gate, one) for one in ours))
        listed = [[raw async for page in http.pages(peer, url) for raw in page] for _, _, peer, url in lists]
        return [one for one in there if one is not None], listed

    try:
        found, listed = client.in_thread(converse, said.append)
    finally:
        message_log.record(said, now=now)
    # What is another list for each party of ours is one of theirs.
    of_party: dict[tuple[str, Party], list[Any]] = {}
    for (name, party, _, _), objects in zip(lists, listed, strict=True):
        of_party.setdefault((name, party), []).extend(objects)
    for (name, party), objects in of_party.items():
        found += _here(partner, name, party, objects)
    return found


def repair(*, partner_id: int, differences: Iterable[Difference], now: datetime) -> None:
    """Send ours again as they are, and read whole the lists in which theirs differ. Raises NotRegistered."""
    partner = _registered(partner_id)
    wanted = list(differences)
    with transaction.atomic():
        for one in wanted:
            if one.object_id is not None:
                row = partner.deliveries.filter(kind=one.kind, object_id=one.object_id)
                row.update(next_try_at=now, delivered={"digest": ""}, attempts=0, was_refused=False)
        pull_plan.plan([partner], now=now)
        pulls.soon(partner, lists={one.kind for one in wanted if one.object_id is None}, now=now)
        wake_sender()


def _registered(partner_id: int) -> Partner:
    partner = Partner.objects.select_related("organisation").get(pk=partner_id)
    if not partner.is_registered:
        raise NotRegistered(f"{partner} is not registered.")
    return partner


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


def _lists(partner: Partner) -> list[tuple[str, Party, Peer, str]]:
    """What to read: kind, whose, as whom, where."""
    return [
        (name, crawl.party, crawl.peer, crawl.url)
        for name in KEPT_LISTS
        for crawl in pulls.whole_crawls(partner, name)
    ]


def _here(partner: Partner, kind: str, party: Party, listed: list[Any]) -> list[Difference]:
    """What we keep of a partner's list, against what it has."""
    rows = PartnerObject.objects.filter(
        partner=partner, kind=KEPT_LISTS[kind], country_code__iexact=party[0], party_id__iexact=party[1]
    )
    kept = {row.key.upper(): row.raw for row in rows}
    theirs = {
        str(raw["id"]).upper(): raw
        for raw in listed
        if isinstance(raw, dict) and raw.get("id") and _owner(raw) == party
    }
    found = [
        Difference(kind, str(raw["id"]), What.DIFFERS_HERE if name in kept else What.MISSING_HERE, fields)
        for name, raw in theirs.items()
        if (fields := differing(raw, kept.get(name)))
    ]
    gone = [] if kind == "booking" else sorted(kept.keys() - theirs.keys())
    return found + [Difference(kind, name, What.GONE_THERE) for name in gone]


def _owner(raw: dict[str, Any]) -> Party:
    return str(raw.get("country_code", "")).upper(), str(raw.get("party_id", "")).upper()
