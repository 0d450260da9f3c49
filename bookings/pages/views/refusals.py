"""From a refusal to the status and the words of an answer."""

from __future__ import annotations

from bookings.errors import IN_THE_WAY, BookingError, ChangedMeanwhile
from bookings.rules.content_version import look_again


def status_of(refusal: BookingError) -> int:
    return 409 if refusal.code in IN_THE_WAY else 422


def words_of(refusal: BookingError) -> str:
    """For a notice: what was refused because something had changed is shown as it is by now."""
    return look_again(refusal) if isinstance(refusal, ChangedMeanwhile) else str(refusal)
