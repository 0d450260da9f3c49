"""How often a partner said something otherwise than the specification has it, for an operator to see."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from roaming.models import Partner
from roaming.queries import IN_WORDS

MOST_NAMES = 200
# Names of fields may be a partner's own, and of any length.
LONGEST_NAME = 80


def count(partner: Partner, names: Collection[str]) -> None:
    """Add one to each name in `Partner.deviations`. What people are told in words counts however full it is."""
    if not names:
        return
    with transaction.atomic():
        row = Partner.objects.select_for_update(no_key=True).only("deviations").get(pk=partner.pk)
        for name in (told[:LONGEST_NAME] for told in names):
            if name in row.deviations or name in IN_WORDS or len(row.deviations) < MOST_NAMES:
                row.deviations[name] = row.deviations.get(name, 0) + 1
        row.save(update_fields=["deviations"])
