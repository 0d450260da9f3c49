"""The physical world: who runs it, where it is, what stands there and what it reports."""

from depots.models.api_tokens import ApiToken, ApiUse
from depots.models.charger_alerts import ChargerAlert
from depots.models.charger_security import (
    CertificateAuthority,
    ChargerCertificate,
    ExpectedCharger,
    FailedHandshake,
    RefusedConnection,
    SecurityEvent,
    SecurityRaise,
)
from depots.models.chargers import Charger, ChargerCommand, ChargerMessage, Connector, Evse
from depots.models.charging import (
    ChargingSession,
    ChargingState,
    EvseChargingState,
    MeterReading,
    SessionEvent,
    SignedMeterValue,
)
from depots.models.commissioning import ChargerUpload, SettingsCheck, SettingsTemplate
from depots.models.local_lists import LocalList
from depots.models.notices import Notice
from depots.models.organisations import Membership, Organisation, User
from depots.models.places import Gazetteer, Place, PlaceName
from depots.models.sites import Agreement, ConfigurationVersion, Depot, Fallback, OpeningHours
from depots.models.state_history import ConnectionChange, EvseStatusChange
from depots.models.trusted_roots import TrustedRoot

__all__ = [
    "Agreement",
    "ApiToken",
    "ApiUse",
    "CertificateAuthority",
    "Charger",
    "ChargerAlert",
    "ChargerCertificate",
    "ChargerCommand",
    "ChargerMessage",
    "ChargerUpload",
    "ChargingSession",
    "ChargingState",
    "ConfigurationVersion",
    "ConnectionChange",
    "Connector",
    "Depot",
    "Evse",
    "EvseChargingState",
    "EvseStatusChange",
    "ExpectedCharger",
    "FailedHandshake",
    "Fallback",
    "Gazetteer",
    "LocalList",
    "Membership",
    "MeterReading",
    "Notice",
    "OpeningHours",
    "Organisation",
    "Place",
    "PlaceName",
    "RefusedConnection",
    "SecurityEvent",
    "SecurityRaise",
    "SessionEvent",
    "SettingsCheck",
    "SettingsTemplate",
    "SignedMeterValue",
    "TrustedRoot",
    "User",
]
