"""A charger's settings: what a CSMS reads and changes, and what follows for the charger itself."""

from __future__ import annotations

from collections.abc import Mapping

# Configuration keys of OCPP 1.6 (§9) and of its security extension.
OF_16 = {
    "AllowOfflineTxForUnknownId": "false",
    "AuthorizationCacheEnabled": "false",
    "AuthorizeRemoteTxRequests": "false",
    "ChargeProfileMaxStackLevel": "5",
    "ChargingScheduleAllowedChargingRateUnit": "Power",
    "ChargingScheduleMaxPeriods": "24",
    "ClockAlignedDataInterval": "0",
    "ConnectionTimeOut": "60",
    "GetConfigurationMaxKeys": "50",
    "HeartbeatInterval": "60",
    "LocalAuthListEnabled": "false",
    "LocalAuthListMaxLength": "200",
    "LocalAuthorizeOffline": "true",
    "LocalPreAuthorize": "false",
    "MaxChargingProfilesInstalled": "10",
    "MeterValueSampleInterval": "10",
    "MeterValuesAlignedData": "Energy.Active.Import.Register",
    "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,SoC",
    "MinimumStatusDuration": "0",
    "NumberOfConnectors": "2",
    "ReserveConnectorZeroSupported": "false",
    "ResetRetries": "1",
    "SecurityProfile": "1",
    "SendLocalListMaxLength": "20",
    "StopTransactionOnEVSideDisconnect": "true",
    "StopTransactionOnInvalidId": "true",
    "StopTxnAlignedData": "",
    "StopTxnSampledData": "Energy.Active.Import.Register",
    "SupportedFeatureProfiles": (
        "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"
    ),
    "TransactionMessageAttempts": "3",
    "TransactionMessageRetryInterval": "1",
    "UnlockConnectorOnEVSideDisconnect": "true",
    "WebSocketPingInterval": "30",
}
# Component.Variable of OCPP 2.0.1 (part 2, referenced components and variables).
OF_2X = {
    "AlignedDataCtrlr.Interval": "0",
    "AuthCacheCtrlr.Enabled": "false",
    "AuthCtrlr.AuthorizeRemoteStart": "false",
    "AuthCtrlr.LocalAuthorizeOffline": "true",
    "AuthCtrlr.LocalPreAuthorize": "false",
    "AuthCtrlr.OfflineTxForUnknownIdEnabled": "false",
    "DeviceDataCtrlr.ItemsPerMessage": "20",
    "LocalAuthListCtrlr.Enabled": "false",
    "LocalAuthListCtrlr.Entries": "0",
    "LocalAuthListCtrlr.ItemsPerMessage": "20",
    "OCPPCommCtrlr.HeartbeatInterval": "60",
    "OCPPCommCtrlr.MessageTimeout": "30",
    "OCPPCommCtrlr.NetworkConfigurationPriority": "1",
    "OCPPCommCtrlr.OfflineThreshold": "60",
    "OCPPCommCtrlr.RetryBackOffRandomRange": "10",
    "OCPPCommCtrlr.RetryBackOffRepeatTimes": "3",
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": "10",
    "OCPPCommCtrlr.WebSocketPingInterval": "30",
    "ReservationCtrlr.Available": "true",
    "ReservationCtrlr.Enabled": "true",
    "ReservationCtrlr.NonEvseSpecific": "false",
    "SampledDataCtrlr.TxEndedMeasurands": "Energy.Active.Import.Register",
    "SampledDataCtrlr.TxStartedMeasurands": "Energy.Active.Import.Register",
    "SampledDataCtrlr.TxUpdatedInterval": "10",
    "SampledDataCtrlr.TxUpdatedMeasurands": "Energy.Active.Import.Register,Power.Active.Import,SoC",
    "SecurityCtrlr.SecurityProfile": "1",
    "SmartChargingCtrlr.Enabled": "true",
    "SmartChargingCtrlr.PeriodsPerSchedule": "24",
    "SmartChargingCtrlr.ProfileStackLevel": "5",
    "SmartChargingCtrlr.RateUnit": "W",
    "TxCtrlr.EVConnectionTimeOut": "60",
    "TxCtrlr.StopTxOnEVSideDisconnect": "true",
    "TxCtrlr.StopTxOnInvalidId": "true",
    "TxCtrlr.TxStartPoint": "Authorized",
    "TxCtrlr.TxStopPoint": "EVConnected,Authorized",
}
READ_ONLY = {
    "ChargeProfileMaxStackLevel", "ChargingScheduleAllowedChargingRateUnit", "ChargingScheduleMaxPeriods",
    "DeviceDataCtrlr.ItemsPerMessage", "GetConfigurationMaxKeys", "LocalAuthListCtrlr.Entries",
    "LocalAuthListCtrlr.ItemsPerMessage", "LocalAuthListMaxLength", "MaxChargingProfilesInstalled",
    "NumberOfConnectors", "ReservationCtrlr.Available", "ReservationCtrlr.NonEvseSpecific",
    "ReserveConnectorZeroSupported", "SendLocalListMaxLength", "SmartChargingCtrlr.PeriodsPerSchedule",
    "SmartChargingCtrlr.ProfileStackLevel", "SmartChargingCtrlr.RateUnit", "SupportedFeatureProfiles",
}  # fmt: skip
NEEDS_REBOOT = {"TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"}
# What can be set and never read (both versions write it only).
WRITE_ONLY = {"AuthorizationKey", "SecurityCtrlr.BasicAuthPassword"}


class Configuration(dict[str, str]):
    """Keys of 1.6, or Component.Variable of 2.x, and their values as text."""

    @classmethod
    def of(cls, *, is_16: bool, other: Mapping[str, str]) -> Configuration:
        return cls({**(OF_16 if is_16 else OF_2X), **other})

    def change(self, name: str, value: str) -> str:
        """Accepted, Rejected, RebootRequired or NotSupported."""
        if name not in self and name not in WRITE_ONLY:
            return "NotSupported"
        if name in READ_ONLY or not self._takes(name, value):
            return "Rejected"
        self[name] = value
        return "RebootRequired" if name in NEEDS_REBOOT else "Accepted"

    def readable(self, name: str) -> str | None:
        return None if name in WRITE_ONLY else self.get(name)

    def is_on(self, *names: str) -> bool:
        """Is the setting, called one way in 1.6 and another in 2.x, true?"""
        return any(self.get(name, "").strip().lower() == "true" for name in names)

    def number(self, *names: str, otherwise: int) -> int:
        told = next((self[name] for name in names if name in self), "")
        return int(told) if told.isdigit() else otherwise

    def _takes(self, name: str, value: str) -> bool:
        """A switch stays a switch, a number a number."""
        before = self.get(name, "")
        if before in {"true", "false"}:
            return value.strip().lower() in {"true", "false"}
        return value.strip().isdigit() if before.isdigit() else True
