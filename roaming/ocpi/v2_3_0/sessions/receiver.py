"""Sessions, Receiver: partners tell of our trucks' charging at their depots (OCPI 2.3.0 mod_sessions, Receiver Interface)."""

from __future__ import annotations

from typing import Any

from roaming.mirror import partner_places, partner_sessions
from roaming.mirror.kept_objects import SESSION
from roaming.mirror.session_values import ToldSession
from roaming.ocpi.client_owned import Asked, ClientOwned, routes_of
from roaming.ocpi.v2_3_0.sessions.reading import SESSION as SHAPE
from roaming.ocpi.wire_object import Read
from roaming.outbound import pulls


class Sessions(ClientOwned[ToldSession]):
    """There is no DELETE. A PATCH adds to the charging periods, a PUT replaces them."""

    kind = SESSION
    shape = SHAPE
    appended = frozenset({"charging_periods"})

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[ToldSession]:
        return asked.dialect.sessions.read(raw)

    def names(self, told: ToldSession) -> tuple[str, ...]:
        return (told.id,)

    def adopt(self, asked: Asked, read: Read[ToldSession], raw: dict[str, Any]) -> bool:
        adopted = partner_sessions.adopt_session(asked.partner, read, raw, now=asked.now)
        if adopted.session is not None and partner_places.is_stub(adopted.session.depot):
            pulls.soon(asked.partner, now=asked.now)
        return adopted.is_new


routes = routes_of(Sessions())
