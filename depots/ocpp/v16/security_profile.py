"""A charger's security profile in OCPP 1.6: SecurityProfile, which it takes up when it connects next (security whitepaper A05).

It keeps the host it connects to, and comes over TLS.
"""

from __future__ import annotations

from typing import Any

from depots.ocpp.dialect import InvalidCommand


def set_profile(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ChangeConfiguration", {"key": "SecurityProfile", "value": str(payload["profile"])}


def set_priority(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    raise InvalidCommand("OCPP 1.6 knows one way to connect, and no order of several.")
