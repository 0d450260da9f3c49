"""Every address below /ocpi. Each side has a base of its own: the paths of Sender and Receiver would collide."""

from ninja import NinjaAPI

from roaming.ocpi import envelope, versions
from roaming.ocpi.v2_3_0 import urls as v2_3_0

api = NinjaAPI(title="OCPI", urls_namespace="ocpi", docs_url=None, openapi_url=None)
envelope.install(api)
api.add_router("", versions.router)
for version in (v2_3_0,):
    for path, router in version.ROUTERS.items():
        api.add_router(path, router)

urlpatterns = api.urls[0]
