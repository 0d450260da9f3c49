"""Every address below /ocpi. Each side has a base of its own: the paths of Sender and Receiver would collide."""

from ninja import NinjaAPI

from roaming.ocpi import envelope, versions
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.v2_2_1 import urls as v2_2_1
from roaming.ocpi.v2_3_0 import urls as v2_3_0

ROUTERS = {"2.3.0": v2_3_0.routers, "2.2.1": v2_2_1.routers}

api = NinjaAPI(title="OCPI", urls_namespace="ocpi", docs_url=None, openapi_url=None)
envelope.install(api)
api.add_router("", versions.router)
for version, routers in ROUTERS.items():
    for path, router in routers(DIALECTS[version]).items():
        api.add_router(path, router)

urlpatterns = api.urls[0]
