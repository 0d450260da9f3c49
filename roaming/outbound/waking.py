"""How a worker's sending loop hears that something is due."""

from __future__ import annotations

from depots.notices import tell

WAKE_CHANNEL = "deliveries"


def wake_sender() -> None:
    """Tell every worker that something is due, once the transaction has committed."""
    tell(WAKE_CHANNEL, [""])
