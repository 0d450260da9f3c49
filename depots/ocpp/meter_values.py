"""MeterValues: samples beside a transaction's own messages, the same in every version but for two names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from depots import operations
from depots.ocpp import sampled_values

if TYPE_CHECKING:
    from depots.ocpp.connection import ChargerConnection

# Chargers tell by the clock, every minute or quarter of an hour, of EVSEs where nothing charges for days.
ASKED_AGAIN_AFTER = timedelta(hours=1)
# No charger has as many EVSEs; one that makes up numbers fills no memory.
MOST_EVSES = 100


class IdleEvses:
    """Of one connection: the EVSEs where nothing charged when samples came last, so that the next need no look-up.

    A session begins by a message of its charger, and those of one connection are dealt with one after the other: whatever else
    is written for the charger forgets them all. What was still being written for a connection before this one, and an EVSE
    that is given another number, is seen within ASKED_AGAIN_AFTER.
    """

    __slots__ = ("_seen_at",)

    def __init__(self) -> None:
        self._seen_at: dict[int | None, datetime] | None = None

    def note(self, evse_number: int | None, now: datetime) -> None:
        if self._seen_at is None or len(self._seen_at) >= MOST_EVSES:
            self._seen_at = {}
        self._seen_at[evse_number] = now

    def forget(self) -> None:
        self._seen_at = None

    def has(self, evse_number: int | None, now: datetime) -> bool:
        seen_at = self._seen_at.get(evse_number) if self._seen_at is not None else None
        return seen_at is not None and timedelta() <= now - seen_at < ASKED_AGAIN_AFTER


async def take_meter_values(
    connection: ChargerConnection, message: Mapping[str, Any], *, evse_number: int | None, transaction: str
) -> None:
    """Keep the samples of a session. Those of an EVSE where nothing charges are nobody's, and are not even read."""
    now = connection.now()
    if not transaction and connection.idle_evses.has(evse_number, now):
        return
    sampled = await sampled_values.read_all(message.get("meterValue") or [], connection.moment)
    flags = (*sampled.flags, "malformed") if "_malformed" in message else tuple(sampled.flags)
    session = await connection.do(
        operations.add_readings,
        evse_number=evse_number,
        transaction_id=transaction,
        readings=sampled.readings,
        flags=flags,
        now=now,
    )
    if session is None and (sampled.readings or flags):
        connection.idle_evses.note(evse_number, now)
    connection.follow_meter(session)
