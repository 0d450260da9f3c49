"""A charger's side of OCPP 1.6."""

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


class Talk16:
    version = "1.6"

    def __init__(self, charger: SimulatedCharger) -> None:
        self.charger = charger

    def boot(self, reason: str) -> Call:
        return "BootNotification", {
            "chargePointVendor": self.charger.vendor,
            "chargePointModel": self.charger.model,
            "chargePointSerialNumber": self.charger.identity[:25],
            "firmwareVersion": self.charger.firmware,
        }

    def status(self, evse: int) -> Call:
        status = self.charger.station.status(evse)
        return "StatusNotification", {
            "connectorId": evse,
            "errorCode": "OtherError" if status == "Faulted" else "NoError",
            "status": status,
            "timestamp": write_time(self.charger.clock()),
        }

    def authorize(self, token: Token) -> Call:
        return "Authorize", {"idTag": token.uid}

    def started(self, transaction: Transaction, *, is_offline: bool) -> Call:
        reservation = transaction.reservation_id
        return "StartTransaction", {
            "connectorId": transaction.evse,
            "idTag": transaction.token.uid,
            "meterStart": transaction.meter_start_wh,
            "timestamp": write_time(transaction.started_at),
            **({"reservationId": reservation} if reservation is not None else {}),
        }

    def sampled(self, transaction: Transaction, *, is_offline: bool) -> Call:
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
            "meterValue": [{"timestamp": write_time(self.charger.clock()), "sampledValue": values}],
        }

    def ended(self, transaction: Transaction, reason: str, *, is_offline: bool) -> Call:
        return "StopTransaction", {
            "transactionId": transaction.csms_id or 0,
            "idTag": transaction.token.uid,
            "meterStop": transaction.meter_wh,
            "timestamp": write_time(self.charger.clock()),
            "reason": reason,
        }

    def verdict(self, answer: dict[str, Any]) -> Verdict:
        info = answer.get("idTagInfo") or {}
        return Verdict(info.get("status", "Accepted"), info.get("parentIdTag", ""))

    def reservation_over(self, reservation_id: int, outcome: str) -> Call | None:
        return None

    def answers(self, charger: SimulatedCharger) -> Mapping[str, Answerer]:
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
            "TriggerMessage": self._trigger,
            "Reset": self._reset,
            "UnlockConnector": self._unlock,
            "ClearCache": self._accept,
            "DataTransfer": self._data_transfer,
            "GetLocalListVersion": self._list_version,
        }

    async def _reserve(self, asked: dict[str, Any]) -> dict[str, Any]:
        wanted = Reservation(
            id=asked["reservationId"],
            evse=asked["connectorId"] or None,
            token=Token(asked["idTag"]),
            group=asked.get("parentIdTag", ""),
            expires_at=read_time(asked["expiryDate"], zone=UTC, arrived_at=self.charger.clock()).at,
        )
        return {"status": await self.charger.reserve(wanted)}

    async def _cancel(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": await self.charger.cancel_reservation(asked["reservationId"])}

    async def _remote_start(self, asked: dict[str, Any]) -> dict[str, Any]:
        token, evse = Token(asked["idTag"]), asked.get("connectorId")
        return {"status": await self.charger.remote_start(token, evse)}

    async def _remote_stop(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": await self.charger.remote_stop(asked["transactionId"])}

    async def _get_configuration(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = self.charger.configuration
        wanted = asked.get("key") or list(known)
        return {
            "configurationKey": [
                {"key": k, "readonly": False, "value": known[k]} for k in wanted if k in known
            ],
            "unknownKey": [key for key in wanted if key not in known],
        }

    async def _change_configuration(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["key"] not in self.charger.configuration:
            return {"status": "NotSupported"}
        self.charger.configuration[asked["key"]] = asked["value"]
        return {"status": "Accepted"}

    async def _change_availability(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "status": await self.charger.change_availability(
                asked["connectorId"], asked["type"] == "Operative"
            )
        }

    async def _set_profile(self, asked: dict[str, Any]) -> dict[str, Any]:
        schedule = asked["csChargingProfiles"]["chargingSchedule"]
        return {"status": self.charger.limit(asked["connectorId"], schedule)}

    async def _clear_profile(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": self.charger.lift_limit(asked.get("connectorId"))}

    async def _trigger(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": self.charger.trigger(asked["requestedMessage"], asked.get("connectorId"))}

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
        return {"listVersion": 0}
