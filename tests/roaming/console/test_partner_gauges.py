"""What /metrics says of partners: sums of all, and the worst one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from prometheus_client import CollectorRegistry, generate_latest

from config import metrics
from tests.factories import NOW
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db


@time_machine.travel(NOW, tick=False)
def test_metrics_say_queue_age_and_circuits_of_the_worst_partners_only(
    monkeypatch: Any, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(metrics, "MOST_PARTNERS", 2)
    for n in range(3):
        lacking = make_partner(f"W{n}", failures=2 * n)
        lacking.deliveries.create(
            kind="booking", object_id=1, wanted_version=1, next_try_at=NOW - timedelta(minutes=n + 1)
        )
    make_partner("OK")
    make_partner("PA", paused_at=NOW)
    make_partner("GO", state="gone", failures=9)
    registry = CollectorRegistry()
    registry.register(metrics.Waiting())

    with django_assert_max_num_queries(7):
        told = generate_latest(registry).decode()

    assert 'berth_partner_oldest_waiting_seconds{partner="Partner SEW2"} 180.0' in told
    assert 'berth_partner_oldest_waiting_seconds{partner="Partner SEW1"} 120.0' in told
    assert 'partner="Partner SEW0"' not in told
    assert 'berth_partner_circuit_open{partner="Partner SEW2"} 1.0' in told
    assert 'berth_partner_circuit_open{partner="Partner SEW1"} 0.5' in told
    assert 'berth_partner_deliveries_waiting{partner="Partner SEW1"} 1.0' in told
    for state, number in (
        ("registered", 2),
        ("away", 2),
        ("refusing", 0),
        ("paused", 1),
        ("unregistered", 1),
    ):
        assert f'berth_partners{{state="{state}"}} {number}.0' in told
