"""A charger's side of OCPP 2.0.1 and 2.1, which are the same for what this charger does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from depots.ocpp.times import read_time, write_time
from simulators.charger.ocpp_version import Call, Verdict
from simulators.charger.station import Reservation, Token, Transaction

if TYPE_CHECKING:
    from depots.ocpp.wire import Answerer
    from simulators.charger.charger import SimulatedCharger

# 1.6 says more about an EVSE than 2.x does.
_STATUS = {
    "Preparing": "Occupied",
    "Charging": "Occupied",
    "SuspendedEV": "Occupied",
    "Finishing": "Occupied",
}
_REASONS = {"Remote": "RemoteStop", "Local": "StopAuthorized", "DeAuthorized": "Deauthorized"}


class Talk2x:
    def __init__(self, charger: SimulatedCharger, version: str) -> None:
        self.charger = charger
        self.version = version

    def boot(self, reason: str) -> Call:
        station = {
            "vendorName": self.charger.vendor,
            "model": self.charger.model,
            "serialNumber": self.charger.identity[:25],
            "firmwareVersion": self.charger.firmware,
        }
        return "BootNotification", {"chargingStation": station, "reason": reason}

    def status(self, evse: int) -> Call:
        status = self.charger.station.status(evse)
        return "StatusNotification", {
            "timestamp": write_time(self.charger.clock()),
            "evseId": evse,
            "connectorId": 1,
            "connectorStatus": _STATUS.get(status, status),
        }

    def authorize(self, token: Token) -> Call:
        return "Authorize", {"idToken": {"idToken": token.uid, "type": token.type}}

    def started(self, transaction: Transaction, *, is_offline: bool) -> Call:
        token = {"idToken": transaction.token.uid, "type": transaction.token.type}
        trigger = "Authorized" if transaction.remote_start_id is None else "RemoteStart"
        return self._event(
            transaction, "Started", trigger, is_offline, token=token, context="Transaction.Begin"
        )

    def sampled(self, transaction: Transaction, *, is_offline: bool) -> Call:
        return self._event(
            transaction, "Updated", "MeterValuePeriodic", is_offline, context="Sample.Periodic"
        )

    def ended(self, transaction: Transaction, reason: str, *, is_offline: bool) -> Call:
        trigger = _REASONS.get(reason, "EVCommunicationLost")
        return self._event(
            transaction, "Ended", trigger, is_offline, reason=reason, context="Transaction.End"
        )

    def verdict(self, answer: dict[str, Any]) -> Verdict:
        info = answer.get("idTokenInfo") or {}
        group = (info.get("groupIdToken") or {}).get("idToken", "")
        return Verdict(info.get("status", "Accepted"), group, tuple(info.get("evseId") or ()))

    def reservation_over(self, reservation_id: int, outcome: str) -> Call | None:
        return "ReservationStatusUpdate", {
            "reservationId": reservation_id,
            "reservationUpdateStatus": outcome,
        }

    def answers(self, charger: SimulatedCharger) -> Mapping[str, Answerer]:
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
            "TriggerMessage": self._trigger,
            "Reset": self._reset,
            "UnlockConnector": self._unlock,
            "ClearCache": self._accept,
            "DataTransfer": self._data_transfer,
            "GetLocalListVersion": self._list_version,
            "GetTransactionStatus": self._transaction_status,
        }

    def _event(
        self,
        transaction: Transaction,
        kind: str,
        trigger: str,
        is_offline: bool,
        *,
        context: str,
        token: dict[str, Any] | None = None,
        reason: str = "",
    ) -> Call:
        info: dict[str, Any] = {
            "transactionId": transaction.id,
            "chargingState": "Charging" if transaction.power_w and kind != "Ended" else "EVConnected",
        }
        if transaction.remote_start_id is not None:
            info["remoteStartId"] = transaction.remote_start_id
        if reason:
            info["stoppedReason"] = reason
        at = transaction.started_at if kind == "Started" else self.charger.clock()
        energy = transaction.meter_start_wh if kind == "Started" else transaction.meter_wh
        event: dict[str, Any] = {
            "eventType": kind,
            "timestamp": write_time(at),
            "triggerReason": trigger,
            "seqNo": transaction.next_seq_no(),
            "transactionInfo": info,
            "evse": {"id": transaction.evse, "connectorId": 1},
            "meterValue": [
                {"timestamp": write_time(at), "sampledValue": _samples(transaction, energy, context)}
            ],
        }
        if token:
            event["idToken"] = token
        if is_offline:
            event["offline"] = True
        if kind == "Started" and transaction.reservation_id is not None:
            event["reservationId"] = transaction.reservation_id
        return "TransactionEvent", event

    async def _reserve(self, asked: dict[str, Any]) -> dict[str, Any]:
        token = asked["idToken"]
        wanted = Reservation(
            id=asked["id"],
            evse=asked.get("evseId"),
            token=Token(token["idToken"], token["type"]),
            group=(asked.get("groupIdToken") or {}).get("idToken", ""),
            expires_at=read_time(asked["expiryDateTime"], zone=UTC, arrived_at=self.charger.clock()).at,
        )
        return {"status": await self.charger.reserve(wanted)}

    async def _cancel(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": await self.charger.cancel_reservation(asked["reservationId"])}

    async def _remote_start(self, asked: dict[str, Any]) -> dict[str, Any]:
        token = Token(asked["idToken"]["idToken"], asked["idToken"]["type"])
        status = await self.charger.remote_start(token, asked.get("evseId"), asked["remoteStartId"])
        return {"status": status}

    async def _remote_stop(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": await self.charger.remote_stop(asked["transactionId"])}

    async def _get_variables(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"getVariableResult": [self._variable(wanted) for wanted in asked["getVariableData"]]}

    def _variable(self, wanted: dict[str, Any]) -> dict[str, Any]:
        name = f"{wanted['component']['name']}.{wanted['variable']['name']}"
        known = self.charger.configuration.get(name)
        result = {"component": wanted["component"], "variable": wanted["variable"]}
        if known is None:
            return {**result, "attributeStatus": "UnknownVariable"}
        return {**result, "attributeStatus": "Accepted", "attributeValue": known}

    async def _set_variables(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"setVariableResult": [self._set_variable(wanted) for wanted in asked["setVariableData"]]}

    def _set_variable(self, wanted: dict[str, Any]) -> dict[str, Any]:
        name = f"{wanted['component']['name']}.{wanted['variable']['name']}"
        is_known = name in self.charger.configuration
        if is_known:
            self.charger.configuration[name] = wanted["attributeValue"]
        return {
            "component": wanted["component"],
            "variable": wanted["variable"],
            "attributeStatus": "Accepted" if is_known else "UnknownVariable",
        }

    async def _change_availability(self, asked: dict[str, Any]) -> dict[str, Any]:
        evse = (asked.get("evse") or {}).get("id", 0)
        is_operative = asked["operationalStatus"] == "Operative"
        return {"status": await self.charger.change_availability(evse, is_operative)}

    async def _set_profile(self, asked: dict[str, Any]) -> dict[str, Any]:
        schedule = asked["chargingProfile"]["chargingSchedule"][0]
        return {"status": self.charger.limit(asked["evseId"], schedule)}

    async def _clear_profile(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": self.charger.lift_limit((asked.get("chargingProfileCriteria") or {}).get("evseId"))}

    async def _trigger(self, asked: dict[str, Any]) -> dict[str, Any]:
        evse = (asked.get("evse") or {}).get("id")
        return {"status": self.charger.trigger(asked["requestedMessage"], evse)}

    async def _reset(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.charger.reset_soon()
        return {"status": "Accepted"}

    async def _unlock(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Unlocked"}

    async def _accept(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": "Accepted"}

    async def _data_transfer(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": "UnknownVendorId"}

    async def _list_version(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"versionNumber": 0}

    async def _transaction_status(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"messagesInQueue": bool(self.charger.outbox)}


def _samples(transaction: Transaction, energy_wh: int, context: str) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = [
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
