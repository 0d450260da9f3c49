"""Leave word of what is no event of a booking: it is told once the caller's transaction has committed, and with it or not at
all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import Booking, Occurrence, WaitlistEntry
from bookings.notifications.kinds import KINDS
from bookings.notifications.waitlist_object import waitlist_object
from depots.models import Organisation


def leave_word(
    kind: str,
    organisation: Organisation | int,
    *,
    params: dict[str, Any] | None = None,
    link: str = "",
    booking: Booking | int | None = None,
    actor_name: str = "",
    at: datetime,
) -> None:
    """News of a kind (notifications.kinds) for an organisation's people. `params` fill its words: of a moment UTC text, with
    `zone` the depot's; who is `actor_name`, an e-mail address, is not told. `link` is a path of ours."""
    Occurrence.objects.create(
        organisation_id=_key(organisation), kind=KINDS[kind].name, params=params or {}, link=link,
        booking_id=_key(booking) if booking is not None else None, actor_name=actor_name, at=at,
    )  # fmt: skip


def word_from_waitlist(
    kind: str, feed_type: str, entry: WaitlistEntry, *, params: dict[str, Any], at: datetime
) -> None:
    """To the fleet that waits and its systems, which are told the WaitlistEntry of the JSON API as an event of `feed_type`;
    `params` as above."""
    Occurrence.objects.create(
        organisation_id=entry.fleet_id, kind=KINDS[kind].name, feed_type=feed_type, content=waitlist_object(entry),
        params=params, link="/waitlist/", at=at,
    )  # fmt: skip


def _key(row: Organisation | Booking | int) -> int:
    return row if isinstance(row, int) else row.pk
