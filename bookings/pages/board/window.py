from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from depots.models import Depot
from depots.periods import Period, gaps, utc_text

VIEWS = {"day": 1, "3-days": 3, "week": 7}
# Beyond these a calendar cannot count, and nobody plans.
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


@dataclass(frozen=True)
class Window:
    """The local days a board shows. A day of 23 or 25 hours is that long here too."""

    first: date
    view: str
    zone: ZoneInfo

    @classmethod
    def asked(cls, day: str, view: str, depot: Depot, *, now: datetime) -> Window:
        """What an address asks for; today and one day where it says nothing that can be read."""
        try:
            first = date.fromisoformat(day)
        except ValueError:
            first = now.astimezone(depot.zone).date()
        first = min(max(first, FIRST_DAY), LAST_DAY)
        return cls(first, view if view in VIEWS else "day", depot.zone)

    @property
    def days(self) -> int:
        return VIEWS[self.view]

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.days - 1)

    @property
    def period(self) -> Period:
        return Period(self._midnight(self.first), self._midnight(self.first + timedelta(days=self.days)))

    @property
    def before(self) -> date:
        return self.first - timedelta(days=self.days)

    @property
    def after(self) -> date:
        return self.first + timedelta(days=self.days)

    @property
    def title(self) -> str:
        if self.days == 1:
            return f"{self.first:%A %-d %B %Y}"
        return f"{self.first:%a %-d %b} – {self.last:%a %-d %b %Y}"

    def closed_hours(self, depot: Depot) -> list[dict[str, str]]:
        """When the depot's gate is shut, as the timeline shades it."""
        return [
            {"start": utc_text(span.starts_at), "end": utc_text(span.ends_at)}
            for span in gaps(self.period, depot.open_spans(self.period))
        ]

    def shows_today(self, now: datetime) -> bool:
        return self.period.contains(now)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)
