"""What a partner lets us do at its chargers, which bookings cannot know: asked of the function that settings.PARTNER_CONTROL
names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from bookings.models import Booking


def takes_commands(booking: Booking) -> bool:
    """Whether the partner that runs the depot starts and stops charging when it is asked to."""
    return _answerer()(booking)


@cache
def _answerer() -> Callable[[Booking], bool]:
    return cast(Callable[[Booking], bool], import_string(settings.PARTNER_CONTROL))
