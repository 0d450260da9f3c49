"""How a view answers: a whole page, or for htmx only the part of it that changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request as the middleware leaves it."""

    htmx: HtmxDetails


def respond(
    request: HttpRequest, page: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Render `page` ("bookings/slots"): `bookings/slots.html`, or for htmx its part `bookings/_slots.html`.

    Messages waiting for the user travel with either; a part carries them in a header, as toasts. The extra tag of a message
    is what its button *Undo* sends.
    """
    part = wants_part(request)
    response = render(request, _template(page, part), dict(context or {}), status=status)
    # Two answers live at one address: no cache may give one for the other.
    patch_vary_headers(response, ["HX-Request"])
    return _with_toasts(request, response) if part else response


def done(request: HttpRequest, to: str, message: str = "", *, undo: str = "") -> HttpResponse:
    """The answer to a change that worked: on to `to`, with a word about it and, where it can be, a button to undo it.

    A dialog on the very page it leads to is closed instead, and the page's live parts load themselves again.
    """
    if message:
        messages.success(request, message, extra_tags=undo)
    if not wants_part(request):
        return redirect(to)
    if _shown_path(request) != urlsplit(to).path:
        return HttpResponseClientRedirect(to)
    response = _with_toasts(request, HttpResponse(status=204))
    return trigger_client_event(trigger_client_event(response, "berth:close"), "berth:resync")


def wants_part(request: HttpRequest) -> bool:
    """Is this htmx asking for a part? A boosted link and a step back in history want the whole page."""
    htmx = cast(HtmxRequest, request).htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def _template(page: str, part: bool) -> str:
    folder, _, name = page.rpartition("/")
    name = f"_{name}.html" if part else f"{name}.html"
    return f"{folder}/{name}" if folder else name


def _shown_path(request: HttpRequest) -> str:
    """The path of the page htmx asks from, as far as it says; any header may stand there."""
    try:
        return urlsplit(cast(HtmxRequest, request).htmx.current_url or "").path
    except ValueError:
        return ""


def _with_toasts(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    notes = [
        {"level": note.level_tag, "text": str(note), "undo": note.extra_tags or ""}
        for note in messages.get_messages(request)
    ]
    return trigger_client_event(response, "berth:toasts", {"toasts": notes}) if notes else response
