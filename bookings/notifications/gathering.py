"""What one act did to many bookings at one depot (a series, a table of many, a closure, a limit of power) is told to those who
did not do it as one piece of news."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bookings.notifications.resolving import News

_OF_A_FLEET = "/bookings/"
# What a fleet does, and what a depot does to fleets, by kind, and where the other side sees all of it; None: where the first is.
_GATHERED = {
    "request_waits": "/requests/",
    "change_waits": "/requests/",
    "changed_by_fleet": None,
    "cancelled_by_fleet": None,
    "granted": _OF_A_FLEET,
    "declined": _OF_A_FLEET,
    "changed_by_depot": _OF_A_FLEET,
    "swapped": _OF_A_FLEET,
    "swapped_here": None,
    "cancelled_here": None,
    "closure": _OF_A_FLEET,
    "cancelled_by_depot": _OF_A_FLEET,
    "power_limited": _OF_A_FLEET,
    "power_limit_lifted": _OF_A_FLEET,
    "waitlist_expired": None,
}
# Up to so many are told one by one.
MOST_SINGLY = 3


def gathered(news: Iterable[News]) -> list[News]:
    """The same, in their order; of many of one kind that were done at one moment by one actor the first, which says how many
    others there are."""
    groups: dict[object, list[News]] = {}
    for number, one in enumerate(news):
        groups.setdefault(_act(one) if one.kind in _GATHERED else number, []).append(one)
    return [told for group in groups.values() for told in _told(group)]


def _act(one: News) -> object:
    return one.kind, one.organisation_id, one.at, one.actor_name, one.params.get("depot")


def _told(group: Sequence[News]) -> Sequence[News]:
    if len(group) <= MOST_SINGLY:
        return group
    first = min(group, key=lambda one: str(one.params.get("starts_at", "")))
    link = _GATHERED[first.kind] or first.link
    return [replace(first, link=link, booking_id=None, params={**first.params, "others": len(group) - 1})]
