"""What is priced: what a session used, and what became of a booked slot. Moments count to the whole second, half up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from operator import lt

from depots.periods import Period

NO_ENERGY = Decimal()


@dataclass(frozen=True, slots=True)
class ChargingPeriod:
    """What was used from a moment until the next period begins.

    `charging_s` is time the vehicle charges or asks for power, `parking_s` time it asks for none; with neither the whole
    length is charging. `reserved_s` is the time of a reservation before the charging, `expired_s` of one nobody used; such
    a period has no other quantity. Power in kW, current in A over all phases.
    """

    starts_at: datetime
    energy_kwh: Decimal = NO_ENERGY
    charging_s: int | None = None
    parking_s: int | None = None
    reserved_s: int | None = None
    expired_s: int | None = None
    power_kw: Decimal | None = None
    min_power_kw: Decimal | None = None
    max_power_kw: Decimal | None = None
    current_a: Decimal | None = None
    min_current_a: Decimal | None = None
    max_current_a: Decimal | None = None

    def __post_init__(self) -> None:
        if (starts_at := whole_second(self.starts_at)) is not self.starts_at:
            object.__setattr__(self, "starts_at", starts_at)
        if self.energy_kwh < 0:
            raise ValueError("energy taken back is not priced")

    @property
    def is_reservation(self) -> bool:
        return self.reserved_s is not None or self.expired_s is not None


# A period and the moment at which it ends.
Stretch = tuple[ChargingPeriod, datetime]


@dataclass(frozen=True)
class SessionUse:
    """Periods in any order, kept in order of time: each lasts until the next (`ends`), the last until `ends_at`.

    Raises ValueError for none.
    """

    periods: tuple[ChargingPeriod, ...]
    ends_at: datetime
    ends: tuple[datetime, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        begins = [period.starts_at for period in self.periods]
        if not all(map(lt, begins, islice(begins, 1, None))):
            object.__setattr__(self, "periods", tuple(sorted(self.periods, key=_order)))
            begins.sort()
        object.__setattr__(self, "ends_at", whole_second(self.ends_at))
        if not begins:
            raise ValueError("a session has a period")
        if self.ends_at < begins[-1]:
            raise ValueError("a session ends after its last period began")
        object.__setattr__(self, "ends", (*begins[1:], self.ends_at))

    @property
    def stretches(self) -> Iterator[Stretch]:
        """Each period with its end."""
        return zip(self.periods, self.ends, strict=True)

    @property
    def charging(self) -> list[Stretch]:
        """What is no reservation."""
        return [one for one in self.stretches if one[0].reserved_s is None and one[0].expired_s is None]


class BookingOutcome(StrEnum):
    """`CANCELLED` is too late to be free."""

    USED = "used"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class BookedSlot:
    """`ended_at` is when the session of a used booking ended: past the booked end and `late_stop` it is overtime."""

    period: Period
    outcome: BookingOutcome = BookingOutcome.USED
    ended_at: datetime | None = None
    late_stop: timedelta = timedelta()


@dataclass(frozen=True)
class Visit:
    """What one bill is about. Without a session nothing of the charging is priced, without a booking nothing of it."""

    session: SessionUse | None = None
    booking: BookedSlot | None = None


def whole_second(moment: datetime) -> datetime:
    """In UTC, half a second up. Raises ValueError for a naive moment."""
    if moment.tzinfo is UTC and not moment.microsecond:
        return moment
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=0) + timedelta(seconds=utc.microsecond >= 500_000)


def _order(period: ChargingPeriod) -> tuple[datetime, int, Decimal]:
    """Of two that begin at one moment the lesser is the one without length."""
    seconds = (period.charging_s, period.parking_s, period.reserved_s, period.expired_s)
    return period.starts_at, sum(s or 0 for s in seconds), period.energy_kwh
