"""Whether the network that issued a token is asked before it charges, and what its answer or its silence means (decision 116).

A booking is its network's word already, so silence leaves it standing; a no does not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bookings.models import OwnerAnswer, OwnerCheck
from bookings.rules.identification import PresentedToken
from depots.gate import Authorization, OwnerQuestion
from depots.models import Evse

Outcome = OwnerAnswer.Outcome
ASKED = frozenset({OwnerCheck.SHOULD, OwnerCheck.MUST})
# Who identified starts within this; whoever shows a token again is asked about again.
STARTS_WITHIN = timedelta(minutes=15)
# A card that nobody knew is not asked about again for a moment: it is shown to the reader several times.
UNKNOWN_FOR = timedelta(minutes=1)
REASONS = {
    Outcome.BLOCKED: "blocked",
    Outcome.EXPIRED: "expired",
    Outcome.NO_CREDIT: "no_credit",
    Outcome.NOT_ALLOWED: "elsewhere",
    Outcome.UNKNOWN: "unknown_token",
    Outcome.SILENT: "not_confirmed",
}


@dataclass(frozen=True)
class OwnerCheckNeeded:
    """Who is asked, and whether the token charges when nobody answers. Without owners whoever may know it."""

    owner_ids: tuple[int, ...]
    may_charge_unanswered: bool


OF_UNKNOWN = OwnerCheckNeeded((), False)


def check_of_booking(token: PresentedToken, fleet_id: int) -> OwnerCheckNeeded | None:
    """Of a token that opens a booking of this fleet or network."""
    return OwnerCheckNeeded((fleet_id,), True) if token.check_by(fleet_id) in ASKED else None


def check_of_walk_in(token: PresentedToken) -> OwnerCheckNeeded | None:
    """Of one that may charge without a booking: nobody is asked where one owner's word is had already."""
    checks = {owner: token.check_by(owner) for owner in token.owners}
    if not checks or not set(checks.values()) <= ASKED:
        return None
    return OwnerCheckNeeded(tuple(sorted(checks)), OwnerCheck.SHOULD in checks.values())


def as_answered(
    answer: Authorization,
    needed: OwnerCheckNeeded,
    question: OwnerQuestion,
    evses: Collection[Evse],
    *,
    now: datetime,
) -> Authorization:
    """What holds by what its issuer said, or by its silence as long as it has not been asked. One query."""
    answer = replace(answer, holds_until=now)
    heard = _heard(question, now)
    if heard is None:
        question = replace(question, owner_ids=needed.owner_ids)
        return replace(_unanswered(answer, needed), question=question)
    if heard.outcome == Outcome.ALLOWED:
        return _allowed(answer, heard, question.evse_id, evses)
    if heard.outcome == Outcome.SILENT:
        return _unanswered(answer, needed)
    return Authorization(allowed=False, reason=REASONS[Outcome(heard.outcome)], holds_until=now)


def _heard(question: OwnerQuestion, now: datetime) -> OwnerAnswer | None:
    """The answer that counts: at a start that of the Authorize before it, else only one to this very question."""
    rows = OwnerAnswer.objects.filter(
        charger=question.charger_id, number=question.number, type=question.token_type
    )
    heard = rows.first()
    if heard is None:
        return None
    is_kept = heard.outcome == Outcome.UNKNOWN and heard.answered_at >= now - UNKNOWN_FOR
    since = now - STARTS_WITHIN if question.evse_id is not None else now
    return heard if is_kept or heard.answered_at >= since else None


def _unanswered(answer: Authorization, needed: OwnerCheckNeeded) -> Authorization:
    if not answer.allowed or needed.may_charge_unanswered:
        return answer
    return Authorization(allowed=False, reason=REASONS[Outcome.SILENT], holds_until=answer.holds_until)


def _allowed(
    answer: Authorization, heard: OwnerAnswer, evse_id: int | None, evses: Collection[Evse]
) -> Authorization:
    """Where its issuer names EVSEs, at these alone. What it allows, a rule of ours may still refuse."""
    answer = replace(answer, reference=heard.reference)
    if not answer.allowed or not heard.evse_uids:
        return answer
    named = {uid.upper() for uid in heard.evse_uids}
    open_to_it = [evse for evse in evses if evse.uid.upper() in named]
    if evse_id is not None:
        is_among = any(evse.pk == evse_id for evse in open_to_it)
        return answer if is_among else replace(answer, allowed=False, reason="elsewhere", group="")
    numbers = [evse.number for evse in open_to_it]
    if answer.evse_numbers is not None:
        numbers = [number for number in answer.evse_numbers if number in numbers]
    if not numbers:
        return replace(answer, allowed=False, reason="elsewhere", group="", evse_numbers=None)
    return replace(answer, evse_numbers=numbers)
