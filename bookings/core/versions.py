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

from bookings.actors import Actor
from bookings.core import differences
from bookings.errors import ChangedMeanwhile
from bookings.models import Booking, BookingEvent


class Aspect(StrEnum):
    PLACE = "place"
    VEHICLE = "vehicle"
    NAME = "name"


# Keys of an event's `before` and `after`, and of `BookingRequest.asked`.
GROUP_OF = {
    "period": Aspect.PLACE,
    "option": Aspect.PLACE,
    "evse": Aspect.PLACE,
    "evse_id": Aspect.PLACE,
    "power_w": Aspect.PLACE,
    "energy": Aspect.PLACE,
    "vehicle": Aspect.VEHICLE,
    "vehicle_id": Aspect.VEHICLE,
    "trailer": Aspect.VEHICLE,
    "trailer_id": Aspect.VEHICLE,
    "plate": Aspect.VEHICLE,
    "tokens": Aspect.VEHICLE,
    "needs": Aspect.VEHICLE,
    "reference": Aspect.NAME,
    "authorization_reference": Aspect.NAME,
}
ASKED = "change_requested"
# What a person has before their eyes who cancels a booking or decides on it.
SEEN_WHOLE = frozenset({Aspect.PLACE, Aspect.VEHICLE})


@dataclass(frozen=True)
class ChangeSince:
    """One event since then. `side` is "fleet", "depot" or "" (neither); `actor` is for their own colleagues only."""

    version: int
    kind: str
    groups: frozenset[Aspect]
    side: str
    actor: Actor
    at: datetime
    detail: dict[str, Any]


def check_version(
    booking: Booking,
    seen_version: int | None,
    groups: Collection[Aspect],
    *,
    or_asked: bool = False,
    exactly: bool = False,
) -> None:
    """Raises ChangedMeanwhile when the locked booking was changed in one of these groups since the version seen.

    None stands for the latest: who does not say what they saw has asked just now. `or_asked` for what would put an
    end to any ask that waits: one made since then is reason enough. `exactly`: whatever happened since is.
    """
    if seen_version is None or seen_version == booking.version:
        return
    if seen_version > booking.version:
        raise ChangedMeanwhile(f"This booking has no version {seen_version}.")
    changes = since(booking, seen_version)
    asked = {ASKED} if or_asked else set()
    if exactly or any(h.kind in asked or h.groups & set(groups) for h in changes):
        raise ChangedMeanwhile(_sentence(booking, changes), changes=changes)


def since(booking: Booking, seen_version: int) -> list[ChangeSince]:
    """What was changed or asked for after that version, oldest first; not what only the charger did."""
    events = BookingEvent.objects.filter(booking=booking, version__gt=seen_version).order_by("version", "id")
    return [change for change in map(_change_since, events) if change.groups]


def groups_of(values: Collection[str]) -> frozenset[Aspect]:
    """The groups that some keys of an ask or an event belong to."""
    return frozenset(GROUP_OF[name] for name in values if name in GROUP_OF)


def _change_since(event: BookingEvent) -> ChangeSince:
    detail = event.detail
    return ChangeSince(
        version=event.version,
        kind=event.kind,
        groups=_groups(detail),
        side=str(detail.get("by") or ""),
        actor=event.actor,
        at=event.at,
        detail=detail,
    )


def _groups(detail: dict[str, Any]) -> frozenset[Aspect]:
    """As the event says, or, where it does not, of all in which it differs."""
    if "groups" in detail:
        return frozenset(Aspect(name) for name in detail["groups"])
    before, after = detail.get("before"), detail.get("after")
    if not isinstance(after, dict):
        return frozenset()
    before = before if isinstance(before, dict) else {}
    return groups_of([name for name, value in after.items() if value != before.get(name)])


def _sentence(booking: Booking, changes: Collection[ChangeSince]) -> str:
    """Newest last, on the depot's clock; of people only the side they act for."""
    if not changes:
        return "Changed meanwhile. Look again before you go on."
    told = "; then ".join(_told(booking, change) for change in changes)
    return f"Changed meanwhile {told}. Look again before you go on."


def _told(booking: Booking, change: ChangeSince) -> str:
    by = {"fleet": "by its fleet ", "depot": "by the depot "}.get(change.side, "")
    clock = change.at.astimezone(booking.depot.zone)
    what = differences.words(change.detail, booking)
    asked = "asked for: " if change.kind == ASKED else ""
    return f"{by}at {clock:%H:%M}" + (f": {asked}{what}" if what else "")
