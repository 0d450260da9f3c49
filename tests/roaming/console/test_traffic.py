"""How calls fare is summed up from the message log, and stays when the log forgets."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from roaming.console import traffic
from roaming.console.traffic import Fared
from roaming.models import Partner, PartnerMessage, PartnerTraffic
from tests.factories import NOW
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db


def said(
    partner: Partner, at: datetime, outcome: str = "ok", took_ms: int = 100, *, incoming: bool = False
) -> None:
    PartnerMessage.objects.create(
        partner=partner, at=at, is_incoming=incoming, method="PUT", url="/", outcome=outcome, took_ms=took_ms
    )


def test_calls_are_summed_up_once_however_often_it_is_done() -> None:
    partner = make_partner("ABC")
    for n, outcome in enumerate(["ok", "ok", "refused", "failed"]):
        said(partner, NOW - timedelta(minutes=1, seconds=n), outcome, took_ms=100 * n)
    said(partner, NOW - timedelta(hours=2), "failed")

    traffic.sum_up(now=NOW)
    said(partner, NOW, took_ms=900)
    traffic.sum_up(now=NOW)
    traffic.sum_up(now=NOW + timedelta(minutes=1))

    health = traffic.healths([partner.pk], now=NOW)[partner.pk]
    last_hour = health.out_hour
    assert last_hour == Fared(5, 1, 1, 1500, 900)
    assert (last_hour.percent_ok, last_hour.mean_ms) == (60, 300)
    assert (health.out_day.calls, health.in_day.calls) == (6, 0)


def test_sums_stay_when_the_log_forgets_and_go_after_two_weeks() -> None:
    partner = make_partner("ABC")
    said(partner, NOW - timedelta(minutes=1))
    traffic.sum_up(now=NOW)
    PartnerMessage.objects.all().delete()

    traffic.sum_up(now=NOW + timedelta(minutes=5))
    assert PartnerTraffic.objects.get().calls == 1

    traffic.sum_up(now=NOW + timedelta(days=15))
    assert not PartnerTraffic.objects.exists()


def test_an_hour_without_calls_is_there_too_and_each_way_has_its_own() -> None:
    partner = make_partner("ABC")
    said(partner, NOW - timedelta(hours=2))
    said(partner, NOW - timedelta(hours=2), "refused", incoming=True)
    traffic.sum_up(now=NOW)

    outgoing = traffic.hours(partner.pk, is_incoming=False, now=NOW)

    assert len(outgoing) == 24
    assert [hour.fared.calls for hour in outgoing[-3:]] == [1, 0, 0]
    assert traffic.healths([partner.pk], now=NOW)[partner.pk].in_day.refused == 1


@pytest.mark.parametrize(("moment", "waits"), [(None, None), (NOW, NOW)])
def test_a_delivery_waits_from_when_it_began_to_lack_something(
    moment: datetime | None, waits: datetime | None
) -> None:
    row = make_partner("ABC").deliveries.create(
        kind="booking", object_id=1, wanted_version=1, next_try_at=moment
    )
    later = NOW + timedelta(minutes=5)

    row.refresh_from_db()
    assert row.waiting_since == waits

    def after(**fields: object) -> datetime | None:
        type(row).objects.filter(pk=row.pk).update(**fields)
        row.refresh_from_db()
        return row.waiting_since

    assert after(next_try_at=later) == (waits or later)  # a retry, or wanted from then on
    assert (
        after(next_try_at=later, delivered_version=1, wanted_version=2) == later
    )  # one got, the next is wanted
    assert after(next_try_at=None) is None
