"""The bookings in the way of a closure as rows of a page: what is proposed of each, what else could be, and what was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from bookings.errors import EvseUnknown
from bookings.models import Booking, ClosureStep
from bookings.operations.closure_acts import Choice
from bookings.operations.closure_plan import Outcome, Proposal, version_of
from depots.models import Depot, Evse

PREFIX = "choice-"
# How many of the places that would do just as well are offered.
MOST_OTHERS = 12
_COUNTED = [
    (Outcome.MOVED, "moved"),
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
        return _WORDS[self.proposal.outcome]

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
        return [
            *moves,
            ("cancel", "Cancel, at the depot's cost"),
            ("stay", "Leave it there"),
        ]


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
    return "stay" if proposal.stays else "cancel"


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


def _choice(wanted: str, by_uid: Mapping[str, int]) -> Choice:
    verb, _, uid = wanted.partition(":")
    if verb == "cancel":
        return Choice(Outcome.CANCELLED)
    if verb == "stay":
        return Choice(Outcome.STAYS)
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
