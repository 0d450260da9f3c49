"""What a charger tells of itself beside its sessions: security events, and what is wrong with a part of it. Kept, in order, while
there is no connection, as OCPP asks of both."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simulators.charger.csms_connection import CsmsError, CsmsSilent
from simulators.charger.ocpp_version import Message, write_timestamp

if TYPE_CHECKING:
    from simulators.charger.charger import SimulatedCharger
    from simulators.charger.day_script import PartProblem, SecurityEvent


class Reports:
    def __init__(self, charger: SimulatedCharger) -> None:
        self._charger = charger
        self._kept: deque[Message] = deque()
        self._last_event_id = 0

    async def tell_security_event(self, event: SecurityEvent) -> None:
        """The same in 2.x and in the security extension of 1.6."""
        told = {"type": event.kind, "timestamp": write_timestamp(self._charger.now())}
        info = {"techInfo": event.info} if event.info else {}
        await self._tell(("SecurityEventNotification", {**told, **info}))

    async def tell_problem(self, problem: PartProblem, *, is_over: bool = False) -> None:
        """NotifyEvent of 2.x: an alert of the part, or that it is over."""
        self._last_event_id += 1
        now, evse = (
            write_timestamp(self._charger.now()),
            {"evse": {"id": problem.evse}} if problem.evse else {},
        )
        event = {
            "eventId": self._last_event_id,
            "timestamp": now,
            "trigger": "Alerting",
            "eventNotificationType": "HardWiredMonitor",
            "actualValue": "false" if is_over and problem.value == "true" else problem.value,
            "component": {"name": problem.part, **evse},
            "variable": {"name": problem.variable},
            **({"techCode": problem.code} if problem.code else {}),
            **({"techInfo": problem.info} if problem.info else {}),
            **({"cleared": True} if is_over else {}),
        }
        await self._tell(("NotifyEvent", {"generatedAt": now, "seqNo": 0, "eventData": [event]}))

    async def flush(self) -> None:
        """Send what is kept. What the CSMS refuses is told all the same; what gets no answer stays for the next connection."""
        while self._kept and self._charger.is_connected:
            try:
                await self._charger.call(*self._kept[0])
            except CsmsSilent:
                return
            except CsmsError:
                pass
            self._kept.popleft()

    async def _tell(self, message: Message) -> None:
        self._kept.append(message)
        await self.flush()
