"""What one charger may ask for, and what becomes of it while others are served."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from depots.models import RefusedConnection
from depots.ocpp import admission, limits
from depots.ocpp.limits import Limit, Pace
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import Bed, Clock, ScriptedCharger, eventually


def heartbeats(count: int) -> list[str]:
    return [json.dumps([2, f"h{number}", "Heartbeat", {}]) for number in range(count)]


@pytest.mark.usefixtures("gate")
def test_a_flood_is_slowed_loses_nothing_and_ends_only_when_it_does_not_stop(bed: Bed):
    bed.stop_gateway()
    bed.restart_gateway(messages_per_s=20, message_burst=5, flood_s=1)
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row)
    charger.come_online()
    start = {"connectorId": 1, "idTag": "A1", "meterStart": 0, "timestamp": "2030-01-15T08:00:00Z"}

    for frame in [*heartbeats(8), json.dumps([2, "start", "StartTransaction", start])]:
        charger.send(frame)

    eventually(lambda: any('"start"' in frame and "transactionId" in frame for frame in charger.sim.frames))
    assert row.sessions.count() == 1
    assert charger.is_connected
    bed.loop.run(_send_all(charger, heartbeats(200)))
    assert charger.closed() == "too many messages"
    eventually(lambda: _floods(row))


async def _send_all(charger: ScriptedCharger, frames: list[str]) -> None:
    """One after the other, as fast as they go, until it is cut off."""
    with suppress(ConnectionClosed):
        for frame in frames:
            await charger.sim.send(frame)


@pytest.mark.usefixtures("gate")
def test_a_charger_that_comes_again_and_again_has_to_wait_and_others_do_not(bed: Bed):
    bed.stop_gateway()
    bed.restart_gateway(returns_per_minute=3)
    row, other = make_charger(), make_charger()
    charger = bed.charger(row)

    def comes() -> int:
        try:
            charger.connect()
        except InvalidStatus as refusal:
            return refusal.response.status_code
        charger.drop()
        return 101

    assert [comes() for _ in range(5)] == [101, 101, 101, 429, 429]
    bed.charger(other).connect()
    refused = eventually(lambda: RefusedConnection.objects.filter(identity=row.identity).first())
    assert refused.reason == "too_often"
    bed.clock.advance(seconds=61)
    assert comes() == 101


@pytest.mark.usefixtures("gate")
def test_of_an_address_that_fails_all_the_time_nobody_is_looked_at_while_too_many_ask(bed: Bed, monkeypatch):
    monkeypatch.setattr(admission, "MOST_FAILURES_OF_ADDRESS", 3)
    bed.stop_gateway()
    bed.restart_gateway()
    right = bed.charger(make_charger())
    for _ in range(3):
        with pytest.raises(InvalidStatus):
            bed.charger(make_charger(), password="wrong").connect()

    right.connect()
    right.drop()
    monkeypatch.setattr(admission, "MOST_AT_ONCE", 0)
    with pytest.raises(InvalidStatus) as refusal:
        right.connect()

    assert refusal.value.response.status_code == 429


def test_a_limit_counts_within_a_minute_and_remembers_a_bounded_number(monkeypatch):
    monkeypatch.setattr(limits, "MOST_REMEMBERED", 3)
    clock = Clock(NOW)
    limit = Limit(clock, 2)

    for key in ("a", "a", "b", "c", "d"):
        limit.note(key)

    assert [limit.is_exceeded(key) for key in "abcd"] == [False] * 4  # the first is forgotten
    limit.note("d")
    assert limit.is_exceeded("d")
    clock.advance(seconds=60)
    assert not limit.is_exceeded("d")


def test_a_pace_lets_a_burst_through_and_then_so_many_a_second(monkeypatch):
    at = [0.0]
    monkeypatch.setattr(limits, "monotonic", lambda: at[0])
    pace = Pace(per_s=50, burst=100, flood_s=10)

    assert [pace.pause_s() for _ in range(100)] == [0] * 100
    waited = pace.pause_s()
    assert waited == pytest.approx(1 / 50)
    for _ in range(600):
        at[0] += waited
        waited = pace.pause_s()
    assert (waited, pace.is_flood) == (pytest.approx(1 / 50), True)
    at[0] += 5
    assert (pace.pause_s(), pace.is_flood) == (0, False)


def _floods(row) -> bool:
    row.refresh_from_db()
    return any("Flood" in json.dumps(entry) for entry in row.deviations)
