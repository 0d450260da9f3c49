"""Charging sessions of the demo, told as their chargers would have told them: a start, samples of the meter, an end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bookings.models import Booking
from depots import operations as depots
from depots.models import ChargingSession, ChargingState, Evse

SAMPLE_EVERY = timedelta(minutes=5)
# Of longer ago than this nobody looks at the curve: the samples are as many as a bill needs.
SPARSE_EVERY, SPARSE_BEFORE = timedelta(minutes=20), timedelta(days=21)
_FULL, _SLOW_ABOVE = 97.0, 80.0


@dataclass(frozen=True)
class Load:
    """How a vehicle charges: at most this many watts, into a battery that was so full at the start (0 to 100 %), until
    `full_at` if it asks for no power from then on."""

    power_w: int
    battery_wh: int
    soc: float
    full_at: datetime | None = None

    @classmethod
    def of(cls, booking: Booking, chance: float, full_at: datetime | None = None) -> Load:
        vehicle = booking.vehicle
        most_w = (vehicle.max_power_w if vehicle else None) or booking.promised_power_w
        battery_wh = (vehicle.battery_wh if vehicle else None) or 500_000
        return cls(min(booking.promised_power_w, most_w), battery_wh, 15 + 30 * chance, full_at)


class Meters:
    """The energy registers of the EVSEs, which only ever rise."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._registers: dict[int, int] = {}

    def begin(self, booking: Booking, at: datetime) -> ChargingSession:
        """The session with which a booked vehicle begins to charge. The gate is not asked: the diary lets in whom it has booked,
        and asking costs as much as all else of a session."""
        evse, token = booking.evse, booking.tokens.first()
        assert evse is not None  # a booking at a depot of ours has one
        meter = self._register(evse)
        session = ChargingSession.objects.create(
            charger_id=_charger_id(evse), evse=evse, token_uid=token.uid if token else "",
            token_type=token.type if token else "", reservation_id=booking.reservation_id, is_entitled=True, started_at=at,
            start_received_at=at, announced_at=at, meter_start_wh=meter, meter_last_wh=meter,
        )  # fmt: skip
        session.transaction = str(session.pk)
        session.save(update_fields=["transaction"])
        return session

    def begin_unbooked(self, evse: Evse, token_uid: str, at: datetime) -> ChargingSession:
        """A card charges without a booking, if the gate lets it."""
        start = depots.Start(
            evse_number=evse.number, token_uid=token_uid, key=f"demo {token_uid} {at}", at=at,
            meter_wh=self._register(evse),
        )  # fmt: skip
        return depots.start_session(charger_id=_charger_id(evse), start=start, now=at).session

    def sample(self, session: ChargingSession, load: Load, at: datetime) -> None:
        """The samples of a session that runs, up to a moment."""
        depots.add_readings(
            charger_id=session.charger_id, evse_number=None, transaction_id=session.transaction,
            readings=self._readings(session, load, at), now=at,
        )  # fmt: skip

    def end(self, session: ChargingSession, load: Load, at: datetime, *, is_metered: bool = True) -> None:
        """Unplugged, with the samples up to then. `is_metered` false: the charger does not say what the register is by now."""
        readings = self._readings(session, load, at)
        last_wh = readings[-1].energy_wh if readings else session.meter_last_wh
        stop = depots.Stop(
            transaction=session.transaction, at=at, meter_wh=last_wh if is_metered else None, reason="Local",
            readings=readings,
        )  # fmt: skip
        depots.stop_session(charger_id=session.charger_id, stop=stop, now=at)
        if session.evse_id is not None and last_wh is not None:
            self._registers[session.evse_id] = last_wh

    def _readings(self, session: ChargingSession, load: Load, until: datetime) -> list[depots.Reading]:
        meter = session.meter_start_wh or 0
        every = SPARSE_EVERY if session.started_at < self._now - SPARSE_BEFORE else SAMPLE_EVERY
        return [
            depots.Reading(at=at, energy_wh=meter + delivered, power_w=watts, soc_percent=percent)
            for at, watts, delivered, percent in _curve(session.started_at, until, load, every)
        ]

    def _register(self, evse: Evse) -> int:
        if evse.pk not in self._registers:
            last = ChargingSession.objects.filter(evse=evse).order_by("-started_at").first()
            known = last.meter_last_wh if last else None
            self._registers[evse.pk] = known if known is not None else 1_000_000 + 7_919 * evse.pk
        return self._registers[evse.pk]


def report(evse: Evse, status: str, state: ChargingState, at: datetime, *, error_code: str = "") -> None:
    """What an EVSE says of itself, and of the charging there."""
    depots.report_status(
        charger_id=_charger_id(evse),
        evse_number=evse.number,
        status=status,
        charging_state=state,
        error_code=error_code,
        at=at,
        now=at,
    )


def _charger_id(evse: Evse) -> int:
    assert evse.charger_id is not None  # only a partner's EVSE has no charger here
    return evse.charger_id


def _curve(
    start: datetime, until: datetime, load: Load, every: timedelta
) -> Iterator[tuple[datetime, int, int, float]]:
    """(time, watts, Wh so far, percent) in steps and at the end: full power, then tapering, then nothing."""
    at, delivered, soc = start, 0, load.soc
    while at < until:
        step = min(every, until - at)
        taper = 1.0 if soc < _SLOW_ABOVE else max(0.0, (_FULL - soc) / (_FULL - _SLOW_ABOVE)) * 0.7
        if load.full_at is not None:
            step = min(step, load.full_at - at) if at < load.full_at else step
            taper = taper if at < load.full_at else 0.0
        watts = int(load.power_w * 0.96 * taper)
        gained = int(watts * step.total_seconds() / 3600)
        delivered, soc, at = delivered + gained, min(_FULL, soc + 100 * gained / load.battery_wh), at + step
        yield at, watts, delivered, round(soc, 1)
