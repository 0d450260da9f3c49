"""Which settings a template may hold, from a form or a file."""

from __future__ import annotations

from collections.abc import Mapping

from depots.secrets import names_password_setting

MOST_SETTINGS, LONGEST_KEY, LONGEST_VALUE = 100, 200, 500


def fault_of(settings: Mapping[str, str | None]) -> str:
    """What is wrong with them, in a sentence; empty where nothing is."""
    if len(settings) > MOST_SETTINGS:
        return f"At most {MOST_SETTINGS} settings."
    folded: set[str] = set()
    for key, value in settings.items():
        if not key.strip():
            return "A setting has a name."
        if len(key) > LONGEST_KEY or len(value or "") > LONGEST_VALUE:
            return f"{key[:40]} is too long."
        if names_password_setting(key):
            return "A charger's password is not set here."
        if key.casefold() in folded:
            return f"{key} stands there twice."
        folded.add(key.casefold())
    return ""
