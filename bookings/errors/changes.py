"""What cannot be done with a booking, with many of them, or with a request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bookings.core.versions import ChangeSince
    from bookings.operations.many_wishes import ManyOutcome

from bookings.errors.base import BookingError


class ChangeTooLate(BookingError):
    code = "change_too_late"

    def __init__(self, deadline: datetime, local: str) -> None:
        super().__init__(f"Changes were possible until {local}.")
        self.deadline = deadline


class CancelTooLate(BookingError):
    code = "cancel_too_late"

    def __init__(self, deadline: datetime, local: str, *, has_fee: bool = False) -> None:
        """`has_fee`: by itself it still can be, for what that costs."""
        words = "free of charge " if has_fee else ""
        super().__init__(f"This booking could be cancelled {words}until {local}.")
        self.deadline = deadline


class Conflicts(BookingError):
    """Of many that were to be booked together some are refused, so none was. `outcomes` has what each came to
    (bookings.operations.many_wishes)."""

    code = "conflicts"

    def __init__(self, outcomes: Sequence[ManyOutcome], *, done: str = "booked") -> None:
        refused = sum(outcome.refusal is not None for outcome in outcomes)
        super().__init__(f"{refused} of {len(outcomes)} cannot be {done}, so none was.")
        self.outcomes = tuple(outcomes)


class TooManyAtOnce(BookingError):
    code = "too_many_at_once"
    field = "bookings"


class RuleUnclear(BookingError):
    """A rule of a series that cannot be read, or is none that is offered."""

    code = "invalid"

    def __init__(self, sentence: str, *, field: str = "rrule") -> None:
        super().__init__(sentence)
        self.field = field


class WaitsAlready(BookingError):
    """The same vehicle waits there for the same slot."""

    code = "waits_already"
    field = "vehicle"


class TooManyWaiting(BookingError):
    code = "too_many_waiting"


class NothingToChange(BookingError):
    code = "nothing_to_change"


class ChangedMeanwhile(BookingError):
    """What was asked for was asked of an older version, and the same was changed since.

    `changes` are the events since then, oldest first; empty where the version seen is not known.
    """

    code = "changed_meanwhile"

    def __init__(self, sentence: str, *, changes: Sequence[ChangeSince] = ()) -> None:
        super().__init__(sentence)
        self.changes = changes


class TooLateToUndo(BookingError):
    """What one click did can be taken back with another for a few seconds only."""

    code = "too_late_to_undo"


class NothingToDecide(BookingError):
    code = "nothing_to_decide"


class OfferImpossible(BookingError):
    """What a depot offers instead of what was asked for or booked cannot be offered."""

    code = "offer_impossible"


class NotYetStartable(BookingError):
    code = "not_yet"
    field = "starts_at"

    def __init__(self, sentence: str = "The slot has not begun yet.") -> None:
        super().__init__(sentence)


class WrongStatus(BookingError):
    """The move is not in the table. `status` is what the booking was."""

    code = "wrong_status"

    def __init__(self, status: str, to: str, sentence: str = "") -> None:
        super().__init__(sentence or f"A booking that is {words(status)} cannot become {words(to)}.")
        self.status, self.to = status, to


class ReasonUnknown(BookingError):
    code = "unknown_reason"
    field = "reason"


class RequestIdInUse(BookingError):
    code = "request_id_in_use"
    field = "request_id"


class IdempotencyKeyInUse(BookingError):
    """What was asked first under this key is being done just now."""

    code = "idempotency_key_in_use"

    def __init__(self, sentence: str = "What this key was sent with first is being done.") -> None:
        super().__init__(sentence)


class IdempotencyKeyReused(BookingError):
    """The key stands for something else that was asked."""

    code = "idempotency_key_reused"

    def __init__(self, sentence: str = "This key was sent before with another address or body.") -> None:
        super().__init__(sentence)


class BookingUnknown(BookingError):
    code = "unknown_booking"
    field = "id"


class NotAtPartner(BookingError):
    """The depot is a partner's: this is theirs to decide."""

    code = "partner_decides"


class PartnerSilent(BookingError):
    """A change or cancellation is already on its way to the partner; its answer comes first."""

    code = "answer_awaited"


def words(status: str) -> str:
    return status.replace("_", " ")
