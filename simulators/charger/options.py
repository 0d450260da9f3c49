"""What a simulated charger is made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from simulators.charger.behaviour import HONEST, Behaviour
from simulators.charger.client_tls import ClientTls

PROTOCOLS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
POWER_W = 150_000


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ChargerOptions:
    """`url` is the CSMS's, without the identity; `evses` a number of them, or {number: power in watts}; `settings` are
    values of its configuration other than the usual. `records` keeps every frame and every CALL for whoever tests. Without a
    password none is sent; `tls` counts where the url is wss. `secure_url` is where a charger of 1.6 goes whose security
    profile is raised; the same place over TLS where it is empty.
    """

    identity: str
    url: str
    password: str = ""
    protocol: str = "ocpp1.6"
    evses: int | Mapping[int, int] = 2
    clock: Callable[[], datetime] = _now
    call_timeout_s: float = 30
    behaviour: Behaviour = HONEST
    settings: Mapping[str, str] = field(default_factory=dict)
    records: bool = True
    tls: ClientTls = field(default_factory=ClientTls)
    secure_url: str = ""

    @property
    def powers_w(self) -> Mapping[int, int]:
        """Power in watts by EVSE number."""
        return dict.fromkeys(range(1, self.evses + 1), POWER_W) if isinstance(self.evses, int) else self.evses
