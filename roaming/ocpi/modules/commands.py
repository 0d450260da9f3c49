"""Commands: what partners have our chargers do."""

from __future__ import annotations

from typing import Any, Protocol

from roaming.models import ReceivedCommand


class Commands(Protocol):
    # We are the CPO

    def write_result(self, received: ReceivedCommand, /) -> dict[str, Any]:
        """What is POSTed to the asker of a command whose result is decided."""
