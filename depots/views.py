from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from depots import accounts, navigation, pages
from depots.models import User

BACKEND = "django.contrib.auth.backends.ModelBackend"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    if pages.wants_part(request):  # a part of a page whose session has ended: the whole page goes to sign in
        return HttpResponseClientRedirect(request.get_full_path())
    if isinstance(request.user, User):
        return redirect(_next(request, request.user))
    form = accounts.SignInForm(request, request.POST if request.method == "POST" else None)
    if form.is_valid() and form.user is not None:
        login(request, form.user)
        return redirect(_next(request, form.user))
    status = 422 if form.is_bound else 200
    return pages.respond(request, "account/sign_in", {"form": form, "next": _asked(request)}, status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    # One transaction: who hears of the sign-out (open streams do) finds the session gone.
    with transaction.atomic():
        logout(request)
    messages.success(request, "You are signed out.")
    return redirect("depots:sign_in")


@never_cache
@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change_password(request: HttpRequest) -> HttpResponse:
    form = PasswordChangeForm(cast(User, request.user), request.POST if request.method == "POST" else None)
    if form.is_valid():
        with transaction.atomic():
            user = form.save()
            update_session_auth_hash(request, user)
        return pages.done(
            request, navigation.home(user), "Your password is changed. Other devices are signed out."
        )
    return pages.respond(request, "account/password", {"form": form}, 422 if form.is_bound else 200)


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@transaction.atomic
def set_password(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """The page of a one-time link. The row stays locked, so that two uses of one link are one after the other."""
    user = accounts.user_of_link(uid, token)
    if user is None:
        return pages.respond(request, "account/link_over", status=410)
    form = accounts.NewPasswordForm(user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.save()
        login(request, user, backend=BACKEND)
        return redirect(navigation.home(user))
    return pages.respond(
        request, "account/set_password", {"form": form, "person": user}, 422 if form.is_bound else 200
    )


@never_cache
@login_required
@require_safe
def navigation_part(request: HttpRequest) -> HttpResponse:
    """The shell's links as they are now, for a page that was cut off and may show old numbers."""
    return render(request, "components/_nav.html")


def _asked(request: HttpRequest) -> str:
    """Where somebody was going when asked to sign in; empty when that is not one of our pages."""
    to = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(to, {request.get_host()}, require_https=request.is_secure())
    return to if safe and to.startswith("/") else ""


def _next(request: HttpRequest, user: User) -> str:
    return _asked(request) or navigation.home(user)
