"""Addresses a charger is told, for files: they may hold a secret, which is shown to nobody and kept in no log."""

from __future__ import annotations

import re

# The path below which chargers send files here (depots.urls).
UPLOADS = "charger-files/"
_SECRET = re.compile(rf"({UPLOADS})[\w-]+|(://)[^/@\s\"]+@")


def without_secrets(text: str) -> str:
    """The text without the secret of an upload's address, and without a user and password in any address."""
    if UPLOADS not in text and "@" not in text:  # most frames
        return text
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}…{'@' if found[2] else ''}", text)
