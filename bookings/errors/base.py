"""What every refusal is, and which of them are about something that stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from depots.periods import Period

if TYPE_CHECKING:
    pass


class BookingError(Exception):
    """A refusal: nothing was changed. `str()` is a sentence for a dispatcher and tells nothing of other bookings."""

    code: ClassVar[str] = "refused"
    field: str = ""
    # Where in what was sent that field is, if the asker sent several such things at once.
    path: str = ""
    # Looks for the nearest period beside what is to count as taken, by EVSE id, where that was put off
    # (bookings.operations.places.nearest_later).
    find_nearest: Callable[[Mapping[int, Sequence[Period]]], Period | None] | None = None

    def __init__(self, sentence: str, *, nearest: Period | None = None) -> None:
        super().__init__(sentence)
        self.nearest = nearest


# Codes of refusals where somebody or something else stands in the way; with others the ask itself does not fit the rules.
IN_THE_WAY = frozenset(
    {
        "answer_awaited",
        "changed_meanwhile",
        "charger_cannot",
        "charger_offline",
        "conflicts",
        "evse_in_use",
        "evse_needed",
        "finding_gone",
        "idempotency_key_in_use",
        "identity_taken",
        "invoice_known",
        "lower_power",
        "nothing_to_decide",
        "nothing_to_lift",
        "nothing_to_record",
        "payment_awaited",
        "power_unavailable",
        "price_changed",
        "session_over",
        "slot_taken",
        "template_known",
        "token_elsewhere",
        "uid_taken",
        "vehicle_elsewhere",
        "waits_already",
        "wrong_status",
        "wrong_webhook_state",
    }
)
