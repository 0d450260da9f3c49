"""Jobs of roaming. Each looks at the truth again and may run twice."""

from __future__ import annotations

import dramatiq
from django.utils import timezone

from roaming.outbound import fan_out


@dramatiq.actor(max_retries=10)
def fan_out_calendars(option_ids: list[int]) -> None:
    """Every partner that sees these offers is to get them as they are now."""
    fan_out.want(option_ids, now=timezone.now())
