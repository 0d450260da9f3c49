"""The address book: which app answers below which path."""

from django.urls import URLPattern, URLResolver, include, path

from bookings.api.urls import api
from config import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.live),
    path("readyz", health.ready),
    path("metrics", health.tell_metrics),
    path("ocpi/", include("roaming.ocpi.urls")),
    path("api/v1/", api.urls),
    path("", include("roaming.registering.urls")),
    path("", include("roaming.urls")),
    # bookings first: `/` is the day of who is signed in, and bookings passes strangers on to the sign-in of depots.
    path("", include("bookings.pages.urls")),
    path("", include("bookings.pages.telling_urls")),
    path("", include("depots.urls")),
]
