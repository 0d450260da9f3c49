"""How long a charger that does as it was told takes to be back, once its gateway has stopped: by OCPP's back-off.

A charger waits `RetryBackOffWaitMinimum` and up to `RetryBackOffRandomRange` more, so that not all come at once, and twice as
long after each try that fails, `RetryBackOffRepeatTimes` times at most (2.0.1 part 4, §5.3).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from depots.models import SettingsCheck

# From a charger's good-bye until the next gateway listens: the other waves, those whose good-bye is cut off, and a start.
AWAY = timedelta(seconds=40)
# An operator's own back-off is believed so far: a charger that is away for an hour is away, whoever began it.
LONGEST = timedelta(minutes=15)
_KEYS = tuple(f"OCPPCommCtrlr.RetryBackOff{name}" for name in ("WaitMinimum", "RandomRange", "RepeatTimes"))


@dataclass(frozen=True)
class BackOff:
    """Seconds, and how often they are doubled."""

    wait_minimum_s: int
    random_range_s: int
    repeat_times: int

    def back_within(self, away: timedelta = AWAY) -> timedelta:
        """The slowest return: every try of the longest wait, the first after `away` succeeds."""
        wait_s = float(self.wait_minimum_s + self.random_range_s)
        after_s, left = wait_s, self.repeat_times
        while 0 < after_s < min(away, LONGEST).total_seconds():
            wait_s, left = (wait_s * 2, left - 1) if left > 0 else (wait_s, 0)
            after_s += wait_s
        return min(timedelta(seconds=max(after_s, away.total_seconds())), LONGEST)


# Where a charger has told of none, as all of OCPP 1.6: what the usual stacks do.
USUAL = BackOff(10, 20, 3)


def back_offs(charger_ids: Collection[int]) -> dict[int, BackOff]:
    """By charger, of those that told theirs with their settings; one query."""
    checks = SettingsCheck.objects.filter(charger__in=charger_ids, told__has_keys=list(_KEYS))
    found = {pk: _read(told) for pk, told in checks.values_list("charger_id", "told")}
    return {pk: back_off for pk, back_off in found.items() if back_off is not None}


def _read(told: dict[str, Any]) -> BackOff | None:
    texts = [str(told[key].get("value") or "") for key in _KEYS]
    if not all(text.isascii() and text.isdigit() and len(text) < 7 for text in texts):
        return None
    return BackOff(*map(int, texts))
