"""A station's charging profiles: what is installed, what holds now, and stations that do not obey (OCPP 1.6 §3.13, 2.0.1 K)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

# Of one phase; what a station that counts in amperes makes of them.
PHASE_VOLTS = 230
STATION = 0
TX, TX_DEFAULT = "TxProfile", "TxDefaultProfile"
STATION_MAX = frozenset({"ChargePointMaxProfile", "ChargingStationMaxProfile"})


@dataclass(frozen=True)
class ChargingPeriod:
    """`limit` in the unit of its profile; amperes are of each phase."""

    start_s: int
    limit: float
    phases: int | None = None


@dataclass(frozen=True)
class ChargingProfile:
    """`transaction` is the station's id of it, or the CSMS's in 1.6; `starts_at` is None for Relative ones."""

    id: int
    evse: int
    purpose: str
    stack_level: int
    unit: str
    periods: tuple[ChargingPeriod, ...]
    transaction: str | None = None
    starts_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def watts_at(self, at: datetime, began_at: datetime) -> int | None:
        """What it allows at a moment; None where it says nothing of it."""
        if (self.valid_from and at < self.valid_from) or (self.valid_to and at >= self.valid_to):
            return None
        passed_s = (at - (self.starts_at or began_at)).total_seconds()
        begun = [period for period in self.periods if period.start_s <= passed_s]
        if not begun:
            return None
        limit = begun[-1].limit
        return int(limit if self.unit == "W" else limit * (begun[-1].phases or 3) * PHASE_VOLTS)


@dataclass
class ChargingProfiles:
    """What a station has installed. `units` it takes, `purposes` it knows, how high it stacks; `obeys` false accepts everything
    and gives what it likes."""

    units: frozenset[str] = frozenset("W")
    purposes: frozenset[str] = frozenset({TX, TX_DEFAULT, *STATION_MAX})
    max_stack_level: int = 5
    obeys: bool = True
    survive_reboot: bool = True
    installed: dict[int, ChargingProfile] = field(default_factory=dict)

    def install(self, wanted: ChargingProfile, *, running: frozenset[str]) -> str:
        """The status to answer with. `running` are the transactions at the EVSE, by any id."""
        is_fit = (
            wanted.unit in self.units
            and wanted.purpose in self.purposes
            and wanted.stack_level <= self.max_stack_level
        )
        if not is_fit or (wanted.purpose == TX and not running):
            return "Rejected"
        if wanted.transaction is not None and wanted.transaction not in running:
            return "Rejected"
        key = (wanted.purpose, wanted.stack_level, wanted.evse)
        for held in list(self.installed.values()):
            if (held.purpose, held.stack_level, held.evse) == key:
                del self.installed[held.id]
        self.installed[wanted.id] = wanted
        return "Accepted"

    def clear(self, wanted: dict[str, int | str | None]) -> str:
        """By id, or by what is named of `evse`, `purpose` and `stack_level`."""
        if (number := wanted.pop("id", None)) is not None:
            return "Unknown" if self.installed.pop(int(number), None) is None else "Accepted"
        named = {name: value for name, value in wanted.items() if value is not None}
        found = [
            held.id
            for held in self.installed.values()
            if all(getattr(held, name) == value for name, value in named.items())
        ]
        for profile_id in found:
            del self.installed[profile_id]
        return "Accepted" if found else "Unknown"

    def end_transaction(self, evse: int) -> None:
        """A TxProfile is over with its transaction."""
        for held in list(self.installed.values()):
            if held.purpose == TX and held.evse == evse:
                del self.installed[held.id]

    def forget(self) -> None:
        self.installed.clear()

    def limit_w(self, evse: int, at: datetime, began_at: datetime) -> int | None:
        """What holds at an EVSE: TxProfile before TxDefaultProfile, the highest level of each, the station's below both."""
        limits = [self._highest({TX}, {evse}, at, began_at)]
        if limits[0] is None:
            limits = [self._highest({TX_DEFAULT}, {evse, STATION}, at, began_at)]
        limits.append(self._highest(STATION_MAX, {STATION}, at, began_at))
        return min((limit for limit in limits if limit is not None), default=None)

    def _highest(
        self, purposes: frozenset[str] | set[str], evses: set[int], at: datetime, began_at: datetime
    ) -> int | None:
        levels = [
            (held.stack_level, watts)
            for held in self.installed.values()
            if held.purpose in purposes
            and held.evse in evses
            and (watts := held.watts_at(at, began_at)) is not None
        ]
        return max(levels)[1] if levels else None

    def composite(
        self, evse: int, at: datetime, began_at: datetime, during: timedelta
    ) -> list[tuple[int, int]]:
        """(second, watts) from `at` on, as often as it changes; nothing where no profile holds."""
        found: list[tuple[int, int]] = []
        for second in range(0, max(int(during.total_seconds()), 1), 60):
            watts = self.limit_w(evse, at + timedelta(seconds=second), began_at)
            if watts is not None and (not found or found[-1][1] != watts):
                found.append((second, watts))
        return found
