"""Jobs: each looks again at the truth, and may run twice."""

from __future__ import annotations

from datetime import datetime

import dramatiq
from django.db import transaction
from django.utils import timezone

from roaming import token_rotation


@dramatiq.actor(max_retries=0)
def rotate_tokens(partner_id: int) -> None:
    """It comes again by itself where it failed (`Partner.next_rotation_at`)."""
    token_rotation.rotate_due(partner_id=partner_id, now=timezone.now())


def start_rotations(*, now: datetime) -> None:
    """Plan what is not planned, and start what is due."""
    token_rotation.plan_rotations(now=now)
    with transaction.atomic():
        for partner_id in token_rotation.take_due(now=now):
            rotate_tokens.send(partner_id)
