"""What a request of a fleet's system costs the database: statements, and the messages they travel in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from depots.periods import Period
from tests.bookings.api.conftest import Site
from tests.factories import slot

pytestmark = pytest.mark.django_db

BEGIN_OR_END = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")
Ask = Callable[[Site, Period, int], HttpResponse]


def _book(site: Site, period: Period, _: int) -> HttpResponse:
    return site.system.post("/bookings", site.wanted(period))


def _hold(site: Site, period: Period, _: int) -> HttpResponse:
    return site.system.post("/holds", site.wanted(period))


def _change(site: Site, period: Period, booking: int) -> HttpResponse:
    times = {"starts_at": period.starts_at.isoformat(), "ends_at": period.ends_at.isoformat()}
    return site.system.send("PATCH", f"/bookings/{booking}", times)


def _cancel(site: Site, _: Period, booking: int) -> HttpResponse:
    return site.system.post(f"/bookings/{booking}/cancellation", {"reason": "TRAFFIC"})


def _read(site: Site, _: Period, booking: int) -> HttpResponse:
    return site.system.get(f"/bookings/{booking}")


# A booking over OCPI takes 12, its line in the log among them (booking_statements, api_post_vs_ocpi).
@pytest.mark.parametrize(
    ("ask", "statements", "messages"),
    [(_book, 14, 11), (_hold, 14, 11), (_change, 19, 18), (_cancel, 18, 17), (_read, 4, 4)],
)
def test_a_request_takes_so_many_statements(site: Site, ask: Ask, statements: int, messages: int) -> None:
    """Of the third of its kind: what a process keeps is known by then."""
    periods = [slot(hour, hour + 1) for hour in (10, 12, 14)]
    made = [site.book(period=period)["id"] for period in periods]
    later = [Period(p.starts_at + timedelta(days=1), p.ends_at + timedelta(days=1)) for p in periods]
    for period, booking in zip(later[:2], made[:2], strict=True):
        assert ask(site, period, booking).status_code < 300

    with CaptureQueriesContext(connection) as seen:
        assert ask(site, later[2], made[2]).status_code < 300

    assert len(_told(seen)) <= statements, "\n".join(_told(seen))
    assert sum(not _begins_or_ends(query["sql"]) for query in seen) <= messages


def _told(queries: Any) -> list[str]:
    every = [one for query in queries for one in query["sql"].split(";\n")]  # as they share a message
    return [one for one in every if not _begins_or_ends(one)]


def _begins_or_ends(statement: str) -> bool:
    return statement.startswith(BEGIN_OR_END) and ";\n" not in statement
