"""The address book: which app answers below which path."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from config import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.live),
    path("readyz", health.ready),
    path("metrics", health.metrics),
]
for prefix, module in [("", "depots.urls"), ("", "bookings.urls"), ("ocpi/", "roaming.ocpi.urls")]:
    if find_spec(module.rpartition(".")[0]) and find_spec(module):
        urlpatterns.append(path(prefix, include(module)))
