"""Text of others, as far as a document can hold it."""

from __future__ import annotations

import re

# What XML 1.0 has no place for, escaped or not, and what turns the order of what is read.
_NOT_HELD = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]+")


def is_printable(text: str) -> bool:
    """Whether a document can hold it as it is, in one line."""
    return not _NOT_HELD.search(text)


def printable(text: str) -> str:
    """In one line, without what no XML file can hold: an invoice that was issued has to be written, whatever it names."""
    return " ".join(_NOT_HELD.sub(" ", text).split())
