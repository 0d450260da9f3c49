"""The waiting list as its page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import overload

from django.db.models import QuerySet

from bookings.models import WaitlistEntry
from bookings.operations.waitlist import entry_version
from bookings.rules import quotes
from bookings.rules.terms import Terms

# The look of a booking's status that an entry's is shown with, and its word.
LOOKS = {
    "waiting": ("requested", "Waiting"),
    "offered": ("held", "Offered"),
    "accepted": ("confirmed", "Accepted"),
    "expired": ("expired", "Expired"),
    "withdrawn": ("cancelled", "Withdrawn"),
}


@dataclass(frozen=True)
class Waiting:
    """An entry, with its times on the clock of its depot's wall: naive, as templates print them."""

    entry: WaitlistEntry
    starts_at: datetime
    ends_at: datetime
    now: datetime

    @classmethod
    def of(cls, entry: WaitlistEntry, now: datetime) -> Waiting:
        period = entry.offered or entry.period
        zone = entry.depot.zone
        return cls(
            entry, period.starts_at.astimezone(zone).replace(tzinfo=None),
            period.ends_at.astimezone(zone).replace(tzinfo=None), now,
        )  # fmt: skip

    @property
    def look(self) -> str:
        return LOOKS[self.entry.status][0]

    @property
    def word(self) -> str:
        return LOOKS[self.entry.status][1]

    @property
    def place(self) -> str:
        """What was asked for, or the EVSE that is held."""
        evse = self.entry.held.evse if self.entry.held is not None else self.entry.evse
        return evse.uid if evse is not None else self.entry.option.name or self.entry.option.code

    @property
    def asks(self) -> bool:
        """Somebody decides after it was accepted."""
        held = self.entry.held
        return held is None or bool(Terms.from_json(held.terms_json).approval)

    @property
    def price(self) -> dict[str, str] | None:
        """Of what is held: who waits on a page names no price, and reads it here before it is taken."""
        return quotes.brief(self.entry.held.quote) if self.entry.held is not None else None

    @property
    def version(self) -> int:
        return entry_version(self.entry)


@dataclass(frozen=True)
class OpenFirst(Sequence[WaitlistEntry]):
    """Entries that are open and behind them those that are settled, as one list that is read by pages: each by an index of its
    own."""

    open: QuerySet[WaitlistEntry]
    settled: QuerySet[WaitlistEntry]

    @cached_property
    def _number_open(self) -> int:
        return self.open.count()

    def __len__(self) -> int:
        return self._number_open + self.settled.count()

    @overload
    def __getitem__(self, of: int) -> WaitlistEntry: ...
    @overload
    def __getitem__(self, of: slice) -> list[WaitlistEntry]: ...
    def __getitem__(self, of: int | slice) -> WaitlistEntry | list[WaitlistEntry]:
        if isinstance(of, int):
            return self[of : of + 1][0]
        behind = slice(max(of.start - self._number_open, 0), max(of.stop - self._number_open, 0))
        found = list(self.open[of]) if of.start < self._number_open else []
        return [*found, *self.settled[behind]] if behind.stop > behind.start else found


def waiting_of(entries: Iterable[WaitlistEntry], now: datetime) -> list[Waiting]:
    return [Waiting.of(entry, now) for entry in entries]
