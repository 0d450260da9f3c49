"""What partners say of commands of ours, in our words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True)
class ToldResponse:
    """What a partner says at once: whether it passes the command on, for how long it may take, and words for people."""

    is_taken: bool
    waits: timedelta
    text: str = ""


@dataclass(frozen=True)
class ToldActiveProfile:
    """What a session there may take: `limits` as [(seconds from `starts_at`, amount in `unit`)…], of A for each phase."""

    starts_at: datetime
    unit: Literal["W", "A"]
    limits: list[tuple[int, float]]


@dataclass(frozen=True)
class ToldResult:
    """`active` is what a SHOW_LIMIT brought. `is_taken_back`: what was done before is undone by the partner."""

    is_done: bool
    text: str = ""
    active: ToldActiveProfile | None = None
    is_taken_back: bool = False
