"""What partners say of commands of ours, in our words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class ToldResponse:
    """What a partner says at once: whether it passes the command on, for how long it may take, and words for people."""

    is_taken: bool
    waits: timedelta
    text: str = ""


@dataclass(frozen=True)
class ToldResult:
    is_done: bool
    text: str = ""
