"""The list of tokens a charger keeps for when it cannot ask (SendLocalList)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulators.charger.ocpp_version import TokenAnswer


@dataclass
class LocalList:
    """`version` 0: there is none."""

    version: int = 0
    entries: dict[str, TokenAnswer] = field(default_factory=dict)

    def update(
        self, version: int, *, is_full: bool, changes: Mapping[str, TokenAnswer | None], most: int, holds: int
    ) -> str:
        """Take a list, or differences to the one there is (None: take it off the list); the status to answer with.

        A message may have `most` entries, the list `holds`.
        """
        if len(changes) > most:
            return "Failed"
        if not is_full and version <= self.version:
            return "VersionMismatch"
        entries = {} if is_full else dict(self.entries)
        for uid, answer in changes.items():
            entries.pop(uid.casefold(), None)
            if answer is not None:
                entries[uid.casefold()] = answer
        if len(entries) > holds:
            return "Failed"
        self.version, self.entries = version, entries
        return "Accepted"

    def find(self, uid: str) -> TokenAnswer | None:
        return self.entries.get(uid.casefold())
