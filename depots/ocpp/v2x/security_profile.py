"""A charger's security profile in OCPP 2.x: a network profile in a slot of its own, put before the others (B09, B10, A05)."""

from __future__ import annotations

import json
from typing import Any

from depots.ocpp.v2x import settings

PRIORITY = "OCPPCommCtrlr.NetworkConfigurationPriority"
INTERFACES = {"wired": "Wired0", "wireless": "Wireless0"}
# As the specification suggests where nothing is known of the network.
MESSAGE_TIMEOUT_S = 30


def set_profile(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """`ocppVersion` says no more than JSON of 2.x, in 2.1 nothing: the handshake decides."""
    return "SetNetworkProfile", {
        "configurationSlot": payload["slot"],
        "connectionData": {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": payload["url"],
            "messageTimeout": MESSAGE_TIMEOUT_S,
            "securityProfile": payload["profile"],
            "ocppInterface": INTERFACES[payload["interface"]],
        },
    }


def set_priority(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return settings.change({"settings": {PRIORITY: ",".join(map(str, payload["slots"]))}})


def read_priority(payload: dict[str, Any]) -> tuple[str, str]:
    """Our word for the one answer, and its reason."""
    _, told = settings.read_changes(payload)
    word, reason = next(iter(json.loads(told).values()), ["error", ""])
    return word, reason
