"""Credentials, versions and version details as partners send them."""

from __future__ import annotations

from typing import Any

from roaming.ocpi.shapes import PLAIN, or_none, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.credentials.schemas import Credentials, Version, VersionDetails
from roaming.ocpi.wire import Notes, Read, UnreadableError


def read_credentials(raw: Any) -> Read[Credentials]:
    notes = Notes()
    return read_shaped(Credentials, shaped_as(raw, PLAIN, notes), notes)


def read_versions(raw: Any) -> Read[list[Version]]:
    """Versions we do not know are there too; an entry that cannot be read is left out."""
    notes = Notes()
    if not isinstance(raw, list):
        raise UnreadableError("", "must be a list of versions")
    return Read(
        [v for v in (or_none(Version, one, notes) for one in raw) if v is not None], tuple(notes.names)
    )


def read_version_details(raw: Any) -> Read[VersionDetails]:
    """Endpoints that cannot be read (without role, say) are left out and noted."""
    notes = Notes()
    return read_shaped(VersionDetails, shaped_as(raw, PLAIN, notes), notes)
