"""A charger's own password among its settings: it is stored hashed, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from depots.secrets import names_password_setting

T = TypeVar("T")

WITHHELD = "[withheld: it may hold a password]"


def shown_setting(name: str, value: T | None) -> T | str | None:
    return WITHHELD if value is not None and names_password_setting(name) else value


def carried_by(payload: dict[str, Any]) -> tuple[str, ...]:
    """The password that a CALL of ours sets, in each form in which it could come back."""
    settings = payload.get("setVariableData") or [payload]
    told = [str(setting.get("attributeValue") or setting.get("value")) for setting in settings]
    return (*told, *(plain for text in told if (plain := from_hex(text))))


def repeats(frame: str | bytes, secrets: Iterable[str]) -> bool:
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    return any(secret in text for secret in secrets)


def from_hex(text: str) -> str:
    """The text of a password in hex; nothing where it is no such text."""
    try:
        return bytes.fromhex(text).decode("ascii")
    except ValueError:
        return ""
