"""A charger's password in OCPP 2.x: SecurityCtrlr.BasicAuthPassword (A01), which can be written and not read."""

from __future__ import annotations

import json
from typing import Any

from depots.ocpp.command_words import password_in
from depots.ocpp.v2x import settings

PASSWORD = "SecurityCtrlr.BasicAuthPassword"  # noqa: S105 - the variable's name


def set_password(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return settings.change({"settings": {PASSWORD: password_in(payload)}})


def read_change(payload: dict[str, Any]) -> tuple[str, str]:
    """Our word for the one answer; what else it says may hold the password."""
    _, told = settings.read_changes(payload)
    return next(iter(json.loads(told).values()), ["error"])[0], ""
