"""Plug & Charge: whose contracts an operator's chargers take, and how they are checked."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.errors import BookingError, ChangedMeanwhile
from bookings.pages import access
from bookings.pages.forms.row_versions import with_versions
from bookings.pages.forms.trusted_root import TrustedRootForm
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version, version_of
from depots.models import Organisation, TrustedRoot
from depots.operations.trusted_roots import NotARoot, distrust_root, trust_root
from depots.pages import done, respond

LIST = "bookings:trusted_roots"


@never_cache
@login_required
@require_safe
def roots(request: HttpRequest) -> HttpResponse:
    return _list(request)


@login_required
@require_POST
def add(request: HttpRequest, operator_id: int) -> HttpResponse:
    operator = access.run_operator(request.user, operator_id)
    form = TrustedRootForm(request.POST, request.FILES, operator=operator)
    if form.is_valid():
        try:
            root, is_new = trust_root(operator=operator, pem=form.cleaned_data["file"], now=timezone.now())
        except NotARoot as refusal:
            form.add_error("file", str(refusal))
        else:
            words = "is trusted from now on" if is_new else "was trusted already"
            return done(request, reverse(LIST), f"{root.common_name} {words}.")
    return _list(request, form, status=422)


@login_required
@require_POST
def remove(request: HttpRequest, root_id: int) -> HttpResponse:
    root = access.trusted_root(request.user, root_id)
    try:
        if seen_version(request.POST) != version_of(root):
            raise ChangedMeanwhile(f"{root.common_name} is another root by now.")
        distrust_root(operator=root.operator, fingerprint=root.fingerprint)
    except BookingError as refusal:
        return _list(request, refusal=words_of(refusal), status=status_of(refusal))
    words = f"{root.common_name} is trusted no more: contracts below it are refused."
    return done(request, reverse(LIST), words)


def _list(
    request: HttpRequest, form: TrustedRootForm | None = None, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    """`form` is one that was refused; each operator without one is shown an empty one."""
    operators = access.run_operators(request.user)
    roots = with_versions(TrustedRoot.objects.filter(operator__in=operators))
    context = {
        "operators": [
            (
                operator,
                [(root, version) for root, version in roots if root.operator_id == operator.pk],
                _form_of(operator, form),
            )
            for operator in operators
        ],
        "refusal": refusal,
        "now": timezone.now(),
        "revocation_service": settings.REVOCATION_SERVICE,
        "certificate_provider": settings.EV_CERTIFICATE_PROVIDER,
    }
    return respond(request, "bookings/trusted_roots/roots", context, status)


def _form_of(operator: Organisation, refused: TrustedRootForm | None) -> TrustedRootForm:
    if refused is not None and refused.operator == operator:
        return refused
    return TrustedRootForm(operator=operator)
