"""What is offered in OCPI 2.3.0, and what a partner offers."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from roaming.hubs.clients import hub_party
from roaming.models import Partner
from roaming.ocpi.party_credentials import Endpoint
from roaming.ocpi.v2_3_0.credentials import schemas
from roaming.ocpi.v2_3_0.credentials.reading import read_version_details
from roaming.ocpi.v2_3_0.credentials.schemas import InterfaceRole
from roaming.switches import switch

VERSION = "2.3.0"
BOOKING_NAMES = {"both": ("Booking", "bookings"), "Booking": ("Booking",), "bookings": ("bookings",)}
SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER


def endpoints(partner: Partner) -> list[Endpoint]:
    return [
        *core_endpoints(VERSION),
        *invoice_record_endpoints(VERSION),
        *hub_endpoints(partner, VERSION),
        *booking_endpoints(partner, VERSION),
    ]


def core_endpoints(version: str) -> list[Endpoint]:
    """Sender of what is at our depots, Receiver for our fleets: on bases of their own, because their paths collide."""
    cpo, emsp = f"cpo/{version}", f"emsp/{version}"
    return [
        _endpoint("credentials", SENDER, f"{version}/credentials"),
        _endpoint("locations", SENDER, f"{cpo}/locations"),
        _endpoint("locations", RECEIVER, f"{emsp}/locations"),
        _endpoint("tokens", RECEIVER, f"{cpo}/tokens"),
        _endpoint("tokens", SENDER, f"{emsp}/tokens"),
        _endpoint("sessions", SENDER, f"{cpo}/sessions"),
        _endpoint("sessions", RECEIVER, f"{emsp}/sessions"),
        _endpoint("cdrs", SENDER, f"{cpo}/cdrs"),
        _endpoint("cdrs", RECEIVER, f"{emsp}/cdrs"),
        _endpoint("tariffs", SENDER, f"{cpo}/tariffs"),
        _endpoint("tariffs", RECEIVER, f"{emsp}/tariffs"),
        _endpoint("commands", RECEIVER, f"{cpo}/commands"),
        _endpoint("commands", SENDER, f"{emsp}/commands"),
        _endpoint("chargingprofiles", RECEIVER, f"{cpo}/chargingprofiles"),
        _endpoint("chargingprofiles", SENDER, f"{emsp}/chargingprofiles"),
    ]


def invoice_record_endpoints(version: str) -> list[Endpoint]:
    """One address for both sides: who invoices may be either."""
    path = f"{version}/invoicereconciliation"
    return [
        _endpoint("invoicereconciliation", SENDER, path),
        _endpoint("invoicereconciliation", RECEIVER, path),
    ]


def hub_endpoints(partner: Partner, version: str) -> list[Endpoint]:
    """What only a hub has use for; one address for both sides, as it is about neither."""
    if hub_party(partner) is None:
        return []
    return [_endpoint("hubclientinfo", RECEIVER, f"{version}/hubclientinfo")]


def booking_endpoints(partner: Partner, version: str) -> list[Endpoint]:
    names = BOOKING_NAMES.get(str(switch(partner, "booking_identifiers")), BOOKING_NAMES["both"])
    if agreed := str(switch(partner, "booking_custom_identifier")):
        names = (agreed,)
    return [
        *(_endpoint(name, SENDER, f"cpo/{version}/bookings") for name in names),
        *(_endpoint(name, RECEIVER, f"emsp/{version}/bookings") for name in names),
    ]


def write_endpoints(partner: Partner) -> dict[str, Any]:
    return version_details(VERSION, endpoints(partner))


def version_details(version: str, offered: list[Endpoint]) -> dict[str, Any]:
    """Of the versions module."""
    written = [schemas.Endpoint.model_validate(one) for one in offered]
    return schemas.VersionDetails(version=version, endpoints=written).wire()


def read_endpoints(raw: Any) -> list[Endpoint]:
    """Raises UnreadableError; what cannot be read of an endpoint (one without role, say) leaves it out."""
    details = read_version_details(raw).value
    return [{"identifier": e.identifier, "role": e.role.value, "url": e.url} for e in details.endpoints]


def _endpoint(identifier: str, role: InterfaceRole, path: str) -> Endpoint:
    return {
        "identifier": identifier,
        "role": role.value,
        "url": f"{settings.BERTH_BASE_URL}/ocpi/{path}",
    }
