"""The list of versions and the way into each: what stands above versions (OCPI 2.3.0, version_information_endpoint)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from roaming.ocpi.auth import anybody_known, partner_of
from roaming.ocpi.dialect import DIALECTS, Dialect
from roaming.ocpi.envelope import ok
from roaming.ocpi.field_types import OpenName, Url
from roaming.ocpi.shapes import or_none
from roaming.ocpi.wire_object import Notes, Read, UnreadableError, WireObject

router = Router(auth=anybody_known)


class Version(WireObject):
    version: OpenName
    url: Url


def read_versions(raw: Any) -> Read[list[Version]]:
    """Versions we do not know are there too; an entry that cannot be read is left out."""
    notes = Notes()
    if not isinstance(raw, list):
        raise UnreadableError("", "must be a list of versions")
    return Read(
        [v for v in (or_none(Version, one, notes) for one in raw) if v is not None], tuple(notes.names)
    )


@router.get("/versions")
def versions(request: HttpRequest) -> HttpResponse:
    base = f"{settings.BERTH_BASE_URL}/ocpi"
    return ok([Version(version=version, url=f"{base}/{version}") for version in DIALECTS])


def _details_of(dialect: Dialect) -> Callable[[HttpRequest], HttpResponse]:
    def details(request: HttpRequest) -> HttpResponse:
        return ok(dialect.registration.write_endpoints(partner_of(request)))

    return details


for _version, _dialect in DIALECTS.items():
    router.get(f"/{_version}", url_name=f"version-{_version}")(_details_of(_dialect))
