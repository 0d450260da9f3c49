"""The bookings in the way of a closure as rows of a page: what is proposed of each, what else could be, and what was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from bookings.errors import EvseUnknown
from bookings.models import Booking, BookingRequest, ClosureAct, ClosureStep
from bookings.operations.closure_acts import Choice
from bookings.operations.closure_plan import Outcome, Proposal, version_of
from bookings.operations.counter_offer import offered_period
from bookings.pages.offer_words import moment_words, span_words
from depots.models import Depot, Evse

PREFIX = "choice-"
# How many of the places that would do just as well are offered.
MOST_OTHERS = 12
_COUNTED = [
    (Outcome.MOVED, "moved"),
    (Outcome.OFFERED, "offered another time"),
    (Outcome.CANCELLED, "cancelled"),
    (Outcome.STAYS, "left as they are"),
]
_WORDS = {
    Outcome.CANCELLED: "Cancelled: nothing else is free",
    Outcome.STAYS: "Left: its charger keeps the place",
}


@dataclass(frozen=True)
class ClosureRow:
    """`options` are (value, words) to choose from, of which `chosen` is one; `news` says what is other than was seen."""

    proposal: Proposal
    depot: Depot
    chosen: str
    news: str = ""

    @property
    def booking(self) -> Booking:
        return self.proposal.booking

    @property
    def kind(self) -> str:
        return self.proposal.outcome.value

    @property
    def words(self) -> str:
        """What is proposed."""
        if self.proposal.move_to is not None:
            return f"Moved to {self.proposal.move_to}"
        if not self.proposal.may_be_decided:
            return "Left to finish charging"
        if self.proposal.is_offered:
            return "Left: another time is offered for it already"
        if self.proposal.other is not None:
            return f"Offered {self._other_words}"
        return _WORDS[self.proposal.outcome]

    @property
    def otherwise(self) -> str:
        """What becomes of it where its fleet does not take what is offered."""
        other = self.proposal.other
        if other is None:
            return ""
        until = moment_words(other.until, self.depot.zone)
        return f"No other EVSE is free then. Without a yes by {until} it is cancelled, at the depot's cost."

    @property
    def _other_words(self) -> str:
        other = self.proposal.other
        return f"{span_words(other.period, self.depot.zone)} at {other.evse}" if other is not None else ""

    @property
    def starts_at(self) -> datetime:
        return self.booking.starts_at.astimezone(self.depot.zone)

    @property
    def ends_at(self) -> datetime:
        return self.booking.ends_at.astimezone(self.depot.zone)

    @property
    def url(self) -> str:
        return reverse("bookings:board_booking", args=[self.depot.code, self.booking.pk])

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.booking.pk}"

    @property
    def options(self) -> list[tuple[str, str]]:
        if not self.proposal.may_be_decided:
            return []
        moves = [(f"move:{evse.uid}", f"Move to {evse}") for evse in self.proposal.others[:MOST_OTHERS]]
        offer = [("offer", "Offer that time")] if self.proposal.other is not None else []
        return [
            *moves,
            *offer,
            ("cancel", "Cancel, at the depot's cost"),
            ("stay", "Leave it there"),
        ]


# What is chosen, as an option of the form; a move names its EVSE as well.
_VALUES = {Outcome.OFFERED: "offer", Outcome.CANCELLED: "cancel", Outcome.STAYS: "stay"}


def rows_of(
    proposals: Sequence[Proposal], depot: Depot, given: Mapping[str, str] | None = None
) -> list[ClosureRow]:
    """What its charger keeps or charges first, then in order of time; with the choices of a form that was sent, as far as they
    are still possible, and what has changed since it was shown."""
    seen = _seen(given.get("rows", "")) if given else {}
    rows = []
    for proposal in sorted(proposals, key=lambda one: not one.is_at_charger):
        row = ClosureRow(proposal, depot, value_of(proposal), _news(proposal, seen) if seen else "")
        wanted = given.get(row.name, "") if given else ""
        is_possible = wanted in {value for value, _ in row.options}
        rows.append(ClosureRow(proposal, depot, wanted, row.news) if is_possible else row)
    return rows


def value_of(proposal: Proposal) -> str:
    """What is proposed, as an option."""
    if proposal.move_to is not None:
        return f"move:{proposal.move_to.uid}"
    return _VALUES[proposal.outcome]


def choices_of(
    given: Mapping[str, str], proposals: Iterable[Proposal], evses: Iterable[Evse]
) -> dict[int, Choice]:
    """What was chosen instead of what is proposed, by booking id. Raises EvseUnknown."""
    by_uid = {evse.uid: evse.pk for evse in evses}
    found = {}
    for proposal in proposals:
        wanted = given.get(f"{PREFIX}{proposal.booking.pk}", "")
        if wanted and wanted != value_of(proposal):
            found[proposal.booking.pk] = _choice(wanted, by_uid)
    return found


def all_stay(proposals: Iterable[Proposal]) -> dict[int, Choice]:
    return {proposal.booking.pk: Choice(Outcome.STAYS) for proposal in proposals}


def seen_rows(proposals: Iterable[Proposal]) -> str:
    """For a hidden field of the form, so that the next page can say what has changed."""
    return " ".join(f"{proposal.booking.pk}:{version_of([proposal])}" for proposal in proposals)


def gone_since(given: Mapping[str, str], proposals: Iterable[Proposal]) -> int:
    """How many bookings that were shown stand in the way no more."""
    return len(_seen(given.get("rows", "")).keys() - {str(proposal.booking.pk) for proposal in proposals})


def summary(outcomes: Iterable[str]) -> str:
    number = Counter(outcomes)
    parts = [f"{number[kind]} {word}" for kind, word in _COUNTED if number[kind]]
    return f"Bookings: {', '.join(parts)}." if parts else "No booking stood in it."


def summary_of_steps(steps: Iterable[ClosureStep]) -> str:
    return summary(step.outcome for step in steps)


def evse_names(act: ClosureAct) -> str:
    """Of those it closed, each once; their closures are at hand."""
    return ", ".join(sorted({closure.evse.uid for closure in act.closures.all()}))


def with_next_alone(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a closure that repeats only the next day at each EVSE, and what is past; with `more`, how many days come after it, and
    the `last` of them. `standing` counts the bookings of all."""
    found: list[dict[str, Any]] = []
    ahead: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        closure = row["closure"]
        repeats = closure.act is not None and closure.act.rrule and row["state"] == "ahead"
        first = ahead.get((closure.act_id, closure.evse_id)) if repeats else None
        if first is None:
            found.append({**row, "more": 0})
            if repeats:
                ahead[closure.act_id, closure.evse_id] = found[-1]
        else:
            first["more"], first["last"] = first["more"] + 1, row["starts_at"]
            first["standing"] += row["standing"]
    return found


