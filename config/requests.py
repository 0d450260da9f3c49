"""Requests no honest client sends, answered before any page sees them."""

from collections.abc import Callable
from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters

from depots.client_address import client_address


class Utf8Request(WSGIRequest):
    """Everything in it is UTF-8, whatever charset the client names, and a type nobody can read is none.

    Left to itself Django decodes with any codec of Python's: `charset=base64` breaks it before any of our code
    runs, and `charset=unicode_escape` makes characters that no database takes.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Utf8Request


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: nothing is named with a NUL in it, and the database refuses to look for such a name."""

    def answer(request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info:
            raise Http404
        return get_response(request)

    return answer


def name_client(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: REMOTE_ADDR is whoever asks, also behind trusted proxies, whatever server runs us."""

    def answer(request: HttpRequest) -> HttpResponse:
        peer, forwarded_for = request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
        request.META["REMOTE_ADDR"] = client_address(peer, forwarded_for)
        return get_response(request)

    return answer
