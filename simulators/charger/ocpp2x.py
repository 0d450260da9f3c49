"""A charger's side of OCPP 2.0.1 and 2.1, which are the same for what this charger does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulators.charger.configuration import READ_ONLY, WRITE_ONLY
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

# 1.6 says more about an EVSE than 2.x does.
_STATUS = {
    "Preparing": "Occupied",
    "Charging": "Occupied",
    "SuspendedEV": "Occupied",
    "Finishing": "Occupied",
}
# The triggerReason of an end by its stoppedReason, and the context of an event's samples by its eventType.
_TRIGGERS = {"Remote": "RemoteStop", "Local": "StopAuthorized", "DeAuthorized": "Deauthorized"}
_CONTEXTS = {"Started": "Transaction.Begin", "Updated": "Sample.Periodic", "Ended": "Transaction.End"}


class Ocpp2x:
    reset_reason = "Reboot"

    def __init__(self, charger: SimulatedCharger, version: str) -> None:
        self._charger, self._requests = charger, charger.requests
        self.version = version

    def boot(self, reason: str) -> Message:
        station = {
            "vendorName": self._charger.vendor,
            "model": self._charger.model,
            "serialNumber": self._charger.identity[:25],
            "firmwareVersion": self._charger.firmware,
        }
        return "BootNotification", {"chargingStation": station, "reason": reason}

    def status(self, evse: int) -> Message:
        status = self._charger.station.status(evse)
        return "StatusNotification", {
            "timestamp": write_timestamp(self._charger.now()),
            "evseId": evse,
            "connectorId": 1,
            "connectorStatus": _STATUS.get(status, status),
        }

    def authorize(self, token: IdToken) -> Message:
        told = {"idToken": {"idToken": token.uid, "type": token.type}}
        return "Authorize", {**told, **({"certificate": token.certificate} if token.certificate else {})}

    def started(self, transaction: Transaction, *, is_offline: bool) -> Message:
        event = self._event(transaction, "Started", is_offline)
        event["triggerReason"] = "Authorized" if transaction.remote_start_id is None else "RemoteStart"
        event["idToken"] = {"idToken": transaction.token.uid, "type": transaction.token.type}
        if transaction.reservation_id is not None:
            event["reservationId"] = transaction.reservation_id
        return "TransactionEvent", event

    def sampled(self, transaction: Transaction, *, is_offline: bool) -> Message:
        event = self._event(transaction, "Updated", is_offline)
        event["triggerReason"] = "MeterValuePeriodic"
        return "TransactionEvent", event

    def ended(self, transaction: Transaction, reason: str, *, is_offline: bool) -> Message:
        event = self._event(transaction, "Ended", is_offline)
        event["triggerReason"] = _TRIGGERS.get(reason, "EVCommunicationLost")
        event["transactionInfo"]["stoppedReason"] = reason
        return "TransactionEvent", event

    def authorization(self, answer: Json) -> TokenAnswer:
        return _token_answer(answer)

    def reservation_over(self, reservation_id: int, outcome: str) -> Message | None:
        return "ReservationStatusUpdate", {
            "reservationId": reservation_id,
            "reservationUpdateStatus": outcome,
        }

    def answers(self) -> Mapping[str, Answerer]:
        return {
            "ReserveNow": self._reserve,
            "CancelReservation": self._cancel,
            "RequestStartTransaction": self._remote_start,
            "RequestStopTransaction": self._remote_stop,
            "GetVariables": self._get_variables,
            "SetVariables": self._set_variables,
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
            "GetBaseReport": self._get_base_report,
            "GetLog": self._get_log,
            "UpdateFirmware": self._update_firmware,
            "GetTransactionStatus": self._transaction_status,
            **certificate_answers(self._charger, is_16=False),
            "SetNetworkProfile": self._charger.network.set_slot,
        }

    def transfer_status(self, transfer: Transfer, status: str) -> Message:
        told = {} if transfer.request_id is None else {"requestId": transfer.request_id}
        return transfer.notification, {"status": status, **told}

    def _event(self, transaction: Transaction, kind: str, is_offline: bool) -> Json:
        """What every event of a transaction holds; `kind` is its eventType."""
        is_start = kind == "Started"
        at = write_timestamp(transaction.started_at if is_start else self._charger.now())
        energy_wh = transaction.meter_start_wh if is_start else transaction.meter_wh
        is_charging = transaction.power_w and kind != "Ended"
        info = {
            "transactionId": transaction.id,
            "chargingState": "Charging" if is_charging else "EVConnected",
        }
        remote = transaction.remote_start_id
        return {
            "eventType": kind,
            "timestamp": at,
            "seqNo": transaction.next_seq_no(),
            "transactionInfo": info if remote is None else {**info, "remoteStartId": remote},
            "evse": {"id": transaction.evse, "connectorId": 1},
            "meterValue": [
                {"timestamp": at, "sampledValue": _samples(transaction, energy_wh, _CONTEXTS[kind])}
            ],
            **({"offline": True} if is_offline else {}),
        }

    def _reserve(self, asked: Json) -> Json:
        token = asked["idToken"]
        wanted = Reservation(
            id=asked["id"],
            evse=asked.get("evseId"),
            token=IdToken(token["idToken"], token["type"]),
            group=(asked.get("groupIdToken") or {}).get("idToken", ""),
            expires_at=read_timestamp(asked["expiryDateTime"]),
        )
        return {"status": self._requests.reserve(wanted)}

    def _cancel(self, asked: Json) -> Json:
        return {"status": self._requests.cancel_reservation(asked["reservationId"])}

    def _remote_start(self, asked: Json) -> Json:
        token = IdToken(asked["idToken"]["idToken"], asked["idToken"]["type"])
        status = self._requests.remote_start(token, asked.get("evseId"), asked["remoteStartId"])
        return {"status": status}

    def _remote_stop(self, asked: Json) -> Json:
        return {"status": self._requests.remote_stop(asked["transactionId"])}

    def _get_variables(self, asked: Json) -> Json:
        return {"getVariableResult": [self._variable(wanted) for wanted in asked["getVariableData"]]}

    def _variable(self, wanted: Json) -> Json:
        known = self._charger.configuration
        name = _name_of(wanted)
        result = {"component": wanted["component"], "variable": wanted["variable"]}
        if name in WRITE_ONLY:
            return {**result, "attributeStatus": "Rejected"}
        if name not in known:
            return {**result, "attributeStatus": self._unknown(name)}
        return {**result, "attributeStatus": "Accepted", "attributeValue": known[name]}

    def _unknown(self, name: str) -> str:
        component = f"{name.partition('.')[0]}."
        is_known = any(each.startswith(component) for each in self._charger.configuration)
        return "UnknownVariable" if is_known else "UnknownComponent"

    def _set_variables(self, asked: Json) -> Json:
        return {"setVariableResult": [self._set_variable(wanted) for wanted in asked["setVariableData"]]}

    def _set_variable(self, wanted: Json) -> Json:
        name = _name_of(wanted)
        status = self._charger.change_setting(name, wanted["attributeValue"])
        return {
            "component": wanted["component"],
            "variable": wanted["variable"],
            "attributeStatus": self._unknown(name) if status == "NotSupported" else status,
        }

    def _get_base_report(self, asked: Json) -> Json:
        self._charger.soon(self._report_inventory(asked["requestId"]))
        return {"status": "Accepted"}

    async def _report_inventory(self, request_id: int) -> None:
        """In portions, each of which says whether another follows."""
        known = self._charger.configuration
        portion = known.number("DeviceDataCtrlr.ItemsPerMessage", otherwise=20)
        names = [name for name in known if name not in WRITE_ONLY]
        for seq_no, start in enumerate(range(0, len(names), portion)):
            report = {
                "requestId": request_id,
                "generatedAt": write_timestamp(self._charger.now()),
                "seqNo": seq_no,
                "tbc": start + portion < len(names),
                "reportData": [_reported(name, known[name]) for name in names[start : start + portion]],
            }
            await self._charger.call("NotifyReport", report)

    def _change_availability(self, asked: Json) -> Json:
        evse = (asked.get("evse") or {}).get("id", 0)
        is_operative = asked["operationalStatus"] == "Operative"
        return {"status": self._requests.change_availability(evse, is_operative)}

    def _set_profile(self, asked: Json) -> Json:
        profile = asked["chargingProfile"]
        return {
            "status": self._requests.install_profile(
                read_profile(
                    profile,
                    profile["chargingSchedule"][0],
                    id=profile["id"],
                    evse=asked["evseId"],
                    transaction=profile.get("transactionId"),
                )
            )
        }

    def _clear_profile(self, asked: Json) -> Json:
        criteria = asked.get("chargingProfileCriteria") or {}
        named = {
            "id": asked.get("chargingProfileId"),
            "evse": criteria.get("evseId"),
            "purpose": criteria.get("chargingProfilePurpose"),
            "stack_level": criteria.get("stackLevel"),
        }
        return {"status": self._charger.station.profiles.clear(named)}

    def _composite_schedule(self, asked: Json) -> Json:
        evse = asked["evseId"]
        if evse not in self._charger.station.evses:
            return {"status": "Rejected"}
        unit = asked.get("chargingRateUnit", "W")
        periods = self._requests.composite_schedule(evse, asked["duration"])
        return {
            "status": "Accepted",
            "schedule": {
                "evseId": evse,
                "duration": asked["duration"],
                "scheduleStart": write_timestamp(self._charger.clock()),
                **write_schedule(unit, periods),
            },
        }

    def _trigger(self, asked: Json) -> Json:
        evse = (asked.get("evse") or {}).get("id")
        return {"status": self._requests.trigger(asked["requestedMessage"], evse)}

    def _reset(self, asked: Json) -> Json:
        return {"status": self._requests.reset(when_idle=asked["type"] == "OnIdle")}

    def _unlock(self, asked: Json) -> Json:
        """A plug is not unlocked while it charges, other than in 1.6 (F05)."""
        evse = self._charger.station.evses.get(asked["evseId"])
        if evse is None or asked["connectorId"] != 1:
            return {"status": "UnknownConnector"}
        if evse.transaction is not None:
            return {"status": "OngoingAuthorizedTransaction"}
        return {"status": self._requests.unlock(asked["evseId"])}

    def _clear_cache(self, asked: Json) -> Json:
        self._charger.cache.clear()
        is_on = self._charger.configuration.is_on("AuthCacheCtrlr.Enabled")
        return {"status": "Accepted" if is_on else "Rejected"}

    def _list_version(self, asked: Json) -> Json:
        return {"versionNumber": self._charger.local_list.version}

    def _take_list(self, asked: Json) -> Json:
        changes = {
            entry["idToken"]["idToken"]: _token_answer(entry) if "idTokenInfo" in entry else None
            for entry in asked.get("localAuthorizationList") or []
        }
        is_full = asked["updateType"] == "Full"
        return {"status": self._requests.update_local_list(asked["versionNumber"], changes, is_full=is_full)}

    def _get_log(self, asked: Json) -> Json:
        return self._charger.firmware_and_logs.take_log_request(asked)

    def _update_firmware(self, asked: Json) -> Json:
        return self._charger.firmware_and_logs.take_firmware_request(asked, "FirmwareStatusNotification")

    def _transaction_status(self, asked: Json) -> Json:
        running = {each.transaction.id for each in self._charger.station.evses.values() if each.transaction}
        wanted = asked.get("transactionId")
        told = {} if wanted is None else {"ongoingIndicator": wanted in running}
        return {"messagesInQueue": len(self._charger.outbox) > 0, **told}


def _name_of(wanted: Json) -> str:
    return f"{wanted['component']['name']}.{wanted['variable']['name']}"


def _reported(name: str, value: str) -> Json:
    component, _, variable = name.partition(".")
    mutability = "ReadOnly" if name in READ_ONLY else "ReadWrite"
    return {
        "component": {"name": component},
        "variable": {"name": variable},
        "variableAttribute": [{"type": "Actual", "value": value, "mutability": mutability}],
    }


def _token_answer(told: Json) -> TokenAnswer:
    info = told.get("idTokenInfo") or {}
    group = (info.get("groupIdToken") or {}).get("idToken", "")
    return TokenAnswer(info.get("status", "Accepted"), group, tuple(info.get("evseId") or ()))


def _samples(transaction: Transaction, energy_wh: int, context: str) -> list[Json]:
    samples: list[Json] = [
        {
            "value": energy_wh,
            "context": context,
            "measurand": "Energy.Active.Import.Register",
            "unitOfMeasure": {"unit": "Wh"},
        },
        {
            "value": transaction.power_w,
            "context": context,
            "measurand": "Power.Active.Import",
            "unitOfMeasure": {"unit": "W"},
        },
    ]
    if transaction.soc_percent is not None:
        soc = round(transaction.soc_percent, 1)
        samples.append({"value": soc, "context": context, "measurand": "SoC", "location": "EV"})
    return samples