@dataclass(frozen=True)
class StepRow:
    """What an act did with a booking, and of what it offered what became of it."""

    step: ClosureStep
    depot: Depot

    @property
    def where(self) -> str:
        step = self.step
        if step.offer is not None:
            return f"{span_words(offered_period(step.offer), self.depot.zone)} at {step.evse_after}"
        return f"from {step.evse_before} to {step.evse_after}" if step.evse_after is not None else ""

    @property
    def answer(self) -> str:
        offer, booking = self.step.offer, self.step.booking
        if offer is None:
            return ""
        if offer.is_pending and booking.decide_until is not None:
            until = moment_words(booking.decide_until, self.depot.zone)
            return f"Its fleet has until {until} to answer"
        return _ANSWERS.get(offer.decision, "")


_ANSWERS: dict[str, str] = {
    BookingRequest.Decision.ACCEPTED: "Accepted",
    BookingRequest.Decision.DECLINED: "Not accepted, or taken back",
    BookingRequest.Decision.FAILED: "Not answered in time",
}


def _choice(wanted: str, by_uid: Mapping[str, int]) -> Choice:
    verb, _, uid = wanted.partition(":")
    outcome = next((outcome for outcome, value in _VALUES.items() if value == verb), None)
    if outcome is not None:
        return Choice(outcome)
    if verb != "move" or uid not in by_uid:
        raise EvseUnknown("There is no such EVSE at this depot.")
    return Choice(Outcome.MOVED, by_uid[uid])


def _seen(text: str) -> dict[str, str]:
    return dict(part.split(":", 1) for part in text[:20_000].split() if ":" in part)


def _news(proposal: Proposal, seen: Mapping[str, str]) -> str:
    before = seen.get(str(proposal.booking.pk))
    if before is None:
        return "New here since you looked"
    return "" if before == str(version_of([proposal])) else "Other than you saw it"
