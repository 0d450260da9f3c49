"""Credentials, versions and version details as partners send them."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.shapes import PLAIN, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.credentials.schemas import Credentials, VersionDetails
from roaming.ocpi.wire_object import Notes, Read


def read_credentials(raw: Any) -> Read[Credentials]:
    notes = Notes()
    return read_shaped(Credentials, shaped_as(raw, PLAIN, notes), notes)


def read_version_details(raw: Any) -> Read[VersionDetails]:
    """Endpoints that cannot be read (without role, say) are left out and noted."""
    notes = Notes()
    return read_shaped(VersionDetails, shaped_as(raw, PLAIN, notes), notes)
