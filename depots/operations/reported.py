"""What a charger reports of one transaction, in our words, whatever protocol it came in.

Whatever it says about energy is kept and answered; what is odd about it is flagged, for a person to judge: offline,
bad_clock, no_zone, malformed (the message was not according to its schema), no_start (no start was seen), no_stop
(another transaction began first), unknown_transaction, stop_matched (a stop without a usable id), unknown_evse,
out_of_order, bad_meter, foreign_token (it names a reservation that its token does not hold), unasked (the gate failed).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from depots import gate
from depots.models import ChargingSession

# Columns are bigint; what a charger sends may be anything.
BIGGEST = 2**62


@dataclass(frozen=True)
class Reading:
    """One sample: Wh of the energy register, watts, percent; None for what was not measured."""

    at: datetime
    energy_wh: int | None = None
    power_w: int | None = None
    soc_percent: float | None = None


@dataclass(frozen=True)
class Start:
    """A transaction as OCPP 1.6 begins it. `key` makes a repeated start the same start."""

    evse_number: int
    token_uid: str
    key: str
    at: datetime
    token_type: str = ""
    meter_wh: int | None = None
    reservation_id: int | None = None
    flags: Sequence[str] = ()


@dataclass(frozen=True)
class Stop:
    """The end of a transaction in OCPP 1.6; `transaction` is the id we gave it, or what the charger made of it."""

    transaction: str
    at: datetime
    meter_wh: int | None = None
    reason: str = ""
    token_uid: str = ""
    readings: Sequence[Reading] = ()
    flags: Sequence[str] = ()


@dataclass(frozen=True)
class TransactionReport:
    """One TransactionEvent of OCPP 2.x. `kind`: started, updated, ended. `token_uid` None when it carries no token."""

    transaction: str
    seq_no: int
    kind: str
    at: datetime
    evse_number: int | None = None
    token_uid: str | None = None
    token_type: str = ""
    group: str = ""
    reservation_id: int | None = None
    is_charging: bool = False
    stop_reason: str = ""
    readings: Sequence[Reading] = ()
    flags: Sequence[str] = ()
    payload: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The session a report belongs to, and what to tell the charger about the token it named (None: it named none)."""

    session: ChargingSession
    answer: gate.Answer | None


def flag(session: ChargingSession, *flags: Iterable[str]) -> None:
    """Note what is odd, once each. The caller saves the session."""
    session.flags = united_flags(session.flags, *flags)


def united_flags(*flags: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(each for some in flags for each in some))


def meter_flag(wh: int | None) -> list[str]:
    return ["bad_meter"] if wh is not None and not 0 <= wh <= BIGGEST else []


def fitting(value: int | None) -> int | None:
    """The number if a column can hold it. Below zero is how some firmware says that there is none."""
    return value if value is not None and 0 <= value <= BIGGEST else None
