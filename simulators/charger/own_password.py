"""A charger's own password as a setting: written by its CSMS, read by nobody."""

from __future__ import annotations


def told_password(setting: str, value: str) -> str | None:
    """The password that a setting's value is: 1.6 tells it in hex, 2.x as it is. None of other settings.

    Raises ValueError for what is no password (security whitepaper A01; OCPP 2.0.1 part 2, SecurityCtrlr).
    """
    if setting == "AuthorizationKey":
        key = bytes.fromhex(value)
        if not 16 <= len(key) <= 20:
            raise ValueError("an AuthorizationKey has 16 to 20 bytes")
        return key.decode("latin-1")
    if setting == "SecurityCtrlr.BasicAuthPassword":
        if not 16 <= len(value) <= 40:
            raise ValueError("a BasicAuthPassword has 16 to 40 characters")
        return value
    return None
