"""A price file: a tariff, and the session or booking it is to price. docs/integrators/price-file.md lists the fields."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from bookings.imports.tariff_schemas import RESERVATION, ChargingPeriodRow, Fault, Moment, OcpiRow, TariffRow
from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.visits import BookedSlot, BookingOutcome, SessionUse, Visit, whole_second
from depots.imports.documents import read_json, read_text
from depots.imports.schemas import known_time_zone
from depots.periods import Period

MOST_PERIODS = 100_000
LONGEST = timedelta(days=366)


class SessionRow(OcpiRow):
    charging_periods: Annotated[list[ChargingPeriodRow], Field(min_length=1, max_length=MOST_PERIODS)]
    end_date_time: Moment
    currency: str | None = None

    def use(self) -> SessionUse:
        return SessionUse(tuple(row.period() for row in self.charging_periods), self.end_date_time)

    def faults(self) -> Iterator[Fault]:
        end = whole_second(self.end_date_time)
        expired = [any(row.type == EXPIRED for row in period.dimensions) for period in self.charging_periods]
        is_expired = any(expired)
        for p, period in enumerate(self.charging_periods):
            place = ("charging_periods", p)
            if whole_second(period.start_date_time) > end:
                yield (*place, "start_date_time"), "begins after the session's end_date_time"
            elif end - period.start_date_time > LONGEST:
                yield (*place, "start_date_time"), f"is more than {LONGEST.days} days before end_date_time"
            for inside, text in period.faults():
                yield (*place, *inside), text
            if is_expired and not expired[p]:
                yield (*place, "dimensions"), "an expired reservation is followed by nothing"


EXPIRED = "RESERVATION_EXPIRES"


class BookingRow(OcpiRow):
    start: Moment
    end: Moment
    outcome: Literal["used", "no_show", "cancelled"]
    session_end: Moment | None = None

    def faults(self) -> Iterator[Fault]:
        if self.end <= self.start:
            yield ("end",), "must be after start"
        for name in ("end", "session_end"):
            if (moment := getattr(self, name)) is not None and moment - self.start > LONGEST:
                yield (name,), f"is more than {LONGEST.days} days after start"

    def slot(self) -> BookedSlot:
        return BookedSlot(Period(self.start, self.end), BookingOutcome(self.outcome), self.session_end)


class PriceFile(OcpiRow):
    tariff: TariffRow
    time_zone: Annotated[str, AfterValidator(known_time_zone)]
    session: SessionRow | None = None
    booking: BookingRow | None = None

    def faults(self) -> Iterator[Fault]:
        """What no single field shows."""
        if self.session is None and self.booking is None:
            yield ("session",), "is missing, and so is booking: there is nothing to price"
        if self.booking is not None:
            yield from ((("booking", *place), text) for place, text in self.booking.faults())
        if self.session is not None:
            yield from ((("session", *place), text) for place, text in self._session_faults(self.session))

    def visit(self) -> Visit:
        return Visit(
            session=self.session.use() if self.session else None,
            booking=self.booking.slot() if self.booking else None,
        )

    def _session_faults(self, session: SessionRow) -> Iterator[Fault]:
        yield from session.faults()
        if session.currency not in (None, self.tariff.currency):
            yield ("currency",), f"differs from the tariff's, {self.tariff.currency}"
        if self.booking is None:
            return
        for p, period in enumerate(session.charging_periods):
            for d, row in enumerate(period.dimensions):
                if row.type.startswith(RESERVATION):
                    yield (
                        ("charging_periods", p, "dimensions", d, "type"),
                        "a booking has no reservation of its own",
                    )


def price_file(path: Path) -> Bill:
    """What the file's session and booking cost, whatever its name. Raises FileRefusedError naming line and field."""
    document = read_json(read_text(path, forms=None))
    file = document.read_as(PriceFile)
    document.refuse(file.faults())
    content = file.tariff.content()
    return price(file.visit(), ZoneInfo(file.time_zone), charging=content, booking=content)
