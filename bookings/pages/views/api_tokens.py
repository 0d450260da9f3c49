"""Tokens for the JSON API: an organisation's administrators see, make and revoke them."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.pages import access
from bookings.pages.forms.api_token import ApiTokenForm
from depots.models import ApiToken, Organisation
from depots.operations.api_tokens import make_api_token, revoke_api_token
from depots.operations.organisations import OrganisationError
from depots.pages import done, respond

LIST = "bookings:api_tokens"


@never_cache
@login_required
@require_safe
def tokens(request: HttpRequest) -> HttpResponse:
    return _list(request)


@never_cache
@login_required
@require_POST
def add(request: HttpRequest, organisation_id: int) -> HttpResponse:
    """The answer shows the token; it is shown this once."""
    organisation = access.administered(request.user, organisation_id)
    form = ApiTokenForm(request.POST, organisation=organisation)
    if form.is_valid():
        try:
            _, token = make_api_token(organisation=organisation, **form.cleaned_data, now=timezone.now())
        except OrganisationError as refusal:
            form.add_error("name", str(refusal))
        else:
            return _list(request, made=token)
    return _list(request, form, status=422)


@login_required
@require_POST
def revoke(request: HttpRequest, api_token_id: int) -> HttpResponse:
    found = access.api_token(request.user, api_token_id)
    revoke_api_token(token_id=found.pk, now=timezone.now())
    return done(request, reverse(LIST), f"{found} opens nothing any more.")


def _list(
    request: HttpRequest, form: ApiTokenForm | None = None, *, made: str = "", status: int = 200
) -> HttpResponse:
    """`form` is one that was refused; each organisation without one is shown an empty one."""
    organisations = access.organisations_administered(request.user)
    rows = list(ApiToken.objects.filter(organisation__in=organisations))
    context = {
        "organisations": [
            (organisation, [row for row in rows if row.organisation_id == organisation.pk], _form(organisation, form))
            for organisation in organisations
        ],
        "made": made,
    }  # fmt: skip
    return respond(request, "bookings/api_tokens/tokens", context, status)


def _form(organisation: Organisation, refused: ApiTokenForm | None) -> ApiTokenForm:
    if refused is not None and refused.organisation == organisation:
        return refused
    return ApiTokenForm(organisation=organisation)
