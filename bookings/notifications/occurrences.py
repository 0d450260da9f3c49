"""Leave word of what is no event of a booking: it is told once the caller's transaction has committed, and with it or not at
all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.models import Booking, Occurrence
from bookings.notifications.feed import WAITLIST_OFFERED
from bookings.notifications.kinds import KINDS
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


def offer_from_waitlist(
    organisation: Organisation | int,
    content: dict[str, Any],
    *,
    params: dict[str, Any],
    link: str,
    at: datetime,
) -> None:
    """An offer to somebody who waits: `content` is the WaitlistEntry of the JSON API, told as `waitlist.offered`; `params` as
    above with `starts_at`, `ends_at` and `until`."""
    Occurrence.objects.create(
        organisation_id=_key(organisation), kind="waitlist_offer", feed_type=WAITLIST_OFFERED,
        content=content, params=params, link=link, at=at,
    )  # fmt: skip


def _key(row: Organisation | Booking | int) -> int:
    return row if isinstance(row, int) else row.pk
