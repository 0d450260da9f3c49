"""Commands of 2.3.0, as the core asks for them (roaming/ocpi/modules/commands.py); those of 2.2.1 are the same."""

from __future__ import annotations

from typing import Any

from roaming.models import ReceivedCommand
from roaming.ocpi.v2_3_0.commands.mapping import result_out


def write_result(received: ReceivedCommand) -> dict[str, Any]:
    return result_out(received).wire()
