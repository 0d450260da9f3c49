"""Cells of a CSV file that a spreadsheet opens: what somebody typed must not come to life there."""

from __future__ import annotations

import re

# What spreadsheets take for a formula, in full width too, and what they skip before one.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def cell(value: object) -> object:
    """The value; a text that would be reckoned as a formula is marked as text."""
    is_formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value
