"""What a simulated charger is made with, and the configuration a CSMS finds in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

PROTOCOLS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
POWER_W = 150_000


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ChargerSettings:
    """`url` is the CSMS's, without the identity; `evses` a number of them, or {number: power in watts}."""

    identity: str
    url: str
    password: str = ""
    protocol: str = "ocpp1.6"
    evses: int | Mapping[int, int] = 2
    clock: Callable[[], datetime] = _now
    call_timeout_s: float = 30

    @property
    def powers_w(self) -> Mapping[int, int]:
        """Power in watts by EVSE number."""
        return dict.fromkeys(range(1, self.evses + 1), POWER_W) if isinstance(self.evses, int) else self.evses


# Configuration keys of OCPP 1.6 (§9).
CONFIGURATION_16 = {
    "SupportedFeatureProfiles": "Core,FirmwareManagement,Reservation,SmartCharging,RemoteTrigger",
    "NumberOfConnectors": "2",
    "ReserveConnectorZeroSupported": "false",
    "AuthorizeRemoteTxRequests": "false",
    "AuthorizationCacheEnabled": "false",
    "StopTransactionOnInvalidId": "true",
    "HeartbeatInterval": "60",
    "MeterValueSampleInterval": "10",
    "ConnectionTimeOut": "60",
    "ChargeProfileMaxStackLevel": "5",
    "ChargingScheduleAllowedChargingRateUnit": "Power",
    "LocalAuthListEnabled": "false",
    "LocalPreAuthorize": "false",
}
# Component.Variable of OCPP 2.0.1 (part 2, referenced components and variables).
CONFIGURATION_2X = {
    "ReservationCtrlr.Available": "true",
    "ReservationCtrlr.Enabled": "true",
    "ReservationCtrlr.NonEvseSpecific": "false",
    "SmartChargingCtrlr.Enabled": "true",
    "LocalAuthListCtrlr.Enabled": "false",
    "AuthCacheCtrlr.Enabled": "false",
    "TxCtrlr.TxStartPoint": "Authorized",
    "TxCtrlr.StopTxOnInvalidId": "true",
    "OCPPCommCtrlr.HeartbeatInterval": "60",
}
