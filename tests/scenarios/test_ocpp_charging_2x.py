"""Transactions over OCPP 2.0.1 and 2.1: events in any order, once each, with and without tokens."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from django.urls import reverse

from bookings.pages.charger_alerts import alerts_of
from depots import signals
from depots.gate import Authorization
from depots.models import Charger, ChargingSession, Evse, Membership, SessionEvent
from depots.operations.charger_alerts import MOST_OF_ONE, ToldAlert, record_alerts
from depots.queries import charging_states
from simulators.charger import IdToken
from tests.bookings.people import client_of
from tests.factories import NOW, make_charger, make_evse, make_user
from tests.scenarios.bed import Bed, ScriptedCharger, ScriptedGate, eventually

TOKEN = "04AABBCCDD10"
STRANGER = "0455667788"
BOOKED = Authorization(allowed=False, reason="booked_by_another")


@pytest.fixture
def row(transactional_db) -> Charger:
    row = make_charger()
    make_evse(charger=row)
    make_evse(charger=row)
    return row


@pytest.fixture(params=["ocpp2.0.1", "ocpp2.1"])
def charger(request, bed: Bed, row: Charger, gate: ScriptedGate) -> ScriptedCharger:
    charger = bed.charger(row, request.param)
    charger.come_online()
    return charger


@pytest.fixture
def facts(transactional_db):
    heard: list[tuple[str, bool]] = []
    for name in ("charging_started", "charging_ended", "charging_corrected"):
        receiver = partial(lambda name, session, **_: heard.append((name, session.is_entitled)), name)
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid="test")
    yield heard
    for name in ("charging_started", "charging_ended", "charging_corrected"):
        getattr(signals, name).disconnect(dispatch_uid="test")


def event(
    kind: str, seq_no: int, minute: int = 0, *, token: str | None = None, wh: int | None = None, **fields
) -> dict:
    """A TransactionEvent of transaction T1 at EVSE 1."""
    at = f"2030-01-15T08:{minute:02}:00Z"
    told = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "Trigger",
        "seqNo": seq_no,
        "transactionInfo": {"transactionId": "T1", **fields.pop("info", {})},
        "evse": {"id": 1, "connectorId": 1},
        **fields,
    }
    if token is not None:
        told["idToken"] = {"idToken": token, "type": "ISO14443"}
    if wh is not None:
        told["meterValue"] = [{"timestamp": at, "sampledValue": [{"value": wh}]}]
    return told


def tell(charger: ScriptedCharger, *events: dict) -> list[dict]:
    answers = []
    for each in events:
        charger.wait_until(each["timestamp"])
        answers.append(charger.ask("TransactionEvent", each))
    return answers


def test_a_session_from_tap_to_departure(bed: Bed, charger: ScriptedCharger, facts):
    charger.tap(1, TOKEN, soc_percent=20)
    assert Evse.objects.get(number=1).status == "charging"
    bed.clock.advance(minutes=10)
    charger.charge(1, timedelta(minutes=10), power_w=120_000)
    running = ChargingSession.objects.get()
    charger.stop(1)

    session = ChargingSession.objects.get()
    assert (running.power_w, running.soc_percent, running.energy_wh) == (120_000, 20, 20_000)
    assert (session.started_at, session.ended_at) == (NOW, NOW + timedelta(minutes=10))
    assert (session.energy_wh, session.stop_reason, session.flags) == (20_000, "Local", [])
    assert (session.token_uid, session.token_type) == (TOKEN, "RFID")
    assert facts == [("charging_started", True), ("charging_ended", True)]
    assert Evse.objects.get(number=1).status == "available"


def test_what_an_event_says_of_the_charging_is_kept_with_its_time(charger: ScriptedCharger):
    tell(
        charger,
        event("Started", 0, token=TOKEN, wh=1000, info={"chargingState": "EVConnected"}),
        event("Updated", 3, 20, wh=4000, info={"chargingState": "SuspendedEV"}),
        event("Updated", 1, 2, wh=1000, info={"chargingState": "Charging"}),
        event("Updated", 2, 10, wh=2000),
        event("Ended", 4, 30, wh=5000, info={"chargingState": "EVConnected"}),
    )

    minutes = [(at - NOW, state) for at, state in charging_states(ChargingSession.objects.get())]
    assert [(at // timedelta(minutes=1), state) for at, state in minutes] == [
        (0, "plugged"), (2, "charging"), (20, "no_demand"), (30, "plugged"),
    ]  # fmt: skip


def test_each_event_counts_once(charger: ScriptedCharger, facts):
    started, ended = event("Started", 0, token=TOKEN, wh=1000), event("Ended", 1, 30, wh=5000)

    answers = tell(
        charger,
        started,
        started,
        ended,
        ended,
        {**ended, "meterValue": event("Ended", 1, 30, wh=9)["meterValue"]},
    )

    assert answers[0] == answers[1] == {"idTokenInfo": {"status": "Accepted"}}
    assert answers[2:] == [{}, {}, {}]
    assert ChargingSession.objects.get().energy_wh == 4000
    assert SessionEvent.objects.count() == 2
    assert facts == [("charging_started", True), ("charging_ended", True)]


def test_events_in_the_wrong_order_make_the_same_session(charger: ScriptedCharger, facts):
    tell(
        charger,
        event("Updated", 1, 10, wh=2000),
        event("Ended", 2, 30, wh=5000),
        event("Started", 0, token=TOKEN, wh=1000),
    )

    session = ChargingSession.objects.get()
    assert (session.started_at, session.ended_at) == (NOW, NOW + timedelta(minutes=30))
    assert (session.energy_wh, session.flags) == (4000, ["out_of_order"])
    assert (session.token_uid, session.is_entitled) == (TOKEN, True)
    assert facts == [("charging_started", True), ("charging_ended", True)]


def test_an_end_that_nobody_saw_begin_is_kept(charger: ScriptedCharger, facts):
    tell(charger, event("Ended", 5, 30, wh=5000, info={"stoppedReason": "PowerLoss"}))

    session = ChargingSession.objects.get()
    assert (session.flags, session.meter_stop_wh, session.stop_reason) == (["no_start"], 5000, "PowerLoss")
    assert facts == []


def test_a_cable_or_a_parked_truck_is_no_charging_until_a_token_is_known(
    charger: ScriptedCharger, gate, facts
):
    tell(charger, event("Started", 0, wh=1000, info={"chargingState": "EVConnected"}))
    assert (facts, gate.asked) == ([], [])

    gate.answers[TOKEN] = Authorization(allowed=True, group="B7", reservation_id=7)
    answers = tell(
        charger, event("Updated", 1, 2, token=TOKEN, reservationId=7), event("Ended", 2, 30, wh=5000)
    )

    assert answers[0]["idTokenInfo"]["groupIdToken"] == {"idToken": "B7", "type": "Central"}
    assert facts == [("charging_started", True), ("charging_ended", True)]
    assert ChargingSession.objects.get().reservation_id == 7


def test_energy_without_any_token_is_asked_about_too(charger: ScriptedCharger, gate, facts):
    gate.answers[""] = BOOKED

    tell(charger, event("Started", 0, info={"chargingState": "Charging"}))

    assert facts == [("charging_started", False)]


def power(kind: str, seq_no: int, minute: int, watts: int) -> dict:
    sample = {"value": watts, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}}
    told = event(kind, seq_no, minute)
    return {**told, "meterValue": [{"timestamp": told["timestamp"], "sampledValue": [sample]}]}


def test_power_without_any_token_or_charging_state_is_asked_about_too(charger: ScriptedCharger, gate, facts):
    gate.answers[""] = BOOKED

    tell(charger, event("Started", 0), power("Updated", 1, 1, 40))
    assert facts == []

    tell(charger, power("Updated", 2, 2, 150_000))
    assert facts == [("charging_started", False)]


def test_power_of_a_transaction_whose_beginning_was_lost_is_nobodys_to_refuse(
    charger: ScriptedCharger, gate, facts
):
    gate.answers[""] = BOOKED

    tell(charger, power("Updated", 1, 2, 150_000))

    assert (facts, gate.asked) == ([], [])


def test_a_transaction_that_never_charged_ends_without_a_word(charger: ScriptedCharger, facts):
    tell(charger, event("Started", 0), event("Ended", 1, 5))

    assert facts == []
    assert ChargingSession.objects.get().ended_at


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("unknown_token", "Unknown"),
        ("blocked", "Blocked"),
        ("booked_by_another", "NotAtThisTime"),
        ("not_yet", "NotAtThisTime"),
        ("elsewhere", "NotAtThisLocation"),
        ("", "Invalid"),
    ],
)
def test_a_refusal_is_worded_for_the_drivers_display(charger: ScriptedCharger, gate, reason, status):
    gate.answers[STRANGER] = Authorization(allowed=False, reason=reason)
    token = {"idToken": STRANGER, "type": "ISO14443"}

    assert charger.ask("Authorize", {"idToken": token}) == {"idTokenInfo": {"status": status}}


def test_a_walk_in_is_told_which_evses_are_free(charger: ScriptedCharger, gate):
    gate.answers[STRANGER] = Authorization(allowed=True, evse_numbers=[2])

    assert charger.tap(1, STRANGER) is None
    assert charger.tap(2, STRANGER) is not None
    info = charger.ask("Authorize", {"idToken": {"idToken": STRANGER, "type": "ISO14443"}})
    assert info == {"idTokenInfo": {"status": "Accepted", "evseId": [2]}}


def test_a_stranger_who_starts_is_refused_recorded_and_leaves(charger: ScriptedCharger, gate, facts):
    gate.answers[STRANGER] = BOOKED

    charger.start(1, STRANGER)
    charger.idle()

    session = ChargingSession.objects.get()
    assert (session.is_entitled, session.stop_reason) == (False, "DeAuthorized")
    assert facts[0] == ("charging_started", False)


def test_a_stranger_whom_the_charger_lets_go_on_is_stopped_remotely(bed: Bed, charger: ScriptedCharger, gate):
    gate.answers[STRANGER] = BOOKED
    charger.configuration["TxCtrlr.StopTxOnInvalidId"] = "false"

    transaction = charger.start(1, STRANGER)
    bed.clock.advance(seconds=11)

    assert charger.heard("RequestStopTransaction") == {"transactionId": transaction.id}
    eventually(lambda: ChargingSession.objects.get().stop_reason == "Remote")


def test_a_token_that_was_let_in_is_not_refused_when_its_slot_is_over(charger: ScriptedCharger, gate):
    tell(charger, event("Started", 0, token=TOKEN))
    gate.answers[TOKEN] = BOOKED

    [answer] = tell(charger, event("Updated", 1, 30, token=TOKEN))

    assert answer == {"idTokenInfo": {"status": "Accepted"}}


def test_transactions_of_an_offline_time_are_flagged(bed: Bed, charger: ScriptedCharger):
    charger.drop()
    charger.start(1, TOKEN)
    bed.clock.advance(minutes=20)
    charger.stop(1)
    bed.clock.advance(hours=2)

    charger.come_online()

    session = ChargingSession.objects.get()
    assert (session.ended_at, session.flags) == (NOW + timedelta(minutes=20), ["offline"])


def test_tokens_of_all_types_are_known_by_our_names(charger: ScriptedCharger, gate):
    for type_ in ("eMAID", "Central", "KeyCode", "MacAddress", "NoAuthorization"):
        charger.authorize(IdToken("X", type_))

    asked = [question["token_type"] for question in gate.asked]
    assert asked == ["EMAID", "APP_USER", "KEY_CODE", "MAC", ""]


def test_units_and_multipliers(charger: ScriptedCharger):
    samples = [
        {"value": 12.5, "unitOfMeasure": {"unit": "kWh"}},
        {"value": 1.5, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W", "multiplier": 5}},
        {"value": 55.5, "measurand": "SoC", "location": "EV"},
        {"value": 7, "measurand": "Voltage"},
    ]
    reading = [{"timestamp": "2030-01-15T08:00:00Z", "sampledValue": samples}]
    tell(charger, event("Started", 0, token=TOKEN), event("Updated", 1, meterValue=reading))

    kept = ChargingSession.objects.get().readings.get()
    assert (kept.energy_wh, kept.power_w, kept.soc_percent) == (12_500, 150_000, 55.5)


def test_samples_outside_a_transactions_events_belong_to_what_charges_there(charger: ScriptedCharger):
    sampled = [{"timestamp": "2030-01-15T08:10:00Z", "sampledValue": [{"value": 3000}]}]
    for _ in range(2):  # where nothing charges yet they are nobody's
        charger.ask("MeterValues", {"evseId": 1, "meterValue": sampled})
    tell(charger, event("Started", 0, token=TOKEN, wh=1000))

    charger.ask("MeterValues", {"evseId": 1, "meterValue": sampled})

    assert ChargingSession.objects.get().energy_wh == 2000


def test_an_evse_shows_the_strongest_state_of_its_connectors(charger: ScriptedCharger):
    def say(connector: int, status: str) -> str:
        told = {"evseId": 2, "connectorId": connector, "connectorStatus": status}
        charger.ask("StatusNotification", {"timestamp": "2030-01-15T08:00:00Z", **told})
        return Evse.objects.get(number=2).status

    seen = [
        say(1, "Available"),
        say(2, "Unavailable"),
        say(2, "Occupied"),
        say(1, "Faulted"),
        say(2, "Faulted"),
    ]

    assert seen == ["available", "available", "occupied", "occupied", "faulted"]


def test_states_may_come_as_events_of_the_device_model(charger: ScriptedCharger):
    told = {
        "eventId": 1,
        "timestamp": "2030-01-15T08:00:00Z",
        "trigger": "Delta",
        "eventNotificationType": "HardWiredNotification",
        "actualValue": "Faulted",
        "component": {"name": "Connector", "evse": {"id": 2, "connectorId": 1}},
        "variable": {"name": "AvailabilityState"},
    }
    other = {
        **told,
        "eventId": 2,
        "component": {"name": "Fan"},
        "variable": {"name": "Speed"},
        "actualValue": "9",
    }

    charger.ask("NotifyEvent", {"generatedAt": told["timestamp"], "seqNo": 0, "eventData": [told, other]})

    assert Evse.objects.get(number=2).status == "faulted"


def part(number: int, name: str, variable: str, value: str, *, trigger: str = "Delta", **fields) -> dict:
    """An event of a part of EVSE 1, `number` minutes after eight."""
    return {
        "eventId": number,
        "timestamp": f"2030-01-15T08:{number:02}:00Z",
        "trigger": trigger,
        "eventNotificationType": "HardWiredNotification",
        "actualValue": value,
        "component": {"name": name, "evse": {"id": 1}},
        "variable": {"name": variable},
        **fields,
    }


def test_what_is_wrong_with_a_part_stands_on_its_chargers_page_until_it_is_over(
    bed: Bed, charger: ScriptedCharger, row: Charger
):
    def tell_events(*events: dict) -> None:
        bed.clock.now = NOW + timedelta(minutes=30)
        charger.ask(
            "NotifyEvent", {"generatedAt": "2030-01-15T08:00:00Z", "seqNo": 0, "eventData": [*events]}
        )

    def shown() -> list[tuple[str, str, bool]]:
        return [(line.where, line.what, line.stands) for line in alerts_of(row, bed.clock.now)["alerts"]]

    tell_events(
        part(1, "Fan", "Speed", "9"),
        part(2, "CableTemp", "Temperature", "92", trigger="Alerting", techCode="E42"),
        part(3, "PowerContactor", "Problem", "true", techInfo="welded"),
        part(4, "Connector", "AvailabilityState", "Faulted", techCode="0x17"),
    )
    assert shown() == [
        ("PowerContactor, EVSE 1", "Problem", True),
        ("CableTemp, EVSE 1", "Temperature 92", True),
    ]
    assert (Evse.objects.get(number=1).status, Evse.objects.get(number=1).error_code) == ("faulted", "0x17")

    # Told again it is the same one, and over once.
    tell_events(
        part(5, "CableTemp", "Temperature", "95", trigger="Alerting", techCode="E42"),
        part(6, "PowerContactor", "Problem", "false"),
    )
    tell_events(part(6, "PowerContactor", "Problem", "false"), part(7, "Lock", "Problem", "false"))
    assert shown() == [
        ("CableTemp, EVSE 1", "Temperature 95", True),
        ("PowerContactor, EVSE 1", "Problem", False),
    ]
    page = client_of(make_user(row.depot.operator, Membership.Role.DEPOT_MANAGER)).get(
        reverse("bookings:charger", args=[row.depot.code, row.identity])
    )
    assert "E42" in page.content.decode()
    assert "welded" in page.content.decode()

    if charger.protocol == "ocpp2.1":
        alarm = {
            "controlType": "FreqDroop",
            "gridEventFault": "OverFrequency",
            "timestamp": "2030-01-15T08:08:00Z",
        }
        charger.ask("NotifyDERAlarm", alarm)
        tell_events(part(9, "Fan", "Speed", "0", trigger="Alerting", severity=8))
        assert shown()[0] == ("DERCtrlr", "FreqDroop OverFrequency", True)
        assert len(shown()) == 3


def test_alerts_are_bounded(row: Charger):
    told = [ToldAlert("Fan", str(number), NOW) for number in range(2 * MOST_OF_ONE)]

    record_alerts(charger_id=row.pk, told=told[:MOST_OF_ONE], now=NOW)
    record_alerts(charger_id=row.pk, told=told, now=NOW)

    assert row.alerts.count() == MOST_OF_ONE
    assert row.alerts.order_by("pk").last().variable == told[-1].variable


def test_an_alert_that_is_told_once_more_after_its_end_stays_over(row: Charger):
    """Its answer was lost: the charger sends it again, behind what it sent since."""
    alert, end = ToldAlert("Fan", "Problem", NOW), ToldAlert("Fan", "Problem", NOW, is_over=True)
    for told in (alert, end, alert):
        record_alerts(charger_id=row.pk, told=[told], now=NOW)

    assert [(each.at, each.over_at) for each in row.alerts.all()] == [(NOW, NOW)]
    record_alerts(charger_id=row.pk, told=[replace(alert, at=NOW - timedelta(hours=1))], now=NOW)
    assert row.alerts.filter(over_at=None).exists()


def test_an_alert_from_before_the_last_start_is_named_as_that_until_it_is_told_again(row: Charger):
    record_alerts(charger_id=row.pk, told=[ToldAlert("Fan", "Speed", NOW)], now=NOW)
    Charger.objects.filter(pk=row.pk).update(booted_at=NOW + timedelta(minutes=1))

    def seen() -> list[tuple[bool, bool]]:
        return [(line.stands, line.is_of_last_run) for line in alerts_of(row, NOW)["alerts"]]

    assert seen() == [(True, True)]
    record_alerts(charger_id=row.pk, told=[ToldAlert("Fan", "Speed", NOW)], now=NOW + timedelta(minutes=2))
    assert seen() == [(True, False)]


def test_reservations_hold_for_their_group_and_no_stranger(bed: Bed, charger: ScriptedCharger, row, gate):
    from depots.operations import queue_command

    gate.answers[TOKEN] = gate.answers["04OTHERCARD"] = Authorization(
        allowed=True, group="B7", reservation_id=7
    )
    payload = {"reservation_id": 7, "evse": 1, "token": TOKEN, "token_type": "RFID", "group": "B7"}
    payload["expires_at"] = "2030-01-15T09:00:00Z"
    queue_command(charger=row, action="reserve", payload=payload, reservation_id=7, now=NOW)
    eventually(lambda: charger.station.reservations)

    assert charger.tap(1, STRANGER) is None
    transaction = charger.tap(1, "04OTHERCARD")

    assert transaction.reservation_id == 7
    assert ChargingSession.objects.get().reservation_id == 7
