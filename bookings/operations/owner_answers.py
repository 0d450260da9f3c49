"""What networks answer when they are asked about a token at a charger, kept for the start that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from bookings.models import OwnerAnswer
from depots.gate import OwnerQuestion
from depots.models import Organisation

KEPT = timedelta(days=1)


@dataclass(frozen=True)
class OwnerWord:
    """`outcome` is an OwnerAnswer.Outcome; for the rest see the model."""

    outcome: str
    reference: str = ""
    evse_uids: Sequence[str] = ()
    info: str = ""


def record_owner_answer(
    *, question: OwnerQuestion, word: OwnerWord, owner: Organisation | None = None, now: datetime
) -> OwnerAnswer:
    """The newest answer takes the place of the one before; what is older than a day goes with it."""
    of_charger = OwnerAnswer.objects.filter(charger=question.charger_id)
    with transaction.atomic():
        of_charger.filter(answered_at__lt=now - KEPT).delete()
        answer, _ = OwnerAnswer.objects.update_or_create(
            charger_id=question.charger_id,
            number=question.number,
            type=question.token_type,
            defaults={
                "owner": owner,
                "outcome": word.outcome,
                "reference": word.reference[:64],
                "evse_uids": list(word.evse_uids),
                "info": word.info[:512],
                "answered_at": now,
            },
        )
    return answer
