"""A charger's side of OCPP 2.0.1 and 2.1, which are the same for what this charger does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulators.charger.ocpp_version import (
    Message,
    TokenAnswer,
    always,
    read_profile,
    read_timestamp,
    write_schedule,
    write_timestamp,
)
from simulators.charger.script import Json
from simulators.charger.station import IdToken, Reservation, Transaction

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
            "timestamp": write_timestamp(self._charger.clock()),
            "evseId": evse,
            "connectorId": 1,
            "connectorStatus": _STATUS.get(status, status),
        }

    def authorize(self, token: IdToken) -> Message:
        return "Authorize", {"idToken": {"idToken": token.uid, "type": token.type}}

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
        info = answer.get("idTokenInfo") or {}
        group = (info.get("groupIdToken") or {}).get("idToken", "")
        return TokenAnswer(info.get("status", "Accepted"), group, tuple(info.get("evseId") or ()))

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
            "UnlockConnector": always({"status": "Unlocked"}),
            "ClearCache": always({"status": "Accepted"}),
            "DataTransfer": always({"status": "UnknownVendorId"}),
            "GetLocalListVersion": always({"versionNumber": 0}),
            "GetTransactionStatus": self._transaction_status,
        }

    def _event(self, transaction: Transaction, kind: str, is_offline: bool) -> Json:
        """What every event of a transaction holds; `kind` is its eventType."""
        is_start = kind == "Started"
        at = write_timestamp(transaction.started_at if is_start else self._charger.clock())
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
        name = f"{wanted['component']['name']}.{wanted['variable']['name']}"
        known = self._charger.configuration.get(name)
        result = {"component": wanted["component"], "variable": wanted["variable"]}
        if known is None:
            return {**result, "attributeStatus": "UnknownVariable"}
        return {**result, "attributeStatus": "Accepted", "attributeValue": known}

    def _set_variables(self, asked: Json) -> Json:
        return {"setVariableResult": [self._set_variable(wanted) for wanted in asked["setVariableData"]]}

    def _set_variable(self, wanted: Json) -> Json:
        name = f"{wanted['component']['name']}.{wanted['variable']['name']}"
        is_known = name in self._charger.configuration
        if is_known:
            self._charger.configuration[name] = wanted["attributeValue"]
        return {
            "component": wanted["component"],
            "variable": wanted["variable"],
            "attributeStatus": "Accepted" if is_known else "UnknownVariable",
        }

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
        return {"status": self._requests.reset()}

    def _transaction_status(self, asked: Json) -> Json:
        return {"messagesInQueue": bool(self._charger.outbox)}


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
