"""Where chargers send what they were asked for: an address of one use each, which nobody guesses."""

from __future__ import annotations

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from depots.operations.charger_uploads import UploadNotAwaited, is_awaited, keep_upload

LARGEST_FILE = 20 * 1024 * 1024


@csrf_exempt  # the secret in the address is all a charger has; it has no session that could be misused
@never_cache
@require_http_methods(["HEAD", "PUT", "POST"])
def charger_upload(request: HttpRequest, token: str, name: str = "") -> HttpResponse:
    """Take one file, as the body or as the one file of a form. 404 for an address that is none, was used, or is over;
    HEAD asks whether it is, before a file is sent (204 where it is open)."""
    if not is_awaited(token, now=timezone.now()):  # before anything of it is read
        return _sentence("No file is awaited here.", 404)
    if request.method == "HEAD":
        return HttpResponse(status=204)
    content, sent_name = _sent(request)
    if not content:
        return _sentence("There is nothing in it.", 400)
    if len(content) > LARGEST_FILE:
        return _sentence("The file is too large.", 413)
    try:
        keep_upload(token=token, name=name or sent_name, content=content, now=timezone.now())
    except UploadNotAwaited:
        return _sentence("No file is awaited here.", 404)
    return HttpResponse(status=201)


def _sent(request: HttpRequest) -> tuple[bytes, str]:
    """The file and its name, as far as it is told; one byte too many of what is too large."""
    if request.content_type != "multipart/form-data":
        return request.read(LARGEST_FILE + 1), ""
    for sent in request.FILES.values():
        if isinstance(sent, UploadedFile):
            return sent.read(LARGEST_FILE + 1), sent.name or ""
    return b"", ""


def _sentence(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain")
