"""What the versions of OCPP share of our commands to chargers: the words of answers, and how settings are told."""

from __future__ import annotations

from typing import Any

from depots.cards import without_cards
from depots.ocpp.dialect import InvalidCommand
from depots.secrets import UnreadableSecretError, decrypt

LONGEST_SETTING = 500

ANSWERS_TO_COMMANDS = {
    "Accepted": "accepted",
    "Rejected": "rejected",
    "Occupied": "occupied",
    "Faulted": "faulted",
    "Unavailable": "unavailable",
    "Scheduled": "scheduled",
    "Unlocked": "unlocked",
    "UnlockFailed": "unlock_failed",
    "NotSupported": "not_supported",
    "NotImplemented": "not_supported",
    "OngoingAuthorizedTransaction": "ongoing_authorized_transaction",
    "UnknownConnector": "unknown_connector",
    "Unknown": "unknown",
    "Failed": "failed",
    "VersionMismatch": "version_mismatch",
    "RebootRequired": "reboot_required",
    "AcceptedCanceled": "accepted_canceled",
    "InvalidCertificate": "invalid_certificate",
    "RevokedCertificate": "revoked_certificate",
    "EmptyResultSet": "empty_result_set",
    "NotFound": "not_found",
}


def read_status(payload: dict[str, Any]) -> tuple[str, str]:
    """Our word for a charger's answer, and no text; an answer outside the protocol is kept as text."""
    told = payload.get("status")
    word = ANSWERS_TO_COMMANDS.get(told) if isinstance(told, str) else None
    return (word, "") if word else ("error", without_cards(f"an answer outside the protocol: {payload}"))


def trigger_of(name: str, known: frozenset[str]) -> str:
    """The message's name as the protocol spells it. Raises InvalidCommand."""
    found = next((each for each in known if each.lower() == name.lower()), None)
    if found is None:
        raise InvalidCommand(
            f"This charger can be asked for {', '.join(sorted(known))}; not for {name[:50]!r}."
        )
    return found


def password_in(payload: dict[str, Any]) -> str:
    """The password of a `set_password`. Raises InvalidCommand once the charger has it."""
    try:
        return decrypt(payload["encrypted"])
    except (KeyError, UnreadableSecretError):
        raise InvalidCommand("It has this password already, or the key that opens it is gone.") from None


def bounded(value: Any) -> str | None:
    """A setting's value, None where the charger tells none."""
    return None if value is None else str(value)[:LONGEST_SETTING]


def is_true(value: Any) -> bool:
    return str(value or "").strip().lower() == "true"
