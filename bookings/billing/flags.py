"""What is odd about a record, for a person to judge, in the words people read."""

from __future__ import annotations

from collections.abc import Iterable

from depots.operations import FLAGS as SESSION_FLAGS

LEAP = "meter_leap"
OTHER_CURRENCY = "other_currency"
# On the session: there is no record that could carry it.
NO_PAYER = "no_payer"
# Less power than promised was there for minutes (bookings.rules.power_shortage): what the booking itself costs is waived.
POWER_SHORT = "power_short"

# Times that the charger did not tell are those of arrival: nothing follows from when it ended.
NO_CLOCK = frozenset({"bad_clock", "no_time"})

# Flags of a session (depots.operations) that say nothing about what it costs.
_HARMLESS = frozenset(
    {"offline", "malformed", "no_zone", "no_token", "out_of_order", "unasked", "foreign_token", NO_PAYER}
)

WORDS = {
    **SESSION_FLAGS,
    LEAP: "The meter went back, or rose by more than can have flowed; what it cannot prove was not billed.",
    POWER_SHORT: "Less power than promised was there for minutes; the booking itself, and time after its end, is not billed.",
    OTHER_CURRENCY: "The booking's tariff has another currency than the charging's; the booking was not billed.",
}


def notable(flags: Iterable[str]) -> tuple[str, ...]:
    """Those of a session that a person should look at before the money is claimed, each once."""
    return tuple(dict.fromkeys(flag for flag in flags if flag not in _HARMLESS))


def sentence(flag: str) -> str:
    return WORDS.get(flag, flag)
