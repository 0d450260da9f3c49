"""Transactions over OCPP 1.6: once, late, twice, out of order, by strangers, and with odd clocks."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from depots import signals
from depots.gate import Authorization
from depots.models import Charger, ChargerCommand, ChargingSession, Evse
from depots.queries import armed_reservations, charging_states
from tests.factories import NOW, make_charger, make_depot, make_evse
from tests.scenarios.bed import Bed, ScriptedCharger, ScriptedGate, eventually

TOKEN = "04AABBCCDD10"
STRANGER = "0455667788"
BOOKED = Authorization(allowed=False, reason="booked_by_another")


@pytest.fixture
def row(transactional_db) -> Charger:
    row = make_charger(make_depot(time_zone="America/Sao_Paulo"))
    make_evse(charger=row)
    make_evse(charger=row)
    return row


@pytest.fixture
def charger(bed: Bed, row: Charger, gate: ScriptedGate) -> ScriptedCharger:
    charger = bed.charger(row)
    charger.come_online()
    return charger


@pytest.fixture
def facts(transactional_db):
    """What was told to others, in order: (name of the signal, id of the session)."""
    heard: list[tuple[str, int]] = []
    receivers = {
        name: partial(lambda name, session, **_: heard.append((name, session.pk)), name)
        for name in ("charging_started", "charging_ended", "charging_corrected")
    }
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid=name)
    yield heard
    for name in receivers:
        getattr(signals, name).disconnect(dispatch_uid=name)


def start(charger: ScriptedCharger, **fields) -> dict:
    usual = {"connectorId": 1, "idTag": TOKEN, "meterStart": 1000, "timestamp": "2030-01-15T08:00:00Z"}
    charger.wait_until({**usual, **fields}["timestamp"])
    return charger.ask("StartTransaction", {**usual, **fields})


def stop(charger: ScriptedCharger, transaction: int, **fields) -> dict:
    usual = {"transactionId": transaction, "meterStop": 5000, "timestamp": "2030-01-15T08:30:00Z"}
    charger.wait_until({**usual, **fields}["timestamp"])
    return charger.ask("StopTransaction", {**usual, **fields})


def test_a_session_from_tap_to_departure(bed: Bed, charger: ScriptedCharger, facts):
    charger.tap(1, TOKEN, soc_percent=20)
    bed.clock.advance(minutes=10)
    charger.charge(1, timedelta(minutes=10), power_w=120_000)
    running = ChargingSession.objects.get()
    charger.stop(1)

    session = ChargingSession.objects.get()
    assert (running.power_w, running.soc_percent, running.energy_wh) == (120_000, 20, 20_000)
    assert (session.started_at, session.ended_at) == (NOW, NOW + timedelta(minutes=10))
    assert (session.energy_wh, session.stop_reason, session.flags) == (20_000, "Local", [])
    assert session.readings.count() == 1
    assert facts == [("charging_started", session.pk), ("charging_ended", session.pk)]
    assert Evse.objects.get(number=1).status == "available"


def status(charger: ScriptedCharger, bed: Bed, told: str) -> None:
    at = bed.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    charger.ask(
        "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": told, "timestamp": at}
    )


def test_what_the_status_says_of_the_charging_is_kept_with_its_time(bed: Bed, charger: ScriptedCharger):
    for told in ("Preparing", "Charging"):
        status(charger, bed, told)
    bed.clock.advance(seconds=10)
    transaction = start(charger)["transactionId"]
    for minutes, told in ((20, "SuspendedEV"), (5, "SuspendedEVSE"), (5, "SuspendedEV")):
        bed.clock.advance(minutes=minutes)
        status(charger, bed, told)
    bed.clock.advance(minutes=10)
    stop(charger, transaction, timestamp="2030-01-15T08:40:10Z")
    for told in ("Finishing", "Available", "Preparing"):
        status(charger, bed, told)

    session = ChargingSession.objects.get()
    seconds = [(int((at - NOW).total_seconds()), state) for at, state in charging_states(session)]
    assert seconds == [(0, "charging"), (1210, "no_demand"), (1510, "no_offer"), (1810, "no_demand")]


def test_a_repeated_start_is_the_same_transaction(charger: ScriptedCharger, facts):
    first, second = start(charger), start(charger)

    assert first == second
    assert ChargingSession.objects.count() == 1
    assert len(facts) == 1


def test_without_a_clock_a_start_after_the_end_is_another_one(charger: ScriptedCharger, facts):
    unset = {"timestamp": "1970-01-01T00:00:00Z", "meterStart": 0}
    first = start(charger, **unset)
    assert start(charger, **unset) == first
    stop(charger, first["transactionId"], timestamp=unset["timestamp"])

    second = start(charger, **unset)

    assert second["transactionId"] != first["transactionId"]
    assert start(charger, **unset) == second
    assert [name for name, _ in facts] == ["charging_started", "charging_ended", "charging_started"]
    assert list(ChargingSession.objects.order_by("pk").values_list("ended_at", flat=True)) == [NOW, None]


def test_with_a_clock_a_start_repeated_after_the_end_is_still_the_same(charger: ScriptedCharger):
    first = start(charger)
    stop(charger, first["transactionId"], timestamp="1970-01-01T00:00:00Z")

    assert start(charger) == first


def test_a_repeated_start_is_answered_as_the_first_though_the_slot_is_over(charger: ScriptedCharger, gate):
    start(charger)
    gate.answers[TOKEN] = BOOKED

    assert start(charger)["idTagInfo"]["status"] == "Accepted"


def test_a_repeated_stop_is_one_stop(charger: ScriptedCharger, facts):
    transaction = start(charger)["transactionId"]

    stop(charger, transaction)
    stop(charger, transaction, meterStop=9999)

    assert ChargingSession.objects.get().meter_stop_wh == 5000
    assert [name for name, _ in facts] == ["charging_started", "charging_ended"]


@pytest.mark.parametrize("transaction", [0, -1])
def test_a_stop_without_a_usable_id_means_the_one_that_runs(charger: ScriptedCharger, transaction: int):
    start(charger)

    stop(charger, transaction, idTag=TOKEN.lower())

    session = ChargingSession.objects.get()
    assert (session.meter_stop_wh, session.flags) == (5000, ["stop_matched"])


@pytest.mark.parametrize("transaction", [0, -1, 999_999_999])
def test_a_stop_of_what_nobody_saw_begin_is_kept_once(charger: ScriptedCharger, transaction: int, facts):
    stop(charger, transaction)
    stop(charger, transaction)

    session = ChargingSession.objects.get()
    assert session.flags == ["no_start", "unknown_transaction"]
    assert session.meter_stop_wh == 5000
    assert facts == []


@pytest.mark.parametrize(("told", "kept"), [(None, None), (0, None), (-1, None), (7, 7), (10**30, None)])
def test_a_reservation_id_is_taken_as_told_if_it_can_be_one(charger: ScriptedCharger, told, kept):
    start(charger, **({} if told is None else {"reservationId": told}))

    assert ChargingSession.objects.get().reservation_id == kept


@pytest.mark.parametrize(
    ("told", "at", "flags"),
    [
        ("2030-01-15T07:59:59.123456789Z", NOW - timedelta(seconds=1) + timedelta(microseconds=123456), []),
        ("2030-01-15T09:00:00+01:00", NOW, []),
        ("2030-01-15T10:00:00+02", NOW, []),
        ("2030-01-15T05:00:00", NOW, ["no_zone"]),
        ("1970-01-01T00:00:00Z", NOW, ["bad_clock"]),
        ("yesterday", NOW, ["bad_clock"]),
        ("2030-01-15T06:00:00Z", NOW - timedelta(hours=2), []),
    ],
)
def test_times_are_understood_or_replaced_and_flagged(charger: ScriptedCharger, told, at, flags):
    start(charger, timestamp=told)

    session = ChargingSession.objects.get()
    assert (session.started_at, session.flags) == (at, flags)
    assert session.start_received_at == NOW


def test_an_unknown_connector_still_has_its_energy_counted(charger: ScriptedCharger):
    transaction = start(charger, connectorId=9)["transactionId"]
    stop(charger, transaction)

    session = ChargingSession.objects.get()
    assert (session.evse, session.energy_wh, session.flags) == (None, 4000, ["unknown_evse"])


@pytest.mark.parametrize(("told", "kept"), [(-5, None), (10**30, None), (0, 0)])
def test_a_meter_that_shows_nonsense_is_flagged(charger: ScriptedCharger, told: int, kept: int | None):
    transaction = start(charger, meterStart=told)["transactionId"]

    session = ChargingSession.objects.get()
    assert transaction == session.pk
    assert session.meter_start_wh == kept
    assert session.flags == ([] if kept == 0 else ["bad_meter"])


def test_a_start_ends_the_transaction_whose_stop_never_came(bed: Bed, charger: ScriptedCharger, facts):
    first = start(charger)["transactionId"]
    start(charger, timestamp="2030-01-15T08:20:00Z", idTag=STRANGER)

    abandoned = ChargingSession.objects.get(pk=first)
    assert abandoned.ended_at == NOW + timedelta(minutes=20)
    assert abandoned.flags == ["no_stop"]

    stop(charger, first, timestamp="2030-01-15T08:19:00Z")
    abandoned.refresh_from_db()
    assert (abandoned.meter_stop_wh, abandoned.ended_at) == (5000, NOW + timedelta(minutes=19))
    assert facts.count(("charging_ended", first)) == 1


def test_units_phases_and_odd_samples(charger: ScriptedCharger):
    transaction = start(charger)["transactionId"]

    def sample(**sampled) -> dict:
        return {k: str(v) for k, v in sampled.items()}

    charger.ask(
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": transaction,
            "meterValue": [
                {
                    "timestamp": "2030-01-15T08:10:00Z",
                    "sampledValue": [
                        sample(value="12.5", unit="kWh"),
                        sample(value=100, measurand="Power.Active.Import", unit="kW", phase="L1"),
                        sample(value=50_000, measurand="Power.Active.Import", unit="W", phase="L2"),
                        sample(value="nonsense", measurand="SoC"),
                        sample(value="a1b2", format="SignedData"),
                    ],
                }
            ],
        },
    )

    reading = ChargingSession.objects.get().readings.get()
    assert (reading.energy_wh, reading.power_w, reading.soc_percent) == (12_500, 150_000, None)


def test_samples_without_a_transaction_belong_to_what_charges_there(charger: ScriptedCharger):
    sampled = [{"timestamp": "2030-01-15T08:10:00Z", "sampledValue": [{"value": "3000"}]}]
    for _ in range(2):  # where nothing charges yet they are nobody's
        charger.ask("MeterValues", {"connectorId": 1, "meterValue": sampled})
    start(charger)

    charger.ask("MeterValues", {"connectorId": 1, "meterValue": sampled})
    charger.ask("MeterValues", {"connectorId": 2, "meterValue": sampled})

    assert ChargingSession.objects.get().meter_last_wh == 3000


def test_the_latest_figures_reach_open_pages_however_fast_they_come(charger: ScriptedCharger):
    heard: list[int | None] = []

    def hear(session: ChargingSession, **_) -> None:
        heard.append(session.energy_wh)

    signals.session_metered.connect(hear, weak=False, dispatch_uid="figures")
    transaction = start(charger)["transactionId"]

    def sample(wh: int) -> None:
        told_at = f"2030-01-15T08:00:0{wh % 10}Z"
        charger.wait_until(told_at)
        sampled = [{"timestamp": told_at, "sampledValue": [{"value": str(wh)}]}]
        charger.ask("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": sampled})

    try:
        for wh in (1001, 1002, 1003):
            sample(wh)
        eventually(lambda: heard[-1:] == [3])
        charger.wait_until("2030-01-15T08:00:05Z")
        sample(1004)
        eventually(lambda: heard[-1:] == [4])  # told in the same moment as what comes next
        sample(1005)
        eventually(lambda: heard[-1:] == [5])
    finally:
        signals.session_metered.disconnect(dispatch_uid="figures")
    assert heard[0] == 1


def test_the_final_samples_may_come_with_the_stop(charger: ScriptedCharger):
    transaction = start(charger)["transactionId"]
    data = [{"timestamp": "2030-01-15T08:29:00Z", "sampledValue": [{"value": "4900"}]}]

    stop(charger, transaction, transactionData=data)

    assert ChargingSession.objects.get().readings.get().energy_wh == 4900


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("unknown_token", "Invalid"),
        ("blocked", "Blocked"),
        ("booked_by_another", "Blocked"),
        ("not_yet", "Blocked"),
        ("elsewhere", "Blocked"),
        ("", "Invalid"),
    ],
)
def test_a_refusal_is_worded_for_the_drivers_display(charger: ScriptedCharger, gate, reason, status):
    gate.answers[STRANGER] = Authorization(allowed=False, reason=reason, group="B9")

    assert charger.ask("Authorize", {"idTag": STRANGER}) == {"idTagInfo": {"status": status}}


def test_an_entitled_token_is_answered_with_its_bookings_group(charger: ScriptedCharger, gate):
    gate.answers[TOKEN] = Authorization(allowed=True, group="B7", reservation_id=7)

    assert charger.ask("Authorize", {"idTag": TOKEN})["idTagInfo"] == {
        "status": "Accepted",
        "parentIdTag": "B7",
    }
    assert start(charger)["idTagInfo"]["parentIdTag"] == "B7"
    assert gate.asked[0]["evse"] is None
    assert gate.asked[-1]["evse"] == Evse.objects.get(number=1)


def test_a_stranger_who_starts_is_refused_recorded_and_leaves(charger: ScriptedCharger, gate):
    gate.answers[STRANGER] = BOOKED

    charger.start(1, STRANGER)
    charger.idle()

    session = ChargingSession.objects.get()
    assert (session.is_entitled, session.stop_reason) == (False, "DeAuthorized")


def test_a_stranger_whom_the_charger_lets_go_on_is_stopped_remotely(bed: Bed, charger: ScriptedCharger, gate):
    gate.answers[STRANGER] = BOOKED
    charger.configuration["StopTransactionOnInvalidId"] = "false"

    transaction = charger.start(1, STRANGER)
    assert charger.count("RemoteStopTransaction") == 0
    bed.clock.advance(seconds=11)

    assert charger.heard("RemoteStopTransaction") == {"transactionId": transaction.csms_id}
    eventually(lambda: ChargingSession.objects.get().stop_reason == "Remote")


def test_a_stranger_who_has_left_is_not_stopped_again(bed: Bed, charger: ScriptedCharger, gate):
    gate.answers[STRANGER] = BOOKED
    charger.start(1, STRANGER)
    charger.idle()
    bed.clock.advance(seconds=11)

    eventually(lambda: ChargerCommand.objects.get(action="remote_stop").state == "stale")
    assert charger.count("RemoteStopTransaction") == 0


@pytest.mark.parametrize(("minutes", "measured"), [(0, "works"), (3, "lies")])
def test_a_charger_that_charges_a_refused_stranger_on_where_it_holds_a_reservation_lies(
    bed: Bed, charger, row, gate, minutes, measured
):
    from depots.operations import queue_command

    expires = (NOW + timedelta(hours=1)).isoformat()
    payload = {"reservation_id": 7, "evse": 1, "token": TOKEN, "group": "B7", "expires_at": expires}
    queue_command(charger=row, action="reserve", payload=payload, reservation_id=7, now=NOW)
    eventually(lambda: armed_reservations(row, now=NOW))
    assert Charger.objects.get(pk=row.pk).measured["reservation"] == "works"
    gate.answers[STRANGER] = BOOKED

    begun = start(charger, idTag=STRANGER)
    assert Charger.objects.get(pk=row.pk).measured["reservation"] == "works"
    stop(charger, begun["transactionId"], timestamp=f"2030-01-15T08:0{minutes}:05Z")

    assert Charger.objects.get(pk=row.pk).measured["reservation"] == measured


def test_a_reservation_id_that_the_token_does_not_hold_is_a_finding(charger: ScriptedCharger, gate):
    gate.answers[STRANGER] = BOOKED

    start(charger, idTag=STRANGER, reservationId=7)

    assert ChargingSession.objects.get().flags == ["foreign_token"]


def test_a_queued_start_is_judged_by_the_slot_of_then(bed: Bed, charger: ScriptedCharger, gate):
    bed.clock.advance(hours=3)

    start(charger)

    assert gate.asked[-1]["now"] == NOW


def test_a_start_is_recorded_even_when_the_gate_fails(charger: ScriptedCharger, gate):
    gate.fails = True

    answer = start(charger)

    session = ChargingSession.objects.get()
    assert answer == {"transactionId": session.pk, "idTagInfo": {"status": "Accepted"}}
    assert session.flags == ["unasked"]


def test_an_old_start_does_not_override_a_newer_status(bed: Bed, charger: ScriptedCharger):
    bed.clock.advance(hours=2)
    charger.report_all()

    transaction = start(charger)["transactionId"]
    assert Evse.objects.get(number=1).status == "available"
    stop(charger, transaction)

    assert Evse.objects.get(number=1).status == "available"


def test_transactions_of_an_offline_time_arrive_in_order_and_in_the_past(bed: Bed, charger: ScriptedCharger):
    charger.drop()
    charger.start(1, TOKEN)
    bed.clock.advance(minutes=20)
    charger.charge(1, timedelta(minutes=20), power_w=60_000)
    charger.stop(1)
    bed.clock.advance(hours=2)

    charger.come_online()

    session = ChargingSession.objects.get()
    assert (session.started_at, session.ended_at) == (NOW, NOW + timedelta(minutes=20))
    assert session.energy_wh == 20_000
    assert session.end_received_at == NOW + timedelta(minutes=140)
    assert datetime.now(UTC) != session.started_at


def test_a_clock_that_is_wrong_is_known_from_live_messages(bed: Bed, charger: ScriptedCharger, row: Charger):
    eventually(lambda: charger.count("GetConfiguration") > 0)
    charger.sim.clock = lambda: bed.clock() + timedelta(minutes=5)

    eventually(lambda: charger.report(1) or Charger.objects.get(pk=row.pk).clock_offset_s == 300)


def offset_of(row: Charger) -> float | None:
    return Charger.objects.get(pk=row.pk).clock_offset_s


def test_a_clock_that_falls_behind_is_known_from_two_messages_late_alike(bed: Bed, charger, row):
    eventually(lambda: charger.count("GetConfiguration") > 0)
    report(charger, 2, "Preparing", timestamp="2030-01-15T08:00:00Z")  # a clock that is right so far
    assert offset_of(row) == 0
    bed.clock.advance(minutes=10)

    report(charger, 1, "Available", timestamp="2030-01-15T07:00:00Z")  # since when it is, as was known
    report(charger, 1, "Preparing", timestamp="2030-01-15T07:10:00Z")  # late, for all one knows
    assert offset_of(row) == 0
    bed.clock.advance(seconds=10)
    report(charger, 1, "Preparing", timestamp="2030-01-15T07:10:10Z")

    assert offset_of(row) == -3600
    transaction = start(charger, timestamp="2030-01-15T07:10:10Z")["transactionId"]
    bed.clock.advance(minutes=20)
    stop(charger, transaction, timestamp="2030-01-15T07:30:10Z")

    session = ChargingSession.objects.get()
    begun = NOW + timedelta(minutes=10, seconds=10)
    assert (session.started_at, session.ended_at) == (begun, begun + timedelta(minutes=20))
    assert session.flags == ["wrong_clock"]


def test_a_clock_that_is_behind_from_the_boot_is_known_from_its_first_status(bed: Bed, row, gate):
    charger = bed.charger(row)
    charger.sim.clock = lambda: bed.clock() - timedelta(hours=1)
    charger.come_online()
    eventually(lambda: charger.count("GetConfiguration") > 0)

    eventually(lambda: charger.report(1) or offset_of(row) == -3600)


def test_a_clock_set_right_is_noticed_and_its_start_is_of_now(bed: Bed, charger, row, gate):
    eventually(lambda: charger.count("GetConfiguration") > 0)
    report(charger, 1, "Preparing", timestamp="2030-01-15T09:00:00Z")
    assert offset_of(row) == 3600

    start(charger, timestamp="2030-01-15T08:00:00Z")

    assert offset_of(row) == 0
    assert ChargingSession.objects.get().started_at == gate.asked[-1]["now"] == NOW


@pytest.mark.parametrize(
    "frame",
    [
        ("DataTransfer", {"vendorId": "x"}, {"status": "UnknownVendorId"}),
        ("FirmwareStatusNotification", {"status": "Installed"}, {}),
        ("DiagnosticsStatusNotification", {"status": "Uploaded"}, {}),
        ("LogStatusNotification", {"status": "Uploaded", "requestId": 1}, {}),
        ("SecurityEventNotification", {"type": "TamperDetection", "timestamp": "2030-01-15T08:00:00Z"}, {}),
        ("SignedFirmwareStatusNotification", {"status": "Installed", "requestId": 1}, {}),
        ("SignCertificate", {"csr": "x"}, {"status": "Rejected"}),
    ],
    ids=lambda frame: frame[0],
)
def test_everything_else_a_charger_may_say_is_answered(charger: ScriptedCharger, frame):
    action, payload, answer = frame

    assert charger.ask(action, payload) == answer


def report(charger: ScriptedCharger, connector: int, status: str, **fields) -> None:
    usual = {"connectorId": connector, "errorCode": "NoError", "status": status}
    charger.ask("StatusNotification", {**usual, **fields})


def statuses(row: Charger) -> list[str]:
    return list(row.evses.order_by("number").values_list("status", flat=True))


def test_a_status_of_the_whole_charger_or_of_an_unknown_connector_moves_no_evse(charger, row):
    for connector, status in [(0, "Available"), (0, "Reserved"), (9, "Faulted")]:
        report(charger, connector, status)

    assert statuses(row) == ["available", "available"]
    assert Charger.objects.get(pk=row.pk).told["status"] == "reserved"


@pytest.fixture
def changes(row):
    """What evse_status_changed told: (number, before, after, the statuses of all EVSEs by then)."""
    heard: list[tuple] = []

    def hear(evse: Evse, before: str, after: str, **_) -> None:
        heard.append((evse.number, str(before), str(after), statuses(row)))

    signals.evse_status_changed.connect(hear, weak=False, dispatch_uid="changes")
    yield heard
    signals.evse_status_changed.disconnect(dispatch_uid="changes")


@pytest.mark.parametrize("told", ["Faulted", "Unavailable"])
def test_a_charger_out_of_order_as_a_whole_has_no_evse_in_order(bed: Bed, charger, row, changes, told):
    bed.clock.advance(minutes=1)

    report(charger, 0, told, errorCode="GroundFailure", vendorErrorCode="0x17")

    status = told.lower()
    assert changes == [(n, "available", status, [status, status]) for n in (1, 2)]
    assert {evse.error_code for evse in row.evses.all()} == {"GroundFailure 0x17"}


def test_an_evse_whose_own_status_is_newer_keeps_it(bed: Bed, charger, row):
    report(charger, 1, "Available", timestamp="2030-01-15T07:59:59Z")
    report(charger, 2, "Available", timestamp="2030-01-15T07:59:50Z")

    report(charger, 0, "Faulted", timestamp="2030-01-15T07:59:55Z")

    assert statuses(row) == ["available", "faulted"]


def test_a_charger_in_order_again_has_the_evses_back_that_only_shared_its_fate(bed: Bed, charger, row):
    start(charger)
    report(charger, 0, "Faulted")
    bed.clock.advance(seconds=10)
    report(charger, 2, "Faulted")
    bed.clock.advance(seconds=10)

    report(charger, 0, "Available")

    assert statuses(row) == ["charging", "faulted"]
