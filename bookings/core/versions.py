"""What happened to a booking since somebody looked at it, and whether what they ask for can stand beside that.

Three groups can: where and when, who comes, and what it is called. An ask made from an older version is carried out
when nothing of its own groups was changed since; else it is refused with what was (`ChangedMeanwhile`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bookings.core import differences
from bookings.errors import ChangedMeanwhile
from bookings.models import Booking, BookingEvent


class Group(StrEnum):
    PLACE = "place"
    VEHICLE = "vehicle"
    NAME = "name"


# Keys of an event's `before` and `after`, and of `BookingRequest.asked`.
GROUP_OF = {
    "period": Group.PLACE,
    "option": Group.PLACE,
    "evse": Group.PLACE,
    "evse_id": Group.PLACE,
    "power_w": Group.PLACE,
    "vehicle": Group.VEHICLE,
    "vehicle_id": Group.VEHICLE,
    "plate": Group.VEHICLE,
    "tokens": Group.VEHICLE,
    "needs": Group.VEHICLE,
    "reference": Group.NAME,
    "authorization_reference": Group.NAME,
    "note": Group.NAME,
}
ASKED = "change_requested"
# What a person has before their eyes who cancels a booking or decides on it.
SEEN_WHOLE = frozenset({Group.PLACE, Group.VEHICLE})


@dataclass(frozen=True)
class Happening:
    """One event since then. `side` is "fleet", "depot" or "" (neither); `actor` is for their own colleagues only."""

    version: int
    kind: str
    groups: frozenset[Group]
    side: str
    actor: str
    at: datetime
    detail: dict[str, Any]


def check_version(
    booking: Booking, seen_version: int | None, groups: Collection[Group], *, or_asked: bool = False
) -> None:
    """Raises ChangedMeanwhile when the locked booking was changed in one of these groups since the version seen.

    None stands for the latest: who does not say what they saw has asked just now. `or_asked` for what would put an
    end to any ask that waits: one made since then is reason enough.
    """
    if seen_version is None or seen_version == booking.version:
        return
    if seen_version > booking.version:
        raise ChangedMeanwhile(f"This booking has no version {seen_version}.")
    happenings = since(booking, seen_version)
    asked = {ASKED} if or_asked else set()
    if any(h.kind in asked or h.groups & set(groups) for h in happenings):
        raise ChangedMeanwhile(_sentence(booking, happenings), changes=happenings)


def since(booking: Booking, seen_version: int) -> list[Happening]:
    """What was changed or asked for after that version, oldest first; not what only the charger did."""
    events = BookingEvent.objects.filter(booking=booking, version__gt=seen_version).order_by("version", "id")
    return [happening for happening in map(_happening, events) if happening.groups]


def groups_of(values: Collection[str]) -> frozenset[Group]:
    """The groups that some keys of an ask or an event belong to."""
    return frozenset(GROUP_OF[name] for name in values if name in GROUP_OF)


def _happening(event: BookingEvent) -> Happening:
    detail = event.detail
    return Happening(
        version=event.version,
        kind=event.kind,
        groups=_groups(detail),
        side=str(detail.get("by") or ""),
        actor=event.actor,
        at=event.at,
        detail=detail,
    )


def _groups(detail: dict[str, Any]) -> frozenset[Group]:
    """As the event says, or, where it does not, of all in which it differs."""
    if "groups" in detail:
        return frozenset(Group(name) for name in detail["groups"])
    before, after = detail.get("before"), detail.get("after")
    if not isinstance(after, dict):
        return frozenset()
    before = before if isinstance(before, dict) else {}
    return groups_of([name for name, value in after.items() if value != before.get(name)])


def _sentence(booking: Booking, happenings: Collection[Happening]) -> str:
    """Newest last, on the depot's clock; of people only the side they act for."""
    told = "; then ".join(_told(booking, happening) for happening in happenings)
    return f"Changed meanwhile {told}. Look again before you go on."


def _told(booking: Booking, happening: Happening) -> str:
    by = {"fleet": "by its fleet ", "depot": "by the depot "}.get(happening.side, "")
    clock = happening.at.astimezone(booking.depot.zone)
    what = differences.words(happening.detail, booking)
    asked = "asked for: " if happening.kind == ASKED else ""
    return f"{by}at {clock:%H:%M}" + (f": {asked}{what}" if what else "")
