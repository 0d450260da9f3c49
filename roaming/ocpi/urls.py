"""Every address below /ocpi. Each side has a base of its own: the paths of Sender and Receiver would collide."""

from ninja import NinjaAPI

from roaming.ocpi import envelope
from roaming.ocpi.v2_3_0.bookings import receiver as bookings_receiver
from roaming.ocpi.v2_3_0.bookings import sender as bookings_sender
from roaming.ocpi.v2_3_0.credentials import endpoint as credentials
from roaming.ocpi.v2_3_0.locations import sender as locations_sender
from roaming.ocpi.v2_3_0.versions import endpoint as versions

api = NinjaAPI(title="OCPI", urls_namespace="ocpi", docs_url=None, openapi_url=None)
envelope.install(api)
api.add_router("", versions.router)
api.add_router("/2.3.0/credentials", credentials.router)
api.add_router("/cpo/2.3.0/locations", locations_sender.router)
api.add_router("/cpo/2.3.0/bookings", bookings_sender.router)
api.add_router("/emsp/2.3.0/bookings", bookings_receiver.router)

urlpatterns = api.urls[0]
