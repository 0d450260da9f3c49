"""A person's inbox, and what they want to hear."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.errors import ChangedMeanwhile
from bookings.models import InboxMessage
from bookings.notifications import inbox, settings, wording
from bookings.pages.forms.telling import NotificationsForm
from bookings.rules.content_version import seen_version, version_of
from depots.models import User
from depots.pages import done, respond

A_PAGE = 50


@never_cache
@login_required
@require_safe
def messages(request: HttpRequest) -> HttpResponse:
    user = person(request)
    language = settings.language_of(user)
    page = Paginator(inbox.messages_of(user), A_PAGE).get_page(request.GET.get("page"))
    told = [(row, wording.sentence(row.kind, row.params, language)) for row in page]
    context = {
        "page": page,
        "messages_told": told,
        "newest": max((row.pk for row, _ in told), default=0),
        "has_unread": any(row.read_at is None for row, _ in told),
        "language": language,
    }
    return respond(request, "telling/inbox", context)


@login_required
@require_POST
def open_message(request: HttpRequest, message_id: int) -> HttpResponse:
    """Mark it read, and go to what it is about."""
    user = person(request)
    found = InboxMessage.objects.filter(user=user, pk=message_id).first()
    if found is None:
        raise Http404
    inbox.mark_read(user=user, ids=[found.pk], now=timezone.now())
    is_ours = found.link.startswith("/") and url_has_allowed_host_and_scheme(found.link, None)
    return redirect(found.link if is_ours else reverse("telling:inbox"))


@login_required
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """All up to the newest that the page showed: what came meanwhile stays unread."""
    user = person(request)
    newest = str(request.POST.get("newest", ""))
    if not (newest.isascii() and newest.isdigit() and len(newest) < 19):
        return redirect("telling:inbox")
    shown = inbox.messages_of(user).filter(pk__lte=int(newest), read_at=None).values_list("pk", flat=True)
    inbox.mark_read(user=user, ids=list(shown), now=timezone.now())
    return done(request, reverse("telling:inbox"))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    user = person(request)
    kept, language = settings.settings_of(user), settings.language_of(user)
    version = version_of([language, *([s.kind.name, s.inbox, s.mail] for s in kept)])
    form = NotificationsForm(
        request.POST if request.method == "POST" else None, settings=kept, language=language
    )
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            if seen_version(request.POST) != version:
                raise ChangedMeanwhile("Your settings were changed meanwhile. Look again.")
            settings.choose(user=user, choices=form.choices, language=form.cleaned_data["language"])
        except ChangedMeanwhile as refusal:
            form.add_error(None, str(refusal))
            status = 409
        else:
            return done(request, reverse("telling:notifications"), "Saved.")
    context: dict[str, Any] = {"form": form, "version": version, "language": language}
    return respond(request, "telling/notifications", context, status)


def person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # login_required
    return request.user
