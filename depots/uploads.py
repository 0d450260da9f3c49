"""Where chargers send what they were asked for: an address of one use each, which nobody guesses."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from depots.models import ChargerUpload
from depots.secrets import hash_token_under_each_key

LARGEST_FILE = 20 * 1024 * 1024
LONGEST_NAME = 120
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@csrf_exempt  # the secret in the address is all a charger has; it has no session that could be misused
@never_cache
@require_http_methods(["HEAD", "PUT", "POST"])
def charger_upload(request: HttpRequest, token: str, name: str = "") -> HttpResponse:
    """Take one file, as the body or as the one file of a form. 404 for an address that is none, was used, or is over;
    HEAD asks whether it is, before a file is sent (204 where it is open)."""
    if request.method == "HEAD":
        return HttpResponse(status=204 if _awaited(token, timezone.now()).exists() else 404)
    content, sent_name = _sent(request)
    name = name or sent_name
    if not content:
        return HttpResponse("There is nothing in it.\n", status=400, content_type="text/plain")
    if len(content) > LARGEST_FILE:
        return HttpResponse("The file is too large.\n", status=413, content_type="text/plain")
    keep_upload(token=token, name=name, content=content, now=timezone.now())
    return HttpResponse(status=201)


def _sent(request: HttpRequest) -> tuple[bytes, str]:
    """The file and its name, as far as it is told; one byte too many of what is too large."""
    if request.content_type != "multipart/form-data":
        return request.read(LARGEST_FILE + 1), ""
    for sent in request.FILES.values():
        if isinstance(sent, UploadedFile):
            return sent.read(LARGEST_FILE + 1), sent.name or ""
    return b"", ""


def keep_upload(*, token: str, name: str, content: bytes, now: datetime) -> ChargerUpload:
    """Raises Http404 where nothing is awaited under this secret."""
    with transaction.atomic():
        upload = _awaited(token, now).select_for_update(no_key=True).first()
        if upload is None:
            raise Http404
        upload.name = _safe(name) or f"charger-log-{upload.command_id}"
        upload.content, upload.size, upload.received_at = content, len(content), now
        upload.save()
    return upload


def _awaited(token: str, now: datetime) -> QuerySet[ChargerUpload]:
    """The one of this secret, while it is open."""
    return ChargerUpload.objects.filter(
        secret_hash__in=hash_token_under_each_key(token), received_at__isnull=True, open_until__gt=now
    )


def forget_old_uploads(*, now: datetime, kept_days: int = 30) -> int:
    """Logs are kept for a month; an address nobody used goes with them."""
    old = ChargerUpload.objects.filter(open_until__lt=now - timedelta(days=kept_days))
    return old.delete()[0]


def _safe(name: str) -> str:
    return _ODD.sub("_", name.rsplit("/", 1)[-1]).strip("._")[-LONGEST_NAME:]
