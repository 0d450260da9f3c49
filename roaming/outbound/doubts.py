"""What a partner has once something was sent to it and no yes was heard: it may be that, or what it had.

What was told last is then no reason to send nothing, even where the object has become again what it was. By which name a partner
knows a token stays known: in a digest that stands before a "#".
"""

from __future__ import annotations

from typing import Any

from django.db.models.expressions import RawSQL

# `doubted` of a row of roaming_delivery.
DOUBTED = """jsonb_set(
        coalesce({row}.delivered, '{{}}'), '{{digest}}',
        to_jsonb(coalesce(substring({row}.delivered->>'digest' from '^(.*#)?'), ''))
    )"""
# As a value for `update`.
DOUBTED_THERE = RawSQL(DOUBTED.format(row="roaming_delivery"), [])  # noqa: S611 - made of constants


def doubted(told: dict[str, Any] | None) -> dict[str, Any]:
    """`Delivery.delivered`, of whose digest no more than the name holds."""
    name, mark, _ = (told or {}).get("digest", "").rpartition("#")
    return {**(told or {}), "digest": f"{name}{mark}"}
