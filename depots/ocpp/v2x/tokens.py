"""Tokens of OCPP 2.x, and what a charger is told about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocpp.v201.enums import AuthorizationStatusEnumType, IdTokenEnumType

from depots.gate import Authorization
from depots.ocpp.connection import ChargerConnection
from depots.ocpp.times import write_time

LONGEST_TOKEN = 36

# A token's kind (depots.token_numbers).
TOKEN_TYPE = {
    IdTokenEnumType.iso14443: "RFID",
    IdTokenEnumType.iso15693: "RFID",
    IdTokenEnumType.e_maid: "EMAID",
    IdTokenEnumType.central: "APP_USER",
    IdTokenEnumType.key_code: "KEY_CODE",
    IdTokenEnumType.local: "OTHER",
    IdTokenEnumType.mac_address: "MAC",
    IdTokenEnumType.no_authorization: "",
}

# The type a charger will read when the driver comes: a reservation holds only for it.
WIRE_TYPE = {
    "RFID": IdTokenEnumType.iso14443,
    "EMAID": IdTokenEnumType.e_maid,
    "MAC": IdTokenEnumType.mac_address,
    "KEY_CODE": IdTokenEnumType.key_code,
    "APP_USER": IdTokenEnumType.central,
    "AD_HOC_USER": IdTokenEnumType.central,
    "OTHER": IdTokenEnumType.central,
    "": IdTokenEnumType.iso14443,
}

REFUSAL = {
    "unknown_token": AuthorizationStatusEnumType.unknown,
    "blocked": AuthorizationStatusEnumType.blocked,
    "booked_by_another": AuthorizationStatusEnumType.not_at_this_time,
    "not_yet": AuthorizationStatusEnumType.not_at_this_time,
    "elsewhere": AuthorizationStatusEnumType.not_at_this_location,
    "expired": AuthorizationStatusEnumType.expired,
    "no_credit": AuthorizationStatusEnumType.no_credit,
    "not_confirmed": AuthorizationStatusEnumType.not_at_this_time,
    "": AuthorizationStatusEnumType.invalid,
}


def token_uid(token: Mapping[str, Any]) -> str:
    return str(token.get("idToken") or "").strip()


def token_type(token: Mapping[str, Any]) -> str:
    """Our kind of an idToken's type; types of later or vendors' own lists are "OTHER"."""
    try:
        return TOKEN_TYPE[IdTokenEnumType(str(token.get("type")))]
    except ValueError:
        return "OTHER"


def token_info(answer: Authorization, connection: ChargerConnection) -> dict[str, Any]:
    """idTokenInfo. `evseId` tells a walk-in which EVSEs are not booked for others; a cache may let nobody in for longer
    than the answer holds."""
    info: dict[str, Any] = {"status": AuthorizationStatusEnumType.accepted.value}
    if not answer.allowed:
        info["status"] = REFUSAL.get(answer.reason, AuthorizationStatusEnumType.invalid).value
    if answer.holds_until is not None:
        info["cacheExpiryDateTime"] = write_time(
            connection.by_its_clock(max(answer.holds_until, connection.now()))
        )
    if answer.evse_numbers:
        info["evseId"] = answer.evse_numbers
    if answer.allowed and 0 < len(answer.group) <= LONGEST_TOKEN:
        info["groupIdToken"] = group_token(answer.group)
    return info


def group_token(group: str) -> dict[str, Any]:
    """Groups are ours alone, whatever medium their members use."""
    return {"idToken": group, "type": IdTokenEnumType.central.value}
