"""Our commands that every version of OCPP says alike, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from depots.cards import card_ending
from depots.models import ChargerCommand
from depots.ocpp.dialect import InvalidCommand

Entry = dict[str, Any]


def cancel_reservation(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "CancelReservation", {"reservationId": payload["reservation_id"]}


def clear_cache(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ClearCache", {}


def delete_certificate(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "DeleteCertificate", {"certificateHashData": payload["hash"]}


REQUESTS = {
    ChargerCommand.Action.CANCEL_RESERVATION: cancel_reservation,
    ChargerCommand.Action.CLEAR_CACHE: clear_cache,
    ChargerCommand.Action.DELETE_CERTIFICATE: delete_certificate,
}


def fitting_token(token: str, *, longest: int, protocol: str) -> str:
    """The token as it is. Raises InvalidCommand where the protocol has no room for it."""
    if not 0 < len(token) <= longest:
        raise InvalidCommand(
            f"{protocol} takes tokens of 1 to {longest} characters; {card_ending(token)} has {len(token)}."
        )
    return token


def local_list_update(
    payload: dict[str, Any], *, longest: int, put: Callable[[Entry], Entry], removed: Callable[[Entry], Entry]
) -> dict[str, Any]:
    """updateType and localAuthorizationList. Tokens that the protocol has no room for are left out: no reader of such a
    charger gives them."""
    entries = [
        *(removed(entry) for entry in payload["remove"] if len(entry["uid"]) <= longest),
        *(put(entry) for entry in payload["put"] if len(entry["uid"]) <= longest),
    ]
    return {
        "updateType": "Full" if payload["full"] else "Differential",
        **({"localAuthorizationList": entries} if entries else {}),
    }
