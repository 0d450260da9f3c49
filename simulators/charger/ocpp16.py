"""A charger's side of OCPP 1.6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulators.charger.configuration import READ_ONLY
from simulators.charger.ocpp_version import (
    Message,
    TokenAnswer,
    Transfer,
    always,
    read_profile,
    read_timestamp,
    write_schedule,
    write_timestamp,
)
from simulators.charger.script import Json
from simulators.charger.station import IdToken, Reservation, Transaction
from simulators.charger.trusted_roots import certificate_answers

if TYPE_CHECKING:
    from simulators.charger.charger import SimulatedCharger
    from simulators.charger.csms_connection import Answerer


class Ocpp16:
    version = "1.6"
    reset_reason = "SoftReset"

    def __init__(self, charger: SimulatedCharger) -> None:
        self._charger, self._requests = charger, charger.requests

    def boot(self, reason: str) -> Message:
        return "BootNotification", {
            "chargePointVendor": self._charger.vendor,
            "chargePointModel": self._charger.model,
            "chargePointSerialNumber": self._charger.identity[:25],
            "firmwareVersion": self._charger.firmware,
        }

    def status(self, evse: int) -> Message:
        status = self._charger.station.status(evse)
        return "StatusNotification", {
            "connectorId": evse,
            "errorCode": "OtherError" if status == "Faulted" else "NoError",
            "status": status,
            "timestamp": write_timestamp(self._charger.now()),
        }

    def authorize(self, token: IdToken) -> Message:
        return "Authorize", {"idTag": token.uid}

    def started(self, transaction: Transaction, *, is_offline: bool) -> Message:
        reservation = transaction.reservation_id
        return "StartTransaction", {
            "connectorId": transaction.evse,
            "idTag": transaction.token.uid,
            "meterStart": transaction.meter_start_wh,
            "timestamp": write_timestamp(transaction.started_at),
            **({"reservationId": reservation} if reservation is not None else {}),
        }

    def sampled(self, transaction: Transaction, *, is_offline: bool) -> Message:
        values = [
            {"value": str(transaction.meter_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": str(transaction.power_w), "measurand": "Power.Active.Import", "unit": "W"},
        ]
        if transaction.soc_percent is not None:
            soc = f"{transaction.soc_percent:.0f}"
            values.append({"value": soc, "measurand": "SoC", "unit": "Percent", "location": "EV"})
        return "MeterValues", {
            "connectorId": transaction.evse,
            "transactionId": transaction.csms_id or 0,
            "meterValue": [{"timestamp": write_timestamp(self._charger.now()), "sampledValue": values}],
        }

    def ended(self, transaction: Transaction, reason: str, *, is_offline: bool) -> Message:
        return "StopTransaction", {
            "transactionId": transaction.csms_id or 0,
            "idTag": transaction.token.uid,
            "meterStop": transaction.meter_wh,
            "timestamp": write_timestamp(self._charger.now()),
            "reason": reason,
        }

    def authorization(self, answer: Json) -> TokenAnswer:
        return _token_answer(answer)

    def reservation_over(self, reservation_id: int, outcome: str) -> Message | None:
        return None

    def answers(self) -> Mapping[str, Answerer]:
        return {
            "ReserveNow": self._reserve,
            "CancelReservation": self._cancel,
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "GetConfiguration": self._get_configuration,
            "ChangeConfiguration": self._change_configuration,
            "ChangeAvailability": self._change_availability,
            "SetChargingProfile": self._set_profile,
            "ClearChargingProfile": self._clear_profile,
            "GetCompositeSchedule": self._composite_schedule,
            "TriggerMessage": self._trigger,
            "Reset": self._reset,
            "UnlockConnector": self._unlock,
            "ClearCache": self._clear_cache,
            "DataTransfer": always({"status": "UnknownVendorId"}),
            "GetLocalListVersion": self._list_version,
            "SendLocalList": self._take_list,
            "GetDiagnostics": self._get_diagnostics,
            "UpdateFirmware": self._update_firmware,
            # Of the security extension.
            **certificate_answers(self._charger, is_16=True),
            "ExtendedTriggerMessage": self._trigger,
            "GetLog": self._get_log,
            "SignedUpdateFirmware": self._update_signed_firmware,
        }

    def transfer_status(self, transfer: Transfer, status: str) -> Message:
        told = {} if transfer.request_id is None else {"requestId": transfer.request_id}
        return transfer.notification, {"status": status, **told}

    def _reserve(self, asked: Json) -> Json:
        wanted = Reservation(
            id=asked["reservationId"],
            evse=asked["connectorId"] or None,
            token=IdToken(asked["idTag"]),
            group=asked.get("parentIdTag", ""),
            expires_at=read_timestamp(asked["expiryDate"]),
        )
        return {"status": self._requests.reserve(wanted)}

    def _cancel(self, asked: Json) -> Json:
        return {"status": self._requests.cancel_reservation(asked["reservationId"])}

    def _remote_start(self, asked: Json) -> Json:
        token, evse = IdToken(asked["idTag"]), asked.get("connectorId")
        return {"status": self._requests.remote_start(token, evse)}

    def _remote_stop(self, asked: Json) -> Json:
        return {"status": self._requests.remote_stop(asked["transactionId"])}

    def _get_configuration(self, asked: Json) -> Json:
        """No more at once than it has room for (GetConfigurationMaxKeys)."""
        known = self._charger.configuration
        wanted = asked.get("key") or list(known)
        wanted = wanted[: known.number("GetConfigurationMaxKeys", otherwise=50)]
        told = [(key, known.readable(key)) for key in wanted]
        return {
            "configurationKey": [
                {"key": key, "readonly": key in READ_ONLY, "value": value}
                for key, value in told
                if value is not None
            ],
            "unknownKey": [key for key, value in told if value is None],
        }

    def _change_configuration(self, asked: Json) -> Json:
        return {"status": self._charger.change_setting(asked["key"], asked["value"])}

    def _change_availability(self, asked: Json) -> Json:
        return {
            "status": self._requests.change_availability(asked["connectorId"], asked["type"] == "Operative")
        }

    def _set_profile(self, asked: Json) -> Json:
        profile = asked["csChargingProfiles"]
        transaction = profile.get("transactionId")
        return {
            "status": self._requests.install_profile(
                read_profile(
                    profile,
                    profile["chargingSchedule"],
                    id=profile["chargingProfileId"],
                    evse=asked["connectorId"],
                    transaction=None if transaction is None else str(transaction),
                )
            )
        }

    def _clear_profile(self, asked: Json) -> Json:
        named = {
            "id": asked.get("id"),
            "evse": asked.get("connectorId"),
            "purpose": asked.get("chargingProfilePurpose"),
            "stack_level": asked.get("stackLevel"),
        }
        return {"status": self._charger.station.profiles.clear(named)}

    def _composite_schedule(self, asked: Json) -> Json:
        evse = asked["connectorId"]
        if evse not in self._charger.station.evses:
            return {"status": "Rejected"}
        unit = asked.get("chargingRateUnit", "W")
        periods = self._requests.composite_schedule(evse, asked["duration"])
        return {
            "status": "Accepted",
            "connectorId": evse,
            "scheduleStart": write_timestamp(self._charger.clock()),
            "chargingSchedule": write_schedule(unit, periods),
        }

    def _trigger(self, asked: Json) -> Json:
        return {"status": self._requests.trigger(asked["requestedMessage"], asked.get("connectorId"))}

    def _reset(self, asked: Json) -> Json:
        return {"status": self._requests.reset()}

    def _unlock(self, asked: Json) -> Json:
        return {"status": self._requests.unlock(asked["connectorId"])}

    def _clear_cache(self, asked: Json) -> Json:
        self._charger.cache.clear()
        is_on = self._charger.configuration.is_on("AuthorizationCacheEnabled")
        return {"status": "Accepted" if is_on else "Rejected"}

    def _list_version(self, asked: Json) -> Json:
        return {"listVersion": self._charger.local_list.version}

    def _take_list(self, asked: Json) -> Json:
        changes = {
            entry["idTag"]: _token_answer(entry) if "idTagInfo" in entry else None
            for entry in asked.get("localAuthorizationList") or []
        }
        is_full = asked["updateType"] == "Full"
        return {"status": self._requests.update_local_list(asked["listVersion"], changes, is_full=is_full)}

    def _get_diagnostics(self, asked: Json) -> Json:
        transfer = Transfer("DiagnosticsStatusNotification", asked["location"], name="diagnostics.txt")
        self._charger.firmware_and_logs.upload(transfer)
        return {"fileName": transfer.name}

    def _get_log(self, asked: Json) -> Json:
        return self._charger.firmware_and_logs.take_log_request(asked)

    def _update_firmware(self, asked: Json) -> Json:
        at = read_timestamp(asked["retrieveDate"])
        self._charger.firmware_and_logs.install(
            Transfer("FirmwareStatusNotification", asked["location"], not_before=at)
        )
        return {}

    def _update_signed_firmware(self, asked: Json) -> Json:
        return self._charger.firmware_and_logs.take_firmware_request(
            asked, "SignedFirmwareStatusNotification"
        )


def _token_answer(told: Json) -> TokenAnswer:
    info = told.get("idTagInfo") or {}
    return TokenAnswer(info.get("status", "Accepted"), info.get("parentIdTag", ""))
