"""Refused connections on their way to the table: counted in memory, written together now and then.

Anybody can try to connect under any name, as often as they like: it costs an entry of a bounded map.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from depots.client_address import client_network
from depots.ocpp.database import Database
from depots.operations.refused_connections import Refusal, note_refusals

# New identities between two flushes, of all and of one address (of IPv6: its /64).
MOST_WAITING = 1000
MOST_OF_ONE_ADDRESS = 100


class RefusedConnectionBuffer:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, Refusal] = {}
        self._of_network: Counter[str] = Counter()

    def keep(self, refusal: Refusal) -> bool:
        """Whether it is the first of its identity since the last flush: who logs it once has said enough."""
        name = refusal.identity.upper()
        if known := self._waiting.get(name):
            self._waiting[name] = replace(refusal, tries=known.tries + refusal.tries, first_at=known.first_at)
            return False
        is_full = len(self._waiting) >= MOST_WAITING
        network = client_network(refusal.address)
        if is_full or self._of_network[network] >= MOST_OF_ONE_ADDRESS:
            return False
        self._of_network[network] += 1
        self._waiting[name] = refusal
        return True

    async def flush(self) -> None:
        batch, self._waiting = list(self._waiting.values()), {}
        self._of_network.clear()
        if batch:
            await self._database.run(note_refusals, batch)
