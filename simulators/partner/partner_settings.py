"""What a simulated partner is made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROLES = ("CPO", "EMSP")


def _now() -> datetime:
    return datetime.now(UTC)


def _say_nothing(line: str) -> None:
    pass


@dataclass(frozen=True)
class PartnerSettings:
    """`listen` is (host, port), port 0 for any; `public_url` our address as others see it, when that is another one.

    `roles` are those of our party; `is_behind_hub` lets the other platform tell whom it connects. `decide_after` is how long the
    slow location thinks; `book_every` of None never books with the other platform. Who has booked here charges for `charges_for`,
    or until the booked end.
    """

    state_file: Path
    listen: tuple[str, int] = ("127.0.0.1", 0)
    public_url: str = ""
    country_code: str = "FR"
    party_id: str = "SIM"
    name: str = "Simulated Charging Network"
    version: str = "2.3.0"
    roles: tuple[str, ...] = ROLES
    is_behind_hub: bool = False
    decide_after: timedelta = timedelta(seconds=8)
    book_every: timedelta | None = None
    charges_for: timedelta = timedelta(minutes=20)
    quiet_hours: bool = False
    clock: Callable[[], datetime] = _now
    say: Callable[[str], None] = _say_nothing

    @property
    def party(self) -> dict[str, str]:
        """Our party, as OCPI's objects name it."""
        return {"country_code": self.country_code.upper(), "party_id": self.party_id.upper()}

    @property
    def introduction(self) -> dict[str, object]:
        """Who we are, in our credentials."""
        party = {**self.party, "business_details": {"name": self.name}}
        return {"roles": [{"role": role, **party} for role in self.roles]}

    @property
    def parties(self) -> list[tuple[str, str]]:
        """Who may be addressed here."""
        return [(self.country_code.upper(), self.party_id.upper())]
