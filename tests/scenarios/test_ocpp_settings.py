"""A charger's settings after a boot: read in portions, compared, changed once, and a restart only where it harms nobody."""

import asyncio
from datetime import timedelta
from threading import Event

import pytest

from bookings.maintenance import restart_in_gaps
from depots.commissioning import begin_due_rounds, begin_round, wanted_of
from depots.commissioning.findings import findings
from depots.models import Charger, ChargerCommand, SettingsCheck, SettingsTemplate
from depots.operations import queue_command
from simulators.charger import Refuse
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import Bed, ScriptedCharger, eventually

pytestmark = pytest.mark.usefixtures("gate")

# What a charger has that has nothing but what it is asked for.
BARE = {
    "1.6": {"SupportedFeatureProfiles": "Core,Reservation", "StopTransactionOnInvalidId": "true",
                "AuthorizeRemoteTxRequests": "false"},
    "2.x": {
        "TxCtrlr.StopTxOnInvalidId": "true", "TxCtrlr.TxStartPoint": "Authorized", "OCPPCommCtrlr.HeartbeatInterval": "60",
    },
}  # fmt: skip
LATER = NOW + timedelta(seconds=21)


@pytest.fixture
def row(transactional_db) -> Charger:
    row = make_charger()
    make_evse(charger=row)
    make_evse(charger=row)
    return row


def online(bed: Bed, row: Charger, protocol: str, **configuration: str) -> ScriptedCharger:
    charger = bed.charger(row, protocol)
    charger.sim.configuration.clear()
    charger.sim.configuration.update(BARE["1.6" if protocol == "ocpp1.6" else "2.x"])
    for key, value in configuration.items():
        charger.sim.configuration[key.replace("__", ".")] = value
    charger.come_online()
    eventually(lambda: _is_settled(row))
    return charger


def _is_settled(row: Charger) -> bool:
    """It was asked what it can do, and nothing waits for it."""
    row.refresh_from_db(fields=["told"])
    return "asked_at" in row.told and not row.commands.filter(state__in=["queued", "sent"]).exists()


def a_round(row: Charger) -> SettingsCheck:
    """Through to its end."""

    def check() -> SettingsCheck | None:
        return SettingsCheck.objects.filter(charger=row, stage__in=["done", "broken_off"]).first()

    return eventually(check)


def states(check: SettingsCheck) -> dict[str, str]:
    plan = wanted_of(Charger.objects.select_related("depot").get(pk=check.charger_id))
    return {each.wanted.key: each.state for each in findings(check, plan.wanted)}


def test_a_1_6_charger_is_set_as_a_bookable_one_once_after_its_boot(bed: Bed, row):
    charger = online(
        bed, row, "ocpp1.6", GetConfigurationMaxKeys="5", AuthorizationCacheEnabled="true", LocalPreAuthorize="FALSE",
        HeartbeatInterval="900", MinimumStatusDuration="5", ConnectionTimeOut="60", MeterValuesSampledData="Voltage",
        LocalAuthorizeOffline="true", WebSocketPingInterval="60", MeterValueSampleInterval="30",
    )  # fmt: skip
    assert begin_due_rounds(now=NOW + timedelta(seconds=19)) == 0  # it has only just booted
    charger.will_answer(
        "ChangeConfiguration",
        {"status": "Accepted"},  # AuthorizationCacheEnabled, and does not do it
        {"status": "Rejected"},  # MeterValuesSampledData with SoC …
        {"status": "Accepted"},  # … and without
        {"status": "Rejected"},  # HeartbeatInterval
        {"status": "RebootRequired"},  # ConnectionTimeOut
    )

    assert begin_due_rounds(now=LATER) == 1

    check = a_round(row)
    asked = [p for action, p in charger.sim.script.received if action == "GetConfiguration"][2:]
    assert asked[0] == {"key": ["GetConfigurationMaxKeys"]}
    assert {len(each["key"]) for each in asked[1:3]} == {5}
    changed = [(p["key"], p["value"]) for a, p in charger.sim.script.received if a == "ChangeConfiguration"]
    assert changed == [
        ("AuthorizationCacheEnabled", "false"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register,Power.Active.Import,SoC"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register,Power.Active.Import"),
        ("HeartbeatInterval", "60"),
        ("ConnectionTimeOut", "120"),
        ("MinimumStatusDuration", "0"),
    ]
    assert charger.count("ClearCache") == 1
    assert {key: answer["answer"] for key, answer in check.answers.items()} == {
        "AuthorizationCacheEnabled": "accepted",
        "MeterValuesSampledData": "accepted",
        "HeartbeatInterval": "rejected",
        "ConnectionTimeOut": "reboot_required",
        "MinimumStatusDuration": "accepted",
    }
    found = states(check)
    assert found["MinimumStatusDuration"] == found["LocalPreAuthorize"] == "as_wanted"
    assert found["AllowOfflineTxForUnknownId"] == "unknown"
    assert check.drift_count == 4  # cache, samples, heartbeat, time-out: as it still tells them
    assert begin_due_rounds(now=LATER + timedelta(hours=1)) == 0  # never twice a boot

    # It boots again: what it refuses is not asked for again but once, and the cache is tried anew.
    bed.clock.advance(minutes=11)
    charger.boot()
    Charger.objects.filter(pk=row.pk).update(lease_until=bed.clock() + timedelta(minutes=1))
    begin_due_rounds(now=bed.clock() + timedelta(seconds=21))
    eventually(lambda: SettingsCheck.objects.get(charger=row).boot == bed.clock())
    done = a_round(row)

    assert {key for key, state in states(done).items() if state == "differs"} == set()


