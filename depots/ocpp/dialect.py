"""A version of OCPP as the gateway uses it: the Protocol each fulfils, what none can express, and what all answer alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from depots.models import ChargerCommand
from depots.ocpp.times import write_time
from depots.ocpp.wire import Wire

if TYPE_CHECKING:
    from depots.ocpp.connection import ChargerConnection

Answerer = Callable[["ChargerConnection", dict[str, Any]], Awaitable[dict[str, Any]]]


class InvalidCommand(Exception):
    """A command that this charger's protocol cannot express; the text says why."""


class Dialect(Protocol):
    """A version of OCPP, as one module: how messages become our words, and our commands messages."""

    VERSION: str
    ANSWERS: Mapping[str, Answerer]

    def request(self, command: ChargerCommand) -> tuple[str, dict[str, Any]]:
        """(action, payload). Raises InvalidCommand."""

    def read_answer(self, payload: dict[str, Any], action: str) -> tuple[str, str]:
        """(answer in our words, its text) of a command of this action."""

    async def ask_capabilities(self, wire: Wire) -> dict[str, Any]:
        """What it says it can do, for `Charger.told`. Raises CallRefused, CallUnanswered."""


async def take_note(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """Nothing follows from it here; the message log keeps it."""
    return {}


def accept_boot(connection: ChargerConnection) -> dict[str, Any]:
    """The answer to a boot, once it is recorded; the same in every version."""
    connection.on_boot()
    return {
        "status": "Accepted",
        "currentTime": write_time(connection.now()),
        "interval": connection.timings.heartbeat_s,
    }


async def heartbeat(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    return {"currentTime": write_time(connection.now())}


async def data_transfer(connection: ChargerConnection, message: dict[str, Any]) -> dict[str, Any]:
    """No vendor's own messages are known here."""
    return {"status": "UnknownVendorId"}
