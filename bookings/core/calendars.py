"""Telling of changed calendars: an operation gathers the EVSEs whose free time it changed, and tells of them at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from django.db import transaction

from bookings.core.locking import lock_options
from bookings.models import BookingOption
from bookings.rules import power
from bookings.signals import calendars_changed

# EVSEs whose calendars the operation under way has changed, with the moment; None outside of one.
_gathered: ContextVar[dict[int, datetime] | None] = ContextVar("gathered", default=None)


@contextmanager
def one_operation() -> Iterator[None]:
    """A transaction that tells of changed calendars once, at its end.

    Options come last in the order of locks; told as each piece of an operation is done, two operations over two options
    could wait for one another.
    """
    with transaction.atomic():
        if _gathered.get() is not None:
            yield
            return
        evses: dict[int, datetime] = {}
        gathering = _gathered.set(evses)
        try:
            yield
        finally:
            _gathered.reset(gathering)
        if evses:
            _tell_calendars(sorted(evses), at=max(evses.values()))


def mark_changed(evse_ids: Iterable[int | None], *, at: datetime) -> None:
    """Raise the calendar version of every option these EVSEs belong to, under its lock, and say so; also of those that
    share a limit of power with them, because what is taken here cannot be promised there.

    Within `one_operation` that happens at its end.
    """
    evses = sorted({evse_id for evse_id in evse_ids if evse_id})
    gathered = _gathered.get()
    if gathered is not None:
        gathered.update({evse_id: max(at, gathered.get(evse_id, at)) for evse_id in evses})
    elif evses:
        _tell_calendars(evses, at=at)


def _tell_calendars(evses: list[int], *, at: datetime) -> None:
    touched = {*evses, *power.fed_together(evses)}
    ids = set(BookingOption.objects.filter(evses__in=touched, is_mirror=False).values_list("pk", flat=True))
    options = lock_options(ids)
    for option in options:
        option.calendar_version += 1
        option.updated_at = max(at, option.updated_at)
    BookingOption.objects.bulk_update(options, ["calendar_version", "updated_at"])
    calendars_changed.send(sender=BookingOption, option_ids=sorted(ids), evse_ids=evses, at=at)
