"""Whether the network that issued a token is asked before it charges, and what its answer or its silence means (decision 116).

A booking is its network's word already, so silence leaves it standing; a no does not. One that names no token is opened by the
card about which its network answers with the booking's reference (ocpi/ocpi#559: the specification leaves open who may use it).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection

from bookings.models import Booking, OwnerAnswer, OwnerCheck
from bookings.rules.identification import PresentedToken
from depots.gate import Authorization, Holder, HolderReference, OwnerQuestion
from depots.models import Evse

Outcome = OwnerAnswer.Outcome
ASKED = frozenset({OwnerCheck.SHOULD, OwnerCheck.MUST})
# Who identified starts within this; whoever shows a token again is asked about again.
STARTS_WITHIN = timedelta(minutes=15)
# A card that nobody knew is not asked about again for a moment: it is shown to the reader several times.
UNKNOWN_FOR = timedelta(minutes=1)
# By hand: a driver waits for it.
_HEARD = """
    SELECT answered_at, outcome, reference, evse_uids, owner_id, country_code, party_id FROM bookings_owneranswer
    WHERE charger_id = %s AND number = %s AND type = %s
"""
REASONS = {
    Outcome.BLOCKED: "blocked",
    Outcome.EXPIRED: "expired",
    Outcome.NO_CREDIT: "no_credit",
    Outcome.NOT_ALLOWED: "elsewhere",
    Outcome.UNKNOWN: "unknown_token",
    Outcome.SILENT: "not_confirmed",
}


@dataclass(frozen=True)
class OwnerWord:
    """What a network said of a token. `outcome` is an OwnerAnswer.Outcome; for the rest see that model."""

    outcome: str
    reference: str = ""
    evse_uids: Sequence[str] = ()
    owner_id: int | None = None
    country_code: str = ""
    party_id: str = ""
    info: str = ""

    @property
    def holders(self) -> list[Holder]:
        return spoken_for(self.owner_id or 0, self.country_code, self.party_id)

    @property
    def references(self) -> list[HolderReference]:
        return [(*holder, self.reference.upper()) for holder in self.holders]

    def opens(self, references: Collection[HolderReference]) -> bool:
        """Whether it lets the token charge for the booking of one of these."""
        return self.outcome == Outcome.ALLOWED and any(name in references for name in self.references)


@dataclass(frozen=True)
class OwnerCheckNeeded:
    """Who is asked, and whether the token charges when nobody answers. Without owners whoever may know it, and first of all the
    `holders` of bookings that it may open (depots.gate.OwnerQuestion). `is_for_booking`: only because of these is anybody asked,
    so that it changes nothing if they do not know it, nor what others say."""

    owner_ids: tuple[int, ...]
    may_charge_unanswered: bool
    holders: tuple[Holder, ...] = ()
    is_for_booking: bool = False


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


def also_for(
    needed: OwnerCheckNeeded | None, token: PresentedToken, bookings: Sequence[Booking]
) -> OwnerCheckNeeded | None:
    """With those asked too whose bookings, which name no token, it may open."""
    if not bookings:
        return needed
    holders = tuple(dict.fromkeys(holder_of(b) for b in bookings))
    if needed is not None:
        return replace(needed, holders=holders)
    owners = tuple(sorted({owner for owner, _, _ in holders} & set(token.owners)))
    return OwnerCheckNeeded(owners, may_charge_unanswered=True, holders=holders, is_for_booking=True)


def holder_of(booking: Booking) -> Holder:
    """The party of a network that booked; its network alone where that told none."""
    return booking.fleet_id, booking.customer_country.upper(), booking.customer_party.upper()


def spoken_for(owner_id: int, country_code: str, party_id: str) -> list[Holder]:
    """Whose bookings a network's party may speak of: its own, and those of which its network told no party. A hub is one network
    for many parties."""
    return [(owner_id, country_code.upper(), party_id.upper()), (owner_id, "", "")]


def references_of(booking: Booking) -> set[HolderReference]:
    """What its holder answers with that lets a card use it."""
    references = {booking.authorization_reference, booking.reference} - {""}
    return {(*holder_of(booking), reference.upper()) for reference in references}


def heard_of(question: OwnerQuestion, *, now: datetime) -> OwnerWord | None:
    """The word that counts: at a start that of the Authorize before it, else only one to this very question. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_HEARD, [question.charger_id, question.number, question.token_type])
        row = cursor.fetchone()
    if row is None:
        return None
    answered_at, word = row[0], OwnerWord(*row[1:])
    is_kept = word.outcome == Outcome.UNKNOWN and answered_at >= now - UNKNOWN_FOR
    since = now - STARTS_WITHIN if question.evse_id is not None else now
    return word if is_kept or answered_at >= since else None


def as_answered(
    answer: Authorization,
    needed: OwnerCheckNeeded,
    question: OwnerQuestion,
    evses: Collection[Evse],
    opens: Mapping[HolderReference, Authorization],
    word: OwnerWord,
) -> Authorization:
    """What holds by its issuer's word, which no charger may remember. `opens` is what holds if that names a booking
    (`references_of`)."""
    is_of_holder = word.outcome != Outcome.UNKNOWN and any(h in needed.holders for h in word.holders)
    if word.outcome == Outcome.SILENT or (needed.is_for_booking and not is_of_holder):
        return unanswered(answer, needed)
    if word.outcome == Outcome.ALLOWED:
        by_booking = next((opens[name] for name in word.references if name in opens), answer)
        return _allowed(by_booking, word, question.evse_id, evses)
    return Authorization(allowed=False, reason=REASONS[Outcome(word.outcome)], holds_until=answer.holds_until)


def unanswered(answer: Authorization, needed: OwnerCheckNeeded) -> Authorization:
    """What holds by its issuer's silence, and as long as it has not been asked."""
    if not answer.allowed or needed.may_charge_unanswered:
        return answer
    return Authorization(allowed=False, reason=REASONS[Outcome.SILENT], holds_until=answer.holds_until)


def _allowed(
    answer: Authorization, word: OwnerWord, evse_id: int | None, evses: Collection[Evse]
) -> Authorization:
    """Where its issuer names EVSEs, at these alone. What it allows, a rule of ours may still refuse."""
    answer = replace(answer, reference=word.reference)
    if not answer.allowed or not word.evse_uids:
        return answer
    named = {uid.upper() for uid in word.evse_uids}
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
