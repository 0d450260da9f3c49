"""Waiting for something another process brings about."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 120.0
LOOK_S = 0.05


def eventually(look: Callable[[], T], *, of: str = "it", within_s: float = DEADLINE_S) -> T:
    """The first true thing `look` gives. Raises AssertionError, saying what it gave last, when the time is up."""
    give_up_at = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < give_up_at, (
            f"{of} did not come about within {within_s} s; last seen: {seen!r}"
        )
        time.sleep(LOOK_S)
    return seen
