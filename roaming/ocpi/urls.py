"""Every address below /ocpi. Each side has a base of its own: the paths of Sender and Receiver would collide."""

from ninja import NinjaAPI

from roaming.ocpi import envelope
from roaming.ocpi.v2_3_0 import bookings_sender, credentials, locations_sender, receiver, versions

api = NinjaAPI(title="OCPI", urls_namespace="ocpi", docs_url=None, openapi_url=None)
envelope.install(api)
api.add_router("", versions.router)
api.add_router("/2.3.0/credentials", credentials.router)
api.add_router("/cpo/2.3.0/locations", locations_sender.router)
api.add_router("/cpo/2.3.0/bookings", bookings_sender.router)
api.add_router("/emsp/2.3.0/bookings", receiver.router)

urlpatterns = api.urls[0]
