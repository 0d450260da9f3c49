"""One list of a partner's Sender as a pull reads it, and what the readers of all lists have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Q

from roaming import deviations
from roaming.models import Partner
from roaming.ocpi.client import Party
from roaming.ocpi.wire_object import UnreadableError

logger = structlog.get_logger(__name__)
LARGEST_OBJECT = 1024 * 1024  # as in a push


@dataclass(frozen=True)
class Page:
    """Some objects of a list, `party` being whose they should be. Its reader adds the ids of those that are there to `seen`, or
    marks their rows: what neither names is withdrawn by a complete crawl."""

    partner: Partner
    party: Party
    objects: list[Any]
    seen: set[str]
    now: datetime


def _booked_there(partner: Partner) -> Q:
    return Q(bookings__depot__operator=partner.organisation, bookings__route="outbound")


@dataclass(frozen=True)
class PulledList:
    """`name` is what `PartnerPull.module` has; `owner` is the role whose parties own what is listed.

    `keep` stores a page and gives the names of what was odd. `withdraw` hides of one party what a complete crawl, begun at the
    moment it is given, did not list; without it such a crawl withdraws nothing. `complete_every` None: only at first and when
    somebody asks. Where `date_from` is required, `reaches_back` says how far the first crawl and every complete one go.
    `asks_for_each`: a list is another for each party of ours that has something there, and not the same for all; `concerns` tells
    these organisations.
    """

    name: str
    url: Callable[[Partner], str]
    keep: Callable[[Page], list[str]]
    owner: str = "CPO"
    withdraw: Callable[[Partner, Party, set[str], datetime], object] | None = None
    complete_every: timedelta | None = timedelta(hours=24)
    reaches_back: timedelta | None = None
    asks_for_each: bool = False
    is_routed: bool = True
    objects_at_once: int = 20
    concerns: Callable[[Partner], Q] = _booked_there


def one_by_one(kind: str, keep_one: Callable[[Page, Any], list[str]]) -> Callable[[Page], list[str]]:
    """Keep each object by itself: a bad one is counted, as the example of what is odd about it, and does not keep the others
    out."""

    def keep(page: Page) -> list[str]:
        for raw in page.objects:
            example = deviations.Example(page.now, "GET", kind, answer=raw)
            with deviations.of_message(page.partner.pk, example):
                deviations.count(page.partner, _kept(kind, keep_one, page, raw))
        return []

    return keep


def _kept(kind: str, keep_one: Callable[[Page, Any], list[str]], page: Page, raw: Any) -> list[str]:
    try:
        if len(json.dumps(raw)) > LARGEST_OBJECT:
            raise UnreadableError("", f"is larger than {LARGEST_OBJECT} bytes")
        return keep_one(page, raw)
    except UnreadableError as error:
        logger.info("a partner's object cannot be read", partner=page.partner.pk, kind=kind, error=str(error))
        if isinstance(raw, dict) and "id" in raw:
            page.seen.add(str(raw["id"]))  # it is there, if unreadable
        return [f"{kind}.unreadable"]


def is_of(party: Party, country_code: str, party_id: str) -> bool:
    """Objects of other owners in a list are left alone: a hub's platform lists those of all it connects."""
    return (country_code.upper(), party_id.upper()) == party
