"""What we offer, and where (ocpi.md §1.1, §1.2)."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from roaming.models import Partner
from roaming.ocpi.auth import anybody_known, partner_of
from roaming.ocpi.envelope import ok
from roaming.ocpi.v2_3_0.credentials.schemas import Endpoint, InterfaceRole, Version, VersionDetails
from roaming.switches import switch

VERSION = "2.3.0"
BOOKING_NAMES = {"both": ("Booking", "bookings"), "Booking": ("Booking",), "bookings": ("bookings",)}
router = Router(auth=anybody_known)


@router.get("/versions")
def versions(request: HttpRequest) -> HttpResponse:
    return ok([Version(version=VERSION, url=_url(VERSION))])


@router.get(f"/{VERSION}")
def details(request: HttpRequest) -> HttpResponse:
    return ok(details_for(partner_of(request)))


def details_for(partner: Partner) -> VersionDetails:
    """Sender of what is at our depots, Receiver for our fleets: on bases of their own, because their paths collide."""
    names = BOOKING_NAMES.get(str(switch(partner, "booking_identifiers")), BOOKING_NAMES["both"])
    sender, receiver = InterfaceRole.SENDER, InterfaceRole.RECEIVER
    cpo, emsp = f"cpo/{VERSION}", f"emsp/{VERSION}"
    return VersionDetails(
        version=VERSION,
        endpoints=[
            Endpoint(identifier="credentials", role=sender, url=_url(f"{VERSION}/credentials")),
            Endpoint(identifier="locations", role=sender, url=_url(f"{cpo}/locations")),
            *(Endpoint(identifier=name, role=sender, url=_url(f"{cpo}/bookings")) for name in names),
            *(Endpoint(identifier=name, role=receiver, url=_url(f"{emsp}/bookings")) for name in names),
        ],
    )


def _url(path: str) -> str:
    return f"{settings.BERTH_BASE_URL}/ocpi/{path}"
