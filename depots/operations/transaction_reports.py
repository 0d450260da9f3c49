"""What a charger reports of one transaction, in our words, whatever protocol it came in.

Whatever it says about energy is kept and answered; what is odd about it is flagged, for a person to judge. FLAGS has them
all, in the words people read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from depots import gate
from depots.models import ChargingSession
from depots.models.charging import UNDER_WAY

# Columns are bigint; what a charger sends may be anything.
BIGGEST = 2**62
# No vehicle takes as much in one session: a register that says so has gone wrong.
LARGEST_SESSION_WH = 100_000_000

FLAGS = {
    "offline": "The charger had no connection at the time.",
    "bad_clock": "The charger's clock was not set; the time is when the message came.",
    "no_time": "A time was missing; it is when the message came.",
    "no_zone": "A time came without its zone and was read in the depot's.",
    "wrong_clock": "The charger's clock was wrong; times were corrected.",
    "malformed": "A message was not as OCPP has it; what could not be read was left out.",
    "set_aside": "Meter values whose meaning was not certain were left out.",
    "bad_meter": "The meter told a value that cannot be.",
    "other_meter": "Another meter than the one at the start was told; it does not count.",
    "no_meter_start": "The meter value of the start is missing; the first one after it stands in, if there is one.",
    "no_meter_stop": "The meter value of the end is missing; the last one before it stands in, if there is one.",
    "no_token": "It started without a card.",
    "no_start": "Its start was never told.",
    "no_stop": "Its end was never told.",
    "stop_told_late": "Its end was told only after it had been taken for over.",
    "unknown_transaction": "It ended under a number that nobody knows.",
    "stop_matched": "Its end came without a usable number; it was the only one that could be meant.",
    "found_by_card": "Only its end was told; the booking of its card says where it was.",
    "reused_id": "The charger used the number of this transaction again for another.",
    "unknown_evse": "It was at an EVSE that is not known here.",
    "out_of_order": "Its messages came in the wrong order.",
    "foreign_token": "It named a reservation that its card does not hold.",
    "unasked": "Whether the card may charge could not be asked.",
    "no_payer": "Nobody is known to own its card, or several are: nobody was billed.",
}


@dataclass(frozen=True)
class Reading:
    """One sample: Wh of the energy register, watts, percent; None for what was not measured.

    `registers` are all that were told, Wh by the place of the meter; `energy_wh` is the one nearest to the vehicle.
    `is_begin`: it was taken when the transaction began. `is_arrival`: its time is that of arrival, for want of another. `signed`
    are samples that the meter has signed, as they came.
    """

    at: datetime
    energy_wh: int | None = None
    power_w: int | None = None
    soc_percent: float | None = None
    registers: Mapping[str, int] = field(default_factory=dict)
    is_begin: bool = False
    is_arrival: bool = False
    signed: Sequence[Mapping[str, Any]] = ()

    @property
    def has_figures(self) -> bool:
        return not (self.energy_wh is None and self.power_w is None and self.soc_percent is None)


@dataclass(frozen=True)
class Start:
    """A transaction as OCPP 1.6 begins it. `key` makes a repeated start the same start. `may_ask`: whoever issued its token may
    still be asked."""

    evse_number: int | None
    token_uid: str
    key: str
    at: datetime
    token_type: str = ""
    meter_wh: int | None = None
    reservation_id: int | None = None
    flags: Sequence[str] = ()
    may_ask: bool = False


@dataclass(frozen=True)
class Stop:
    """The end of a transaction in OCPP 1.6; `transaction` is the id we gave it, or what the charger made of it. `key`
    makes a repeated stop of a transaction nobody knows the same one."""

    transaction: str
    at: datetime
    key: str = ""
    meter_wh: int | None = None
    reason: str = ""
    token_uid: str = ""
    readings: Sequence[Reading] = ()
    flags: Sequence[str] = ()


@dataclass(frozen=True)
class TransactionReport:
    """One TransactionEvent of OCPP 2.x. `kind`: started, updated, ended. `transaction` is empty when it names none,
    `token_uid` None when it carries no token, `charging_state` (ChargingState) empty when it does not say. `may_ask` as
    in Start."""

    transaction: str
    seq_no: int
    kind: str
    at: datetime
    evse_number: int | None = None
    token_uid: str | None = None
    token_type: str = ""
    may_ask: bool = False
    reservation_id: int | None = None
    charging_state: str = ""
    stop_reason: str = ""
    readings: Sequence[Reading] = ()
    flags: Sequence[str] = ()
    payload: dict[str, object] = field(default_factory=dict)

    @property
    def is_charging(self) -> bool:
        """Energy flows, or would if the other side wanted it."""
        return self.charging_state in UNDER_WAY

    @property
    def may_be_routine(self) -> bool:
        return (
            self.kind == "updated"
            and self.token_uid is None
            and bool(self.readings)
            and not any(reading.signed for reading in self.readings)
            and "malformed" not in self.flags
        )

    def is_routine_for(self, session: ChargingSession) -> bool:
        """Whether it tells no more of a running session than its meter, in order. Its readings are all there is to keep of it,
        and told again they are the same."""
        return (
            self.may_be_routine
            and session.latest_at is not None
            and self.at > max(session.latest_at, session.started_at)
            and self.charging_state in {"", session.charging_state}
            and (self.reservation_id is None or session.reservation_id is not None)
        )


@dataclass(frozen=True)
class ReportResult:
    """The session a report belongs to, and what to tell the charger about the token it named (None: it named none)."""

    session: ChargingSession
    answer: gate.Authorization | None


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
