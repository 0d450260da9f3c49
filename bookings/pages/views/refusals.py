"""From a refusal to the status and the words of an answer."""

from __future__ import annotations

from bookings.errors import BookingError, ChangedMeanwhile
from bookings.rules.content_version import look_again

# Somebody or something else stands in the way; with other refusals the ask itself does not fit the rules.
CONFLICTS = {
    "changed_meanwhile",
    "charger_cannot",
    "charger_offline",
    "evse_needed",
    "session_over",
    "slot_taken",
    "template_known",
    "wrong_status",
    "power_unavailable",
    "lower_power",
    "nothing_to_decide",
    "payment_awaited",
    "price_changed",
    "token_elsewhere",
    "vehicle_elsewhere",
    "finding_gone",
    "invoice_known",
    "nothing_to_lift",
    "nothing_to_record",
    "identity_taken",
    "uid_taken",
}


def status_of(refusal: BookingError) -> int:
    return 409 if refusal.code in CONFLICTS else 422


def words_of(refusal: BookingError) -> str:
    """For a notice: what was refused because something had changed is shown as it is by now."""
    return look_again(refusal) if isinstance(refusal, ChangedMeanwhile) else str(refusal)
