"""What piles up is cleared once a day, by one worker."""

from datetime import UTC, datetime, timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session

from config import housekeeping
from config.housekeeping import clear_some, keep_house_if_ours

NOON = datetime(2030, 5, 6, 12, 0, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def test_the_house_is_kept_once_a_day_by_one_worker() -> None:
    assert keep_house_if_ours(NOON)

    assert not keep_house_if_ours(NOON + timedelta(hours=1))
    assert keep_house_if_ours(NOON + timedelta(days=1))


def test_sessions_that_ran_out_and_old_tries_are_cleared_by_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "AT_ONCE", 2)
    for number in range(3):
        over = NOON - timedelta(seconds=number)
        Session.objects.create(session_key=f"over {number}", session_data="", expire_date=over)
    Session.objects.create(session_key="kept", session_data="", expire_date=NOON + timedelta(days=1))
    old = AccessAttempt.objects.create(username="a", ip_address="192.0.2.1", failures_since_start=3)
    AccessAttempt.objects.filter(pk=old.pk).update(attempt_time=NOON - timedelta(days=2))

    assert [(clear_some(NOON), Session.objects.count()) for _ in range(2)] == [(True, 2), (False, 1)]

    assert Session.objects.get().session_key == "kept"
    assert not AccessAttempt.objects.exists()
