"""Pages, scripts and styles leave compressed where the client takes it."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

COMPRESSED = frozenset(
    {
        "application/javascript", "application/json", "application/problem+json", "image/svg+xml", "text/css",
        "text/html", "text/javascript", "text/plain",
    }
)  # fmt: skip


class CompressText(GZipMiddleware):
    """Django's own, with its random padding against guessing at secrets by length, for what gains by it.

    Fonts and pictures are compressed already. Below /ocpi answers go as they are: partners' clients differ in what they
    announce and what they read.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in COMPRESSED or request.path_info.startswith("/ocpi"):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed
