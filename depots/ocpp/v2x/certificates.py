"""Certificates in OCPP 2.x (A02, M03 to M05)."""

from __future__ import annotations

from typing import Any

CSMS_ROOT = "CSMSRootCertificate"
# What a certificate is for, in our words and OCPP's.
TYPES = {"": "ChargingStationCertificate", "v2g": "V2GCertificate", "v2g20": "V2G20Certificate"}


def signed(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """As 2.1 has it: with the `requestId` that the charger gave, if it gave one."""
    request = payload.get("request")
    return "CertificateSigned", {
        "certificateChain": payload["chain"],
        "certificateType": TYPES[payload.get("for", "")],
        **({"requestId": request} if request is not None else {}),
    }


def renew(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}


def installed(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetInstalledCertificateIds", {"certificateType": [CSMS_ROOT]}


def install(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "InstallCertificate", {"certificateType": CSMS_ROOT, "certificate": payload["certificate"]}
