"""Readings of sessions that ended long ago are thinned to a quarter of an hour, and what proves a price stays."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from depots import operations
from depots.models import ChargingSession, EvseChargingState, MeterReading
from depots.operations import meter_thinning
from tests.factories import NOW, make_charger, make_evse

pytestmark = pytest.mark.django_db

BEGIN = NOW.replace(hour=8, minute=0, second=20, microsecond=0)
END = BEGIN + timedelta(hours=1)
LATER = END + timedelta(days=100)


def minutes(*places: float) -> list[datetime]:
    return [BEGIN + timedelta(minutes=place) for place in places]


def ended_session(**fields) -> ChargingSession:
    """An hour at one EVSE with a reading each half minute."""
    evse = make_evse(charger=make_charger())
    usual = {"started_at": BEGIN, "start_received_at": BEGIN, "ended_at": END, "meter_start_wh": 0}
    session = ChargingSession.objects.create(
        charger=evse.charger, evse=evse, transaction="T1", **{**usual, **fields}
    )
    MeterReading.objects.bulk_create(
        MeterReading(session=session, at=BEGIN + timedelta(seconds=30 * place), energy_wh=1000 * place)
        for place in range(121)
    )
    return session


def kept(session: ChargingSession) -> list[datetime]:
    return list(session.readings.order_by("at").values_list("at", flat=True))


def test_of_an_old_session_the_first_of_each_quarter_stays_and_the_last_of_all() -> None:
    session = ended_session()

    assert operations.thin_old_readings(now=LATER) == 1

    assert kept(session) == minutes(0, 15, 30, 45, 60)
    session.refresh_from_db()
    assert session.thinned_at == LATER
    assert operations.thin_old_readings(now=LATER) == 0


def test_readings_beside_a_change_a_signed_value_and_a_register_that_goes_back_stay() -> None:
    session = ended_session()
    change, signed, back = BEGIN + timedelta(minutes=5, seconds=10), *minutes(20, 50)
    EvseChargingState.objects.create(evse=session.evse, at=change, state="no_demand")
    session.events.create(seq_no=1, kind="updated", at=minutes(35)[0], charging_state="no_demand")
    session.events.create(seq_no=2, kind="updated", at=minutes(40)[0])
    session.signed_values.create(at=signed, sample={}, digest="d")
    session.readings.filter(at=back).update(energy_wh=5)

    operations.thin_old_readings(now=LATER)

    assert kept(session) == minutes(0, 5, 5.5, 15, 20, 30, 35, 45, 49.5, 50, 60)


@pytest.mark.parametrize("ended_at", [END + timedelta(seconds=1), None])
def test_nothing_is_thinned_that_runs_or_ended_less_than_a_hundred_days_ago(
    ended_at: datetime | None,
) -> None:
    session = ended_session(ended_at=ended_at)

    assert operations.thin_old_readings(now=LATER) == 0

    assert len(kept(session)) == 121


def test_what_is_still_needed_stays_and_holds_up_nobody(monkeypatch) -> None:
    monkeypatch.setattr(meter_thinning, "BATCH", 1)
    needed, other = ended_session(), ended_session(ended_at=END + timedelta(hours=1))
    monkeypatch.setattr(meter_thinning.gate, "needed_readings", lambda ids: {needed.pk} & set(ids))

    assert operations.thin_old_readings(now=LATER + timedelta(hours=1)) == 1

    assert (len(kept(needed)), len(kept(other))) == (121, 5)
