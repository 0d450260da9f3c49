"""What happens at a simulated charger by itself: trucks come for their reservations, charge and leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from simulators.charger.charger import SimulatedCharger
from simulators.charger.csms_connection import CsmsError, CsmsSilent
from simulators.charger.station import Reservation, Transaction
from simulators.charger.truck import Truck

logger = logging.getLogger(__name__)

TICK_S = 1
# Where nothing is reserved and nobody charges it is looked at less often: thousands are to fit into one process.
IDLE_TICK_S = 5
SAMPLE_EVERY = timedelta(seconds=10)
# Of ten reserved trucks one stays away, so that a no-show can be watched too.
SHOWS_UP = 0.9
TRIES_AGAIN_AFTER = timedelta(seconds=45)
LONGEST_BACK_OFF_S = 30


@dataclass
class Simulation:
    """Runs one charger until it is cancelled. The same `random` makes the same trucks; they come for this share of the
    reservations."""

    charger: SimulatedCharger
    random: Random
    shows_up: float = SHOWS_UP
    _trucks: dict[int, Truck | None] = field(default_factory=dict)
    _charging: dict[str, Truck] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.charger.on_reset = self.charger.reset

    async def run(self) -> None:
        """Connect, live, and connect again with growing pauses. Only the first connection and a reset boot."""
        back_off_s = 1.0
        while True:
            try:
                await self.charger.come_back()
                logger.info("%s is online", self.charger.identity)
                back_off_s = 1.0
                await self._live()
            except (OSError, InvalidHandshake, ConnectionClosed, CsmsError, CsmsSilent) as trouble:
                logger.warning("%s is offline: %s", self.charger.identity, trouble)
            await self.charger.drop()
            # Never all at once: chargers that lost one gateway would knock at the next in the same second.
            await asyncio.sleep(back_off_s * self.random.uniform(0.5, 1.5))
            back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        beats_at = loop.time() + self.charger.heartbeat_s
        while self.charger.is_connected:
            is_idle = not self.charger.station.reservations and not self.charger.station.is_busy
            tick_s = IDLE_TICK_S if is_idle else TICK_S
            await asyncio.sleep(tick_s)
            await self.tick(timedelta(seconds=tick_s))
            if loop.time() >= beats_at:
                await self.charger.heartbeat()
                beats_at = loop.time() + self.charger.heartbeat_s

    async def tick(self, passed: timedelta) -> None:
        """Let some time pass: reservations run out, trucks come, batteries fill."""
        await self.charger.expire()
        for reservation in list(self.charger.station.reservations.values()):
            await self._expect(reservation)
        for evse in self.charger.station.evses.values():
            if evse.transaction is not None:
                await self._fill(evse.number, evse.transaction, passed)

    async def _expect(self, reservation: Reservation) -> None:
        """Somebody will come for this reservation, or nobody; decided once."""
        if reservation.id not in self._trucks:
            self._trucks[reservation.id] = self._truck(reservation)
        truck = self._trucks[reservation.id]
        if truck is None or reservation.evse is None or self.charger.clock() < truck.comes_at:
            return
        transaction = await self.charger.tap(
            reservation.evse, reservation.token, soc_percent=truck.soc_percent
        )
        if transaction is None:  # too early, or the bay is still taken
            truck.comes_at = self.charger.clock() + TRIES_AGAIN_AFTER
        else:
            self._charging[transaction.id] = truck
            logger.info("%s: a truck charges at EVSE %s", self.charger.identity, reservation.evse)

    def _truck(self, reservation: Reservation) -> Truck | None:
        now = self.charger.clock()
        left = max(timedelta(), reservation.expires_at - now)
        is_card = reservation.token.uid != reservation.group
        if not is_card or self.random.random() >= self.shows_up:
            return None
        return Truck(
            comes_at=now + left * self.random.uniform(0.15, 0.75),
            battery_wh=self.random.choice([400_000, 540_000, 620_000]),
            takes_w=self.random.choice([250_000, 350_000, 400_000, 1_000_000]),
            soc_percent=self.random.uniform(15, 45),
            leaves_at_percent=self.random.uniform(70, 92),
        )

    async def _fill(self, evse: int, transaction: Transaction, passed: timedelta) -> None:
        soc = transaction.soc_percent if transaction.soc_percent is not None else 30.0
        # Whoever was started remotely, by hand or in an earlier life is a truck as well.
        leaves_at = 85 if transaction.ends_at is None else 100
        somebody = Truck(self.charger.clock(), 540_000, 350_000, soc, leaves_at)
        truck = self._charging.setdefault(transaction.id, somebody)
        before_wh = transaction.meter_wh
        self.charger.station.deliver(evse, passed, power_w=truck.power_w(soc))
        transaction.soc_percent = min(
            100.0, soc + (transaction.meter_wh - before_wh) / truck.battery_wh * 100
        )
        is_time = transaction.ends_at is not None and self.charger.clock() >= transaction.ends_at
        if is_time or transaction.soc_percent >= truck.leaves_at_percent:
            await self.charger.stop(evse)
            del self._charging[transaction.id]
            logger.info("%s: the truck leaves EVSE %s", self.charger.identity, evse)
        elif transaction.sampled_at is None or self.charger.clock() - transaction.sampled_at >= SAMPLE_EVERY:
            await self.charger.charge(evse, timedelta(), power_w=truck.power_w(soc))


async def simulate(
    chargers: list[SimulatedCharger], *, seed: int, per_second: float = 0, shows_up: float = SHOWS_UP
) -> None:
    """Run many chargers until cancelled. Trucks depend on the seed and the charger's identity alone.

    `per_second` says how many come a second; 0: all at once.
    """
    simulations = [
        Simulation(charger, Random(f"{seed} {charger.identity}"), shows_up)  # noqa: S311
        for charger in chargers
    ]
    try:
        async with asyncio.TaskGroup() as group:
            for simulation in simulations:
                group.create_task(simulation.run())
                if per_second:
                    await asyncio.sleep(1 / per_second)
    finally:
        with contextlib.suppress(ConnectionClosed):
            await asyncio.gather(*(charger.disconnect() for charger in chargers), return_exceptions=True)
