"""A charger's password in OCPP 1.6: AuthorizationKey, told in hex (security whitepaper, A01)."""

from __future__ import annotations

from typing import Any

from depots.ocpp.command_words import password_in


def set_password(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    key = password_in(payload).encode().hex()
    return "ChangeConfiguration", {"key": "AuthorizationKey", "value": key}
