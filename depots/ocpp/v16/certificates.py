"""Certificates in OCPP 1.6, by its security extension."""

from __future__ import annotations

from typing import Any

CSMS_ROOT = "CentralSystemRootCertificate"


def signed(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "CertificateSigned", {"certificateChain": payload["chain"]}


def renew(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}


def installed(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "GetInstalledCertificateIds", {"certificateType": CSMS_ROOT}


def install(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "InstallCertificate", {"certificateType": CSMS_ROOT, "certificate": payload["certificate"]}
