"""Client infos of 2.3.0, as the core asks for them (roaming/ocpi/modules/hub_clients.py)."""

from __future__ import annotations

from typing import Any

from roaming.hubs.clients import ToldClient
from roaming.ocpi.shapes import PLAIN, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.hubclientinfo.schemas import ClientInfo
from roaming.ocpi.wire_object import Notes, Read


def read(raw: Any) -> Read[ToldClient]:
    notes = Notes()
    told = read_shaped(ClientInfo, shaped_as(raw, PLAIN, notes), notes)
    info = told.value
    return Read(
        ToldClient(
            info.country_code.upper(),
            info.party_id.upper(),
            info.role.value,
            info.status.value,
            info.last_updated,
        ),
        told.deviations,
    )
