"""The version of a booking that a sent form was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookings.errors import ChangedMeanwhile

NAME = "version"
LARGEST = 2**63 - 1
UNSEEN = "This page is out of date. Load it again and look before you go on."


def seen_version(given: Mapping[str, Any]) -> int:
    """The hidden field `version` of a form, a drag or a button, for the `seen_version` of its operation.

    Raises ChangedMeanwhile where there is none: an old page says nothing of what it showed.
    """
    text = str(given.get(NAME) or "")
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) <= LARGEST):
        raise ChangedMeanwhile(UNSEEN)
    return int(text[:20])
