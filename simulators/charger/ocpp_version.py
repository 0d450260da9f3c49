"""What the languages of a simulated charger have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from depots.ocpp.wire import Answerer
    from simulators.charger.charger import SimulatedCharger
    from simulators.charger.station import Token, Transaction

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What the CSMS says of a token: its status as sent, the group it belongs to, the EVSEs it may use (none: all)."""

    status: str = "Accepted"
    group: str = ""
    evses: tuple[int, ...] = ()

    @property
    def is_accepted(self) -> bool:
        return self.status == "Accepted"

    def allows(self, evse: int) -> bool:
        return self.is_accepted and (not self.evses or evse in self.evses)


class Talk(Protocol):
    """A version of OCPP as a charger speaks it: CALLs for what happened, answers to what is asked of it."""

    version: str

    def boot(self, reason: str) -> Call: ...
    def status(self, evse: int) -> Call: ...
    def authorize(self, token: Token) -> Call: ...
    def started(self, transaction: Transaction, *, is_offline: bool) -> Call: ...
    def sampled(self, transaction: Transaction, *, is_offline: bool) -> Call: ...
    def ended(self, transaction: Transaction, reason: str, *, is_offline: bool) -> Call: ...
    def verdict(self, answer: dict[str, Any]) -> Verdict: ...
    def reservation_over(self, reservation_id: int, outcome: str) -> Call | None: ...
    def answers(self, charger: SimulatedCharger) -> Mapping[str, Answerer]: ...
