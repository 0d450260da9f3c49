"""Charging sessions of the demo's past, with the samples a charger would have sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from bookings.models import Booking
from depots.models import ChargingSession, Evse, MeterReading

SAMPLE_EVERY = timedelta(minutes=5)
_FULL, _SLOW_ABOVE = 97.0, 80.0


class Meters:
    """The energy registers of the EVSEs, which only ever rise, and the samples taken from them."""

    def __init__(self) -> None:
        self._registers: dict[int, int] = {}
        self._readings: list[MeterReading] = []

    def begin(self, booking: Booking, at: datetime) -> ChargingSession:
        """The session with which a booked vehicle begins to charge."""
        evse, token = booking.evse, booking.tokens.first()
        assert evse is not None  # a booking at a depot of ours has one, and its EVSE a charger
        assert evse.charger is not None
        meter = self._register(evse)
        session = ChargingSession.objects.create(
            charger=evse.charger, evse=evse, transaction=f"{evse.uid}-{booking.pk}", token_uid=token.uid if token else "",
            token_type=token.type if token else "", reservation_id=booking.pk, started_at=at, start_received_at=at,
            announced_at=at, meter_start_wh=meter, meter_last_wh=meter,
        )  # fmt: skip
        if evse.charger.protocol == "ocpp1.6":
            # There the transaction's name is the number we give, which is the row's own.
            session.transaction = str(session.pk)
            session.save(update_fields=["transaction"])
        return session

    def sample(self, booking: Booking, until: datetime, chance: float) -> None:
        """Take the samples of its session up to a moment; the session shows the last of them."""
        session = booking.session
        assert session is not None  # it was begun
        battery_wh = (booking.vehicle.battery_wh if booking.vehicle else None) or 500_000
        power_w = min(
            booking.promised_power_w, (booking.vehicle.max_power_w if booking.vehicle else None) or 10**7
        )
        soc = 15 + 30 * chance
        meter = session.meter_start_wh or 0
        for at, watts, delivered, percent in _curve(session.started_at, until, power_w, battery_wh, soc):
            self._readings.append(
                MeterReading(
                    session=session, at=at, energy_wh=meter + delivered, power_w=watts, soc_percent=percent
                )
            )
            session.meter_last_wh, session.power_w, session.soc_percent = meter + delivered, watts, percent
        session.save(update_fields=["meter_last_wh", "power_w", "soc_percent"])
        self._registers[session.evse_id or 0] = session.meter_last_wh or meter

    def end(self, booking: Booking, at: datetime, chance: float) -> None:
        """Unplugged: the last samples, and the register as it stands."""
        self.sample(booking, at, chance)
        session = booking.session
        assert session is not None  # `sample` has just used it
        session.ended_at = session.end_received_at = at
        session.meter_stop_wh, session.power_w, session.stop_reason = session.meter_last_wh, None, "Local"
        session.save(update_fields=["ended_at", "end_received_at", "meter_stop_wh", "power_w", "stop_reason"])

    def save(self) -> None:
        MeterReading.objects.bulk_create(self._readings, batch_size=1000, ignore_conflicts=True)
        self._readings.clear()

    def _register(self, evse: Evse) -> int:
        if evse.pk not in self._registers:
            last = ChargingSession.objects.filter(evse=evse).order_by("-started_at").first()
            known = last.meter_last_wh if last else None
            self._registers[evse.pk] = known if known is not None else 1_000_000 + 7_919 * evse.pk
        return self._registers[evse.pk]


def _curve(
    start: datetime, until: datetime, power_w: int, battery_wh: int, soc: float
) -> Iterator[tuple[datetime, int, int, float]]:
    """(time, watts, Wh so far, percent) every five minutes and at the end: full power, then tapering, then nothing."""
    at, delivered = start, 0
    while at < until:
        step = min(SAMPLE_EVERY, until - at)
        taper = 1.0 if soc < _SLOW_ABOVE else max(0.0, (_FULL - soc) / (_FULL - _SLOW_ABOVE)) * 0.7
        watts = int(power_w * 0.96 * taper)
        gained = int(watts * step.total_seconds() / 3600)
        delivered, soc, at = delivered + gained, min(_FULL, soc + 100 * gained / battery_wh), at + step
        yield at, watts, delivered, round(soc, 1)
