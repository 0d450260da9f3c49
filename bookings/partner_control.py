"""What a partner lets us do at its chargers, which bookings cannot know: asked of the function that settings.PARTNER_CONTROL
names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from bookings.models import Booking


def offered(booking: Booking) -> frozenset[str]:
    """What the partner that runs the depot has its chargers do when it is asked to (PartnerCommand.Kind)."""
    return _answerer()(booking)


@cache
def _answerer() -> Callable[[Booking], frozenset[str]]:
    return cast(Callable[[Booking], frozenset[str]], import_string(settings.PARTNER_CONTROL))
