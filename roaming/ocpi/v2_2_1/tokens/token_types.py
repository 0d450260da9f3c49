"""The kinds of tokens 2.2.1 has no name for."""

from __future__ import annotations

from typing import Any

# As 2.2.1 names them: a contract of plug and charge is none of its kinds.
UNNAMED = {"EMAID": "OTHER"}


def as_2_2_1(token: dict[str, Any]) -> dict[str, Any]:
    return {**token, "type": UNNAMED.get(token["type"], token["type"])}
