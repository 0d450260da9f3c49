"""What piles up is cleared once a day, by one worker."""

from datetime import UTC, datetime, timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session

from config.housekeeping import keep_house_if_ours

NOON = datetime(2030, 5, 6, 12, 0, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def test_sessions_that_ran_out_and_old_tries_are_cleared_once_a_day():
    Session.objects.create(session_key="over", session_data="", expire_date=NOON - timedelta(seconds=1))
    Session.objects.create(session_key="kept", session_data="", expire_date=NOON + timedelta(days=1))
    old = AccessAttempt.objects.create(username="a", ip_address="192.0.2.1", failures_since_start=3)
    AccessAttempt.objects.filter(pk=old.pk).update(attempt_time=NOON - timedelta(days=2))

    assert keep_house_if_ours(NOON)

    assert list(Session.objects.values_list("session_key", flat=True)) == ["kept"]
    assert not AccessAttempt.objects.filter(pk=old.pk).exists()
    assert not keep_house_if_ours(NOON + timedelta(hours=1))
    assert keep_house_if_ours(NOON + timedelta(days=1))
