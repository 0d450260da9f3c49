"""In what a charger is stubborn: ways of real ones in which a CSMS must not lose a booking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Self

from simulators.charger.script import Json


@dataclass(frozen=True)
class Behaviour:
    """The default is an honest charger. The names are those of a script's `stubborn` (docs/integrators/simulator.md)."""

    occupied: bool = False
    """Every reservation is answered Occupied."""
    lies: bool = False
    """Reservations are accepted and shown, and anybody is let charge."""
    keeps_over_reboot: bool = False
    """Reservations survive a restart."""
    forgets_after_min: float | None = None
    """Reservations are forgotten after so many minutes, without a word."""
    ignores_answers: bool = False
    """A truck charges whatever the CSMS says of its token."""
    ignores_time: bool = False
    """A wrong clock stays wrong whatever time the CSMS tells."""
    clock_s: float = 0
    """How far its clock is ahead, in seconds, from the beginning."""
    refuses: Mapping[str, str] = field(default_factory=dict)
    """By action of the CSMS: a status (`Rejected`), or the code of a CALLERROR (`NotImplemented`)."""
    answers: Mapping[str, Json] = field(default_factory=dict)
    """By action of the CSMS: the payload to answer with."""
    late_s: Mapping[str, float] = field(default_factory=dict)
    """By action of the CSMS, or `*` for all: answers so many seconds late."""
    silent: tuple[str, ...] = ()
    """Actions of the CSMS, or `*`, that get no answer."""
    never_sends: tuple[str, ...] = ()
    """Its own actions that are never sent."""
    oddities: tuple[str, ...] = ()
    """How its firmware writes (oddities.py)."""
    buffer_bytes: int | None = None
    """Longer CALLs of the CSMS are lost."""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From a script's `stubborn`. Raises ValueError."""
        known = {each.name for each in fields(cls)}
        if unknown := ", ".join(sorted(told.keys() - known)):
            raise ValueError(f"no charger is stubborn by {unknown}; there are {', '.join(sorted(known))}")
        texts = {name: tuple(told[name]) for name in ("silent", "never_sends", "oddities") if name in told}
        return cls(**{**told, **texts})

    def standing_answer(self, action: str) -> Json | str | None:
        """What is always answered instead of the truth: a payload, or the code of a CALLERROR."""
        if action in self.answers:
            return self.answers[action]
        if told := self.refuses.get(action):
            return told if told in ERROR_CODES else {"status": told}
        return {"status": "Occupied"} if self.occupied and action == "ReserveNow" else None

    def is_silent(self, action: str) -> bool:
        return action in self.silent or "*" in self.silent

    def delay_s(self, action: str) -> float:
        return self.late_s.get(action, self.late_s.get("*", 0))

    @property
    def forgets_after(self) -> timedelta | None:
        return None if self.forgets_after_min is None else timedelta(minutes=self.forgets_after_min)


# OCPP-J 1.6 §4.2.3 and OCPP 2.0.1 part 4 §4.3, with the spellings in use.
ERROR_CODES = {
    "FormationViolation", "FormatViolation", "GenericError", "InternalError", "MessageTypeNotSupported",
    "NotImplemented", "NotSupported", "OccurenceConstraintViolation", "OccurrenceConstraintViolation",
    "PropertyConstraintViolation", "ProtocolError", "RpcFrameworkError", "SecurityError",
    "TypeConstraintViolation",
}  # fmt: skip
HONEST = Behaviour()
