"""Our words against the protocol's own lists: a value added on either side cannot be forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import ocpp
import pytest
from ocpp.v16 import enums as e16
from ocpp.v21 import enums as e21
from ocpp.v201 import enums as e201

from bookings.models import Token
from depots.models import Evse
from depots.ocpp import command_words, v16
from depots.ocpp.times import read_time, write_time
from depots.ocpp.v2x import messages as messages_2x
from depots.ocpp.v2x import tokens, transactions, v21, v201
from depots.ocpp.v16 import messages as messages_16

REASONS = {
    "unknown_token", "blocked", "booked_by_another", "not_yet", "elsewhere", "expired", "no_credit", "not_confirmed", "",
}  # fmt: skip
NOW = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)

# Actions of a CSMS, by version: all others are a charger's. DataTransfer is anybody's.
OF_CSMS_16 = {
    "CancelReservation", "CertificateSigned", "ChangeAvailability", "ChangeConfiguration", "ClearCache",
    "ClearChargingProfile", "DeleteCertificate", "ExtendedTriggerMessage", "GetCompositeSchedule", "GetConfiguration",
    "GetDiagnostics", "GetInstalledCertificateIds", "GetLocalListVersion", "GetLog", "InstallCertificate",
    "RemoteStartTransaction", "RemoteStopTransaction", "ReserveNow", "Reset", "SendLocalList", "SetChargingProfile",
    "SignedUpdateFirmware", "TriggerMessage", "UnlockConnector", "UpdateFirmware",
}  # fmt: skip
OF_CSMS_2X = {
    "AFRRSignal", "AdjustPeriodicEventStream", "CancelReservation", "CertificateSigned", "ChangeAvailability",
    "ChangeTransactionTariff", "ClearCache", "ClearChargingProfile", "ClearDERControl", "ClearDisplayMessage",
    "ClearTariffs", "ClearVariableMonitoring", "CostUpdated", "CustomerInformation", "DeleteCertificate",
    "GetBaseReport", "GetChargingProfiles", "GetCompositeSchedule", "GetDERControl", "GetDisplayMessages",
    "GetInstalledCertificateIds", "GetLocalListVersion", "GetLog", "GetMonitoringReport", "GetPeriodicEventStream",
    "GetReport", "GetTariffs", "GetTransactionStatus", "GetVariables", "InstallCertificate",
    "NotifyAllowedEnergyTransfer", "PublishFirmware", "RequestBatterySwap", "RequestStartTransaction",
    "RequestStopTransaction", "ReserveNow", "Reset", "SendLocalList", "SetChargingProfile", "SetDERControl",
    "SetDefaultTariff", "SetDisplayMessage", "SetMonitoringBase", "SetMonitoringLevel", "SetNetworkProfile",
    "SetVariableMonitoring", "SetVariables", "TriggerMessage", "UnlockConnector", "UnpublishFirmware",
    "UpdateDynamicSchedule", "UpdateFirmware", "UsePriorityCharging",
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "enum"),
    [
        (messages_16.STATUS, e16.ChargePointStatus),
        (messages_2x.STATUS, e201.ConnectorStatusEnumType),
        (tokens.TOKEN_TYPE, e201.IdTokenEnumType),
        (transactions.KIND, e201.TransactionEventEnumType),
        (transactions.CHARGING_STATE, e201.ChargingStateEnumType),
        (messages_16.CHARGING_STATE, e16.ChargePointStatus),
    ],
)
def test_every_value_a_charger_may_send_has_our_word(table, enum):
    assert set(table) == set(enum)


def test_2_1_sends_nothing_for_these_that_2_0_1_does_not_know():
    for old, new in [
        (e201.ConnectorStatusEnumType, e21.ConnectorStatusEnumType),
        (e201.ChargingStateEnumType, e21.ChargingStateEnumType),
        (e201.TransactionEventEnumType, e21.TransactionEventEnumType),
        (e201.AuthorizationStatusEnumType, e21.AuthorizationStatusEnumType),
        (e201.ReserveNowStatusEnumType, e21.ReserveNowStatusEnumType),
    ]:
        assert {value.value for value in old} == {value.value for value in new}


def test_every_outcome_of_a_reservation_has_our_word():
    told = {value.value for value in e21.ReservationUpdateStatusEnumType}

    assert set(messages_2x.RESERVATION_OUTCOME) == told
    assert {value.value for value in e201.ReservationUpdateStatusEnumType} < told


def test_every_answer_to_a_command_has_our_word_and_no_other_has():
    enums = (
        e16.ReservationStatus, e16.CancelReservationStatus, e16.RemoteStartStopStatus, e16.UnlockStatus,
        e16.ResetStatus, e16.TriggerMessageStatus, e16.AvailabilityStatus, e16.ClearCacheStatus,
        e201.ReserveNowStatusEnumType, e201.CancelReservationStatusEnumType, e201.RequestStartStopStatusEnumType,
        e201.UnlockStatusEnumType, e201.ResetStatusEnumType, e201.TriggerMessageStatusEnumType,
        e201.ChangeAvailabilityStatusEnumType, e201.ClearCacheStatusEnumType,
        e16.ChargingProfileStatus, e16.ClearChargingProfileStatus, e16.GetCompositeScheduleStatus,
        e201.ChargingProfileStatusEnumType, e201.ClearChargingProfileStatusEnumType, e201.GenericStatusEnumType,
        e16.ConfigurationStatus, e201.LogStatusEnumType, e201.UpdateFirmwareStatusEnumType,
        e201.GenericDeviceModelStatusEnumType,
        e16.UpdateStatus, e201.SendLocalListStatusEnumType, e201.DeleteCertificateStatusEnumType,
    )  # fmt: skip
    assert {value.value for enum in enums for value in enum} == set(command_words.ANSWERS_TO_COMMANDS)


@pytest.mark.parametrize("version", [messages_16, tokens])
def test_every_reason_of_the_gate_has_a_word_on_the_display(version):
    assert set(version.REFUSAL) == REASONS


def test_every_type_of_token_can_be_reserved_for():
    assert set(Token.Type.values) <= set(tokens.WIRE_TYPE)
    assert set(tokens.TOKEN_TYPE.values()) <= set(tokens.WIRE_TYPE)


@pytest.mark.parametrize("version", [messages_16, messages_2x])
def test_every_state_of_an_evse_is_one_of_ours(version):
    assert set(version.STATUS.values()) <= set(Evse.Status)
    assert set(messages_2x.STRONGEST_FIRST) == set(messages_2x.STATUS.values())


@pytest.mark.parametrize(
    ("dialect", "folder", "of_csms"),
    [(v16, "v16", OF_CSMS_16), (v201, "v201", OF_CSMS_2X), (v21, "v21", OF_CSMS_2X)],
)
def test_every_action_a_charger_can_send_is_answered_and_no_other(dialect, folder, of_csms):
    files = (Path(ocpp.__path__[0]) / folder / "schemas").glob("*.json")
    actions = {file.stem.removesuffix("Request") for file in files if not file.stem.endswith("Response")}

    assert actions - of_csms == set(dialect.ANSWERS)


@pytest.mark.parametrize(
    ("told", "at", "flags"),
    [
        ("2030-01-15T08:00:00Z", NOW, ()),
        ("2030-01-15T08:00:00.000Z", NOW, ()),
        ("2030-01-15T08:00:00.1Z", NOW + timedelta(milliseconds=100), ()),
        ("2030-01-15t08:00:00z", NOW, ()),
        ("2030-01-15 08:00:00Z", NOW, ()),
        ("2030-01-15T10:00:00+02:00", NOW, ()),
        ("2030-01-15T10:00:00+02", NOW, ()),
        ("2030-01-15T10:00:00+0200", NOW, ()),
        ("2030-01-15T09:00:00", NOW, ("no_zone",)),
        ("2030-07-15T09:00:00", datetime(2030, 7, 15, 7, 0, tzinfo=UTC), ("no_zone",)),
        ("1970-01-01T00:00:12Z", NOW, ("bad_clock",)),
        ("9999-12-31T23:59:59Z", NOW, ("bad_clock",)),
        ("2030-01-15T08:00:20", NOW + timedelta(seconds=20), ("no_zone",)),  # UTC: local time is an hour off
        ("", NOW, ("no_time",)),
        (None, NOW, ("no_time",)),
        ("tomorrow", NOW, ("bad_clock",)),
        ("2030-01-15T08:00:99Z", NOW, ("bad_clock",)),
        ("2030-01-15T08:00:00+05:75", NOW, ("bad_clock",)),
        ("2030-02-30T08:00:00Z", NOW, ("bad_clock",)),
    ],
)
def test_times_as_chargers_write_them(told, at, flags):
    assert read_time(told, zone=ZoneInfo("Europe/Berlin"), arrived_at=NOW) == (at, flags)


def test_times_are_written_with_z_and_milliseconds():
    berlin = datetime(2030, 1, 15, 9, 0, 0, 123456, tzinfo=ZoneInfo("Europe/Berlin"))

    assert write_time(berlin) == "2030-01-15T08:00:00.123Z"
