"""What one act did to many bookings at one depot (a series, a table of many) is told its managers as one piece of news."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bookings.notifications.resolving import News

# What a fleet does, by kind, and where a manager sees all of it; None for where the first is.
_OF_FLEETS = {
    "request_waits": "/requests/",
    "change_waits": "/requests/",
    "changed_by_fleet": None,
    "cancelled_by_fleet": None,
}
# Up to so many are told one by one.
MOST_SINGLY = 3


def gathered(news: Iterable[News]) -> list[News]:
    """The same, in their order; of many of one kind that were done at one moment by one actor the first, which says how many
    others there are."""
    groups: dict[object, list[News]] = {}
    for number, one in enumerate(news):
        groups.setdefault(_act(one) if one.kind in _OF_FLEETS else number, []).append(one)
    return [told for group in groups.values() for told in _told(group)]


def _act(one: News) -> object:
    return one.kind, one.organisation_id, one.at, one.actor_name, one.params.get("depot")


def _told(group: Sequence[News]) -> Sequence[News]:
    if len(group) <= MOST_SINGLY:
        return group
    first = min(group, key=lambda one: str(one.params.get("starts_at", "")))
    link = _OF_FLEETS[first.kind] or first.link
    return [replace(first, link=link, booking_id=None, params={**first.params, "others": len(group) - 1})]
