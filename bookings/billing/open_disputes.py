"""Disputes that wait for an answer, when their record is taken back: they go with what replaces it, or are settled with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.models import ChargeDetailRecord, Dispute

CREDITED = "The record was credited."
MERGED = "The record was issued anew, and what is disputed of it goes on with another dispute."


def follow_new_issue(cdr: ChargeDetailRecord, *, actor: Actor, now: datetime) -> None:
    """Those of the record that this one replaces go with it, each to its line or, where that is gone, to the whole; of two
    that come to say the same the first."""
    before: Any = cdr.replaces
    lines, after = before.bill["lines"], [_key(line) for line in cdr.bill["lines"]]
    taken: set[int | None] = set()
    for dispute in _waiting(before):
        key = _key(lines[dispute.line]) if dispute.line is not None else None
        line = after.index(key) if key is not None and key in after else None
        if line in taken:
            close(dispute, Dispute.Outcome.ACCEPTED, MERGED, actor, now)
            continue
        taken.add(line)
        dispute.cdr, dispute.line = cdr, line
        dispute.save(update_fields=["cdr", "line"])


def settle_with(cdr: ChargeDetailRecord, *, answer: str = CREDITED, actor: Actor, now: datetime) -> None:
    """The record was credited, and nothing replaces it."""
    for dispute in _waiting(cdr):
        close(dispute, Dispute.Outcome.ACCEPTED, answer, actor, now)


def close(dispute: Dispute, outcome: Dispute.Outcome, answer: str, actor: Actor, now: datetime) -> None:
    dispute.outcome, dispute.answer, dispute.answered_at = outcome, answer, now
    for name, value in actor.columns("answered_by").items():
        setattr(dispute, name, value)
    dispute.save(update_fields=["outcome", "answer", "answered_at", "answered_by_kind", "answered_by_name"])


def _waiting(cdr: ChargeDetailRecord) -> list[Dispute]:
    return list(Dispute.objects.filter(cdr=cdr, outcome=Dispute.Outcome.OPEN).order_by("id"))


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["use"], line["dimension"], line["element"], line["price"]
