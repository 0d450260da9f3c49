"""OCPP 2.0.1: what it does not have of 2.x."""

from __future__ import annotations

from typing import Any

from depots.models import ChargerCommand
from depots.ocpp.v2x import commands
from depots.ocpp.v2x.commands import ask_capabilities, read_answer
from depots.ocpp.v2x.messages import ANSWERS

__all__ = ["ANSWERS", "VERSION", "ask_capabilities", "read_answer", "request"]

VERSION = "2.0.1"

# Fields of our calls that came with 2.1, by action; a charger of 2.0.1 has to refuse them.
NOT_YET = {"CertificateSigned": {"requestId"}}


def request(command: ChargerCommand) -> tuple[str, dict[str, Any]]:
    """As 2.1 says it, without what came with it. Raises InvalidCommand."""
    action, payload = commands.request(command)
    return action, {name: value for name, value in payload.items() if name not in NOT_YET.get(action, ())}
