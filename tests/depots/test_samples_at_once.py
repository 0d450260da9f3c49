"""Samples of many chargers, written together, leave what each leaves by itself."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from depots import operations
from depots.models import ChargingSession, Evse, MeterReading
from depots.ocpp import sampled_values
from depots.ocpp.times import Moment
from depots.operations import Reading, TransactionReport
from tests.depots.charging import CARD, MINUTE, SECOND, event, meter, start, stop
from tests.factories import NOW, make_charger, make_depot, make_evse
from tests.scenarios.locked_rows import somebody_locks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gate")]

LATER = NOW + MINUTE


def charging(version: str) -> tuple[Evse, ChargingSession]:
    evse = make_evse(charger=make_charger(make_depot()))
    if version == "1.6":
        return evse, start(evse)
    event(evse, "started", 0, NOW, transaction="T1", token_uid=CARD)
    return evse, event(evse, "updated", 1, NOW + SECOND, sample(1000, NOW + SECOND), transaction="T1")


def sample(wh: int, at: datetime) -> Reading:
    return Reading(at=at, energy_wh=wh, power_w=50_000, soc_percent=20, registers={"Outlet": wh})


def samples_of(evse: Evse, transaction: str = "", at: datetime = LATER, number: int = 1) -> dict:
    return {
        "charger_id": evse.charger_id,
        "evse_number": number,
        "transaction_id": transaction,
        "readings": [sample(3000, at)],
        "flags": (),
        "now": at,
    }


def update_of(evse: Evse, at: datetime = LATER, **fields) -> dict:
    told = {
        "seq_no": 2,
        "kind": "updated",
        "charging_state": "charging",
        "readings": [sample(3000, at)],
        **fields,
    }
    return {"charger_id": evse.charger_id, "report": TransactionReport("T1", at=at, **told), "now": at}


def figures(session: ChargingSession) -> tuple:
    session.refresh_from_db()
    return (
        session.meter_start_wh,
        session.meter_last_wh,
        session.power_w,
        session.soc_percent,
        session.registers,
    )


def test_together_they_leave_what_one_leaves_by_itself():
    one, alone = charging("1.6")
    meter(one, sample(3000, LATER), now=LATER, transaction=alone.transaction)
    (named, first), (unnamed, second), (newer, third) = charging("1.6"), charging("1.6"), charging("2.x")

    done = operations.add_readings_of_many([samples_of(named, first.transaction), samples_of(unnamed)])
    updated = operations.record_updates([update_of(newer)])

    assert set(done) | set(updated) == {named.charger_id, unnamed.charger_id, newer.charger_id}
    assert figures(first) == figures(second) == figures(third) == figures(alone)
    assert all(each.readings.filter(at=LATER, energy_wh=3000).exists() for each in (first, second, third))


def test_told_again_a_sample_is_the_same_one():
    evse, session = charging("2.x")

    for _ in range(2):
        operations.record_updates([update_of(evse)])
        operations.record_transaction(**update_of(evse))

    assert list(session.readings.values_list("at", flat=True)) == [NOW + SECOND, LATER]


def test_what_only_tells_the_meter_leaves_no_event():
    evse, session = charging("2.x")
    before = session.events.count()

    operations.record_transaction(**update_of(evse))
    operations.record_transaction(**update_of(evse, LATER + MINUTE, seq_no=3, charging_state="no_demand"))

    assert session.events.count() == before + 1
    assert session.events.get(charging_state="no_demand").at == LATER + MINUTE


@pytest.mark.parametrize(
    "told",
    [
        {"token_uid": CARD},
        {"charging_state": "no_demand"},
        {"flags": ["malformed"]},
        {"kind": "ended"},
        {"readings": []},
    ],
)
def test_what_tells_more_than_the_meter_is_left_to_its_own_operation(told: dict):
    evse, _ = charging("2.x")

    assert operations.record_updates([update_of(evse, **told)]) == {}


def test_a_session_that_has_ended_is_left_to_its_own_operation():
    evse, session = charging("1.6")
    stop(session, NOW + 30 * SECOND)

    assert operations.add_readings_of_many([samples_of(evse, session.transaction)]) == {}


def test_where_nothing_charges_nothing_is_kept():
    evse = make_evse(charger=make_charger(make_depot()))

    assert operations.add_readings_of_many([samples_of(evse)]) == {evse.charger_id: None}
    assert not MeterReading.objects.exists()


@pytest.mark.parametrize("number", [2**31, 10**80, -(2**40)])
def test_a_number_that_no_evse_can_have_is_none_and_spoils_nothing_of_others(number: int):
    (evse, session), stranger = charging("1.6"), make_evse(charger=make_charger(make_depot()))

    done = operations.add_readings_of_many(
        [samples_of(evse, session.transaction), {**samples_of(stranger), "evse_number": number}]
    )

    assert done == {evse.charger_id: session, stranger.charger_id: None}


@pytest.mark.django_db(transaction=True)
def test_a_session_that_somebody_has_locked_holds_up_no_other():
    (locked, session), (free, other) = charging("1.6"), charging("1.6")

    with somebody_locks(session):
        done = operations.add_readings_of_many(
            [samples_of(locked, session.transaction), samples_of(free, other.transaction)]
        )

    assert set(done) == {free.charger_id}


def test_twenty_meters_cost_as_many_round_trips_as_one():
    told = [charging("1.6") for _ in range(20)]

    with CaptureQueriesContext(connection) as captured:
        done = operations.add_readings_of_many([samples_of(evse, one.transaction) for evse, one in told])

    assert len(done) == 20
    assert len([q for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]) == 4


SIGNED_16 = {"value": "OCMF|{}|{}", "format": "SignedData", "context": "Transaction.Begin"}
SIGNED_2X = {
    "value": 3000,
    "signedMeterValue": {"signedMeterData": "YQ==", "encodingMethod": "OCMF", "publicKey": ""},
}


def test_signed_samples_are_kept_untouched_and_once_beside_the_figures():
    evse, session = charging("1.6")
    told = [{"timestamp": "x", "sampledValue": [SIGNED_16, SIGNED_2X]}]
    readings = sampled_values.read(told, lambda _: Moment(LATER)).readings
    call = {**samples_of(evse, session.transaction), "readings": readings}

    assert operations.add_readings_of_many([call]) == {}
    for _ in range(2):
        operations.add_readings(**call)

    assert [kept.sample for kept in session.signed_values.all()] == [SIGNED_16, SIGNED_2X]
    assert [reading.energy_wh for reading in session.readings.all()] == [3000]


def test_a_sample_that_is_nothing_but_signed_leaves_no_reading():
    _, session = charging("1.6")
    told = [{"timestamp": "x", "sampledValue": [SIGNED_16]}]

    stop(session, LATER, readings=sampled_values.read(told, lambda _: Moment(LATER)).readings)

    assert session.signed_values.get().at == LATER
    assert not session.readings.exists()