def test_settings_wait_for_what_a_booking_needs_and_break_off_with_the_connection(bed: Bed, row):
    charger = bed.charger(row, "ocpp1.6")
    Charger.objects.filter(pk=row.pk).update(
        lease_holder="x", lease_until=NOW + timedelta(minutes=9), booted_at=NOW
    )
    begin_due_rounds(now=LATER)
    payload = {"reservation_id": 7, "evse": 1, "token": "04AABB", "expires_at": "2030-01-15T09:00:00Z"}
    queue_command(charger=row, action="reserve", payload=payload, reservation_id=7, now=NOW)

    charger.come_online()

    eventually(lambda: SettingsCheck.objects.get(charger=row).stage == "done")
    received = [action for action, _ in charger.sim.script.received]
    first = next(
        n for n, (a, p) in enumerate(charger.sim.script.received) if "GetConfigurationMaxKeys" in str(p)
    )
    assert received.index("ReserveNow") < first

    begin_round(charger_id=row.pk, now=LATER)
    eventually(lambda: SettingsCheck.objects.get(charger=row).stage == "done")


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
def test_a_2_x_charger_answers_each_variable_and_what_it_refuses_is_shown(bed: Bed, row, protocol):
    SettingsTemplate.objects.create(
        operator=row.depot.operator, protocol="2.x", settings={"OCPPCommCtrlr.HeartbeatInterval": "120"}
    )
    charger = online(bed, row, protocol, AuthCacheCtrlr__Enabled="true", ReservationCtrlr__Enabled="false")
    charger.will_answer(
        "SetVariables",
        {
            "setVariableResult": [
                _result("AuthCacheCtrlr", "Enabled", "RebootRequired"),
                _result("OCPPCommCtrlr", "HeartbeatInterval", "Rejected", {"reasonCode": "ReadOnly"}),
                _result("ReservationCtrlr", "Enabled", "Accepted"),
            ]
        },
    )

    begin_due_rounds(now=LATER)

    check = a_round(row)
    [asked] = [p["setVariableData"] for a, p in charger.sim.script.received if a == "SetVariables"]
    assert {(each["component"]["name"], each["attributeValue"]) for each in asked} == {
        ("AuthCacheCtrlr", "false"), ("OCPPCommCtrlr", "120"), ("ReservationCtrlr", "true")
    }  # fmt: skip
    told = {key: (answer["answer"], answer["text"]) for key, answer in check.answers.items()}
    assert told["OCPPCommCtrlr.HeartbeatInterval"] == ("rejected", "ReadOnly")
    assert check.drift_count == 3
    assert check.restart_wanted_at

    restart_in_gaps(now=LATER)

    assert charger.heard("Reset") == {"type": "OnIdle"}
    check.refresh_from_db()
    assert check.restart_wanted_at is None
    # It says the same after the restart: it is not restarted for that again.
    eventually(lambda: not row.commands.filter(state__in=["queued", "sent"]).exists())
    check.restart_wanted_at = LATER
    check.save()
    restart_in_gaps(now=LATER)
    assert row.commands.filter(action="reset").count() == 1


def test_nobody_is_interrupted_by_a_restart_for_settings(bed: Bed, row):
    charger = online(bed, row, "ocpp1.6")
    charger.start(1, "04AABB")
    SettingsCheck.objects.create(charger=row, restart_wanted_at=NOW)

    restart_in_gaps(now=NOW)
    assert not row.commands.filter(action="reset").exists()

    charger.stop(1)
    eventually(lambda: row.evses.get(number=1).status == "available")
    restart_in_gaps(now=NOW)
    assert row.commands.filter(action="reset").exists()


