"""Where each module of 2.3.0 answers, below /ocpi; `versions.mapping.endpoints` says the same to partners."""

from ninja import Router

from roaming.ocpi.v2_3_0.bookings import receiver as bookings_receiver
from roaming.ocpi.v2_3_0.bookings import sender as bookings_sender
from roaming.ocpi.v2_3_0.credentials import endpoint as credentials
from roaming.ocpi.v2_3_0.locations import sender as locations_sender
from roaming.ocpi.v2_3_0.versions.mapping import VERSION

ROUTERS: dict[str, Router] = {
    f"/{VERSION}/credentials": credentials.router,
    f"/cpo/{VERSION}/locations": locations_sender.router,
    f"/cpo/{VERSION}/bookings": bookings_sender.router,
    f"/emsp/{VERSION}/bookings": bookings_receiver.router,
}
