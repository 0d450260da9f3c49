"""How a person gets in: the forms, the one-time link that sets a first password, and the answer to too many tries."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from depots import pages
from depots.models import User


class SignInForm(forms.Form):
    """`login` is an e-mail address; whoever has it is found whatever the case of its letters."""

    login = forms.CharField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True, "inputmode": "email"}),
    )
    password = forms.CharField(
        label="Password",
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: User | None = None

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if "login" in given and "password" in given:
            # In lower case, or each spelling of one address would have tries of its own.
            found = authenticate(self.request, username=given["login"].lower(), password=given["password"])
            if not isinstance(found, User):
                raise forms.ValidationError("This e-mail address and password do not belong together.")
            self.user = found
        return given


class NewPasswordForm(SetPasswordForm):
    """Twice the same new password, good enough for the validators."""


def set_password_url(user: User) -> str:
    """The path of a page where this person sets a password: signed, good once and for PASSWORD_RESET_TIMEOUT.

    The signature covers the present password and last sign-in, so either ends the link.
    """
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("depots:set_password", args=[uid, default_token_generator.make_token(user)])


def user_of_link(uid: str, token: str) -> User | None:
    """Whom a link lets set a password, locked for it; None for one that was used, changed or has run out."""
    try:
        pk = int(urlsafe_base64_decode(uid))
    except ValueError:
        return None
    user = User.objects.select_for_update().filter(pk=pk, is_active=True).first()
    return user if user is not None and default_token_generator.check_token(user, token) else None


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """What django-axes answers after too many wrong passwords: the sign-in page, saying so."""
    form = SignInForm(request, initial={"login": (credentials or {}).get("username", "")})
    return pages.respond(request, "account/sign_in", {"form": form, "is_locked_out": True}, status=429)


def slowed_down(request: HttpRequest, wait_s: int) -> HttpResponse:
    """The answer where many names were tried from one address: the sign-in page, with the seconds to wait."""
    form = SignInForm(request, initial={"login": request.POST.get("login", "")[:254]})
    response = pages.respond(request, "account/sign_in", {"form": form, "wait_s": wait_s}, status=429)
    response["Retry-After"] = str(wait_s)
    return response