def test_a_charger_that_will_not_be_asked_by_name_tells_all_it_has(bed: Bed, row):
    charger = online(bed, row, "ocpp2.0.1")
    charger.will_answer("GetVariables", Refuse("NotSupported"))
    charger.will_answer("GetBaseReport", {"status": "Accepted"})

    begin_due_rounds(now=LATER)

    request = charger.heard("GetBaseReport")["requestId"]
    a_round(row)
    parts = [
        [
            _reported("AuthCacheCtrlr", "Enabled", "true"),
            _reported("SecurityCtrlr", "BasicAuthPassword", "secret"),
        ],
        [_reported("OCPPCommCtrlr", "HeartbeatInterval", "60", "ReadOnly")],
    ]
    for number, part in enumerate(parts):
        head = {"requestId": request, "generatedAt": "2030-01-15T08:00:00Z", "seqNo": number}
        charger.ask("NotifyReport", {**head, "tbc": number == 0, "reportData": part})
    # A part again, one after the whole, and a report that nobody asked for.
    for other, number in ((request, 0), (request, 2), (request + 1, 0)):
        head = {"requestId": other, "generatedAt": "2030-01-15T08:00:00Z", "seqNo": number}
        charger.ask("NotifyReport", {**head, "reportData": [_reported("Flood", "It", "1")]})
    check = SettingsCheck.objects.get(charger=row)
    assert "Flood.It" not in check.inventory
    assert check.inventory["OCPPCommCtrlr.HeartbeatInterval"] == ["60", True]
    assert "secret" not in str(check.inventory)
    found = states(check)
    assert (found["AuthCacheCtrlr.Enabled"], found["OCPPCommCtrlr.HeartbeatInterval"]) == (
        "differs",
        "as_wanted",
    )
    assert check.drift_count == 1


def _result(component, variable, status, info=None):
    told = {"component": {"name": component}, "variable": {"name": variable}, "attributeStatus": status}
    return {**told, "attributeStatusInfo": info} if info else told


def _reported(component, variable, value, mutability="ReadWrite"):
    attribute = [{"value": value, "mutability": mutability}]
    return {"component": {"name": component}, "variable": {"name": variable}, "variableAttribute": attribute}


def test_a_template_may_only_show(bed: Bed, row):
    SettingsTemplate.objects.create(operator=row.depot.operator, protocol="1.6", applies_itself=False)
    charger = online(bed, row, "ocpp1.6", AuthorizationCacheEnabled="true")

    begin_due_rounds(now=LATER)

    assert a_round(row).drift_count >= 1
    assert charger.count("ChangeConfiguration") == 0

    begin_round(charger_id=row.pk, does_apply=True, asked_by="manager@x.example", now=LATER)

    eventually(lambda: charger.sim.configuration["AuthorizationCacheEnabled"] == "false")
    eventually(lambda: not ChargerCommand.objects.filter(state__in=["queued", "sent"]).exists())
    assert a_round(row).drift_count == 0


@pytest.mark.parametrize(
    "point", [pytest.param(("take_command", 3), marks=pytest.mark.long), ("settle_command", 3)]
)
def test_a_gateway_killed_in_the_middle_of_a_round_ends_at_the_same_settings(bed: Bed, row, point):
    left, has_begun = [point] * point[1], Event()

    def die(name: str) -> None:
        if left and name == left[-1][0] and has_begun.is_set():
            left.pop()
            if not left:
                asyncio.get_running_loop().create_task(bed.gateway.abort())
                raise ConnectionResetError("killed")

    bed.stop_gateway()
    bed.gateway = bed.start_gateway(after_commit=die)
    charger = online(bed, row, "ocpp1.6", LocalPreAuthorize="true", MinimumStatusDuration="5")
    has_begun.set()

    begin_due_rounds(now=LATER)
    eventually(lambda: not left and not charger.is_connected)
    bed.clock.advance(minutes=11)
    bed.restart_gateway()
    charger.connect()
    eventually(lambda: SettingsCheck.objects.get(charger=row).stage in {"broken_off", "done"})
    begin_due_rounds(now=bed.clock())

    eventually(lambda: SettingsCheck.objects.get(charger=row).stage == "done")
    assert (charger.configuration["LocalPreAuthorize"], charger.configuration["MinimumStatusDuration"]) == (
        "false",
        "0",
    )
    assert SettingsCheck.objects.get(charger=row).drift_count == 0
    assert not row.commands.filter(state__in=["queued", "sent"]).exists()
