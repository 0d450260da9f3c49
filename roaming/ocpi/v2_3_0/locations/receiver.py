"""Locations, Receiver: partners push their depots, EVSEs and connectors (OCPI 2.3.0 mod_locations, Receiver Interface)."""

from __future__ import annotations

from typing import Any

from roaming.mirror import partner_places
from roaming.mirror.kept_objects import LOCATION
from roaming.mirror.values import ToldPlace
from roaming.ocpi.client_owned import Asked, ClientOwned, Inside, routes_of
from roaming.ocpi.v2_3_0.locations import reading
from roaming.ocpi.wire_object import Read


class Locations(ClientOwned[ToldPlace]):
    """Locations with EVSEs inside, and connectors inside these. There is no DELETE: an EVSE becomes REMOVED."""

    kind = LOCATION
    shape = reading.LOCATION
    inside = Inside("evses", "uid", reading.EVSE, Inside("connectors", "id", reading.CONNECTOR))

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[ToldPlace]:
        return asked.dialect.locations.read(raw)

    def read_inside(self, asked: Asked, depth: int, raw: dict[str, Any]) -> None:
        if depth == 1:
            reading.read_evse(raw)
        else:
            reading.read_connector(raw)

    def names(self, told: ToldPlace) -> tuple[str, ...]:
        return (told.location_id,)

    def adopt(self, asked: Asked, read: Read[ToldPlace], raw: dict[str, Any]) -> bool:
        return partner_places.adopt_place(asked.partner, read, raw, now=asked.now).is_new


routes = routes_of(Locations())
