"""When two values of a setting are the same: chargers spell them in their own ways."""

from __future__ import annotations

import re
from decimal import Decimal

from depots.commissioning.defaults import Wanted

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*(ms|s|sec|secs|seconds|min|minutes|h)?")
_SECONDS = {
    "ms": Decimal("0.001"), "min": Decimal(60), "minutes": Decimal(60), "h": Decimal(3600),
}  # fmt: skip


def is_as_wanted(wanted: Wanted, told: str) -> bool:
    """Does the charger's value serve as well as the one that is wanted?"""
    return any(_is_same(value, told, wanted.at_least) for value in (wanted.value, *wanted.also))


def is_same(one: str, other: str) -> bool:
    """Apart from case, blanks, the order of a list, the spelling of yes and no, decimals, and units of time."""
    return _is_same(one, other, False)


def _is_same(wanted: str, told: str, at_least: bool) -> bool:
    want, tell = wanted.strip().casefold(), told.strip().strip('"').casefold()
    if want in {"true", "false"}:
        return tell in (_TRUE if want == "true" else _FALSE)
    if _NUMBER.fullmatch(want):
        return _NUMBER.fullmatch(tell) is not None and _number(want) == _number(tell)
    if at_least:
        return _members(want) <= _members(tell)
    return _members(want) == _members(tell)


def _number(text: str) -> Decimal:
    """In seconds where it has a unit of time."""
    digits, unit = _NUMBER.fullmatch(text).groups()  # type: ignore[union-attr]
    return Decimal(digits) * _SECONDS.get(unit, Decimal(1))


def _members(text: str) -> set[str]:
    return {part.strip() for part in re.split(r"[,;]", text.strip("[]")) if part.strip()}
