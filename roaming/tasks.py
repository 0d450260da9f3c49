"""Jobs: each looks again at the truth, and may run twice."""

from __future__ import annotations

from datetime import datetime

import dramatiq
from django.db import transaction
from django.utils import timezone

from roaming import token_rotation
from roaming.console import comparing


@dramatiq.actor(max_retries=0)
def rotate_tokens(partner_id: int) -> None:
    """It comes again by itself where it failed (`Partner.next_rotation_at`)."""
    token_rotation.rotate_due(partner_id=partner_id, now=timezone.now())


@dramatiq.actor(max_retries=0, time_limit=3_600_000)
def compare_partner(partner_id: int) -> None:
    """What somebody asked for on the page of a partner."""
    comparing.carry_out(partner_id=partner_id, clock=timezone.now)


def start_rotations(*, now: datetime) -> None:
    """Plan what is not planned, and start what is due."""
    token_rotation.plan_rotations(now=now)
    with transaction.atomic():
        for partner_id in token_rotation.take_due(now=now):
            rotate_tokens.send(partner_id)
