"""Which settings a template may hold, from a form or a file."""

from __future__ import annotations

from collections.abc import Mapping

MOST_SETTINGS, LONGEST_KEY, LONGEST_VALUE = 100, 200, 500
# A charger's own password and profile of security are set where they are kept safe, never here.
SECRET = ("authorizationkey", "basicauthpassword")


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
        if any(name in key.casefold() for name in SECRET):
            return "A charger's password is not set here."
        if key.casefold() in folded:
            return f"{key} stands there twice."
        folded.add(key.casefold())
    return ""
