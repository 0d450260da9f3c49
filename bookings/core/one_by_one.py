from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from bookings.core import calendars

logger = logging.getLogger(__name__)


def each_by_itself(keys: Iterable[int], do: Callable[[int], int]) -> int:
    """The sum of what `do` gives for each key of a booking or of what hangs on it, in a transaction of its own: one that
    fails holds up no other."""
    done = 0
    for key in keys:
        try:
            with calendars.one_operation():
                done += do(key)
        except Exception:
            logger.exception("What is due for %s failed; it is tried again with the next tick", key)
    return done
