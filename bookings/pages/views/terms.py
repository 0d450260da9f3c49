"""The terms of a depot, for whoever runs it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from bookings.errors import BookingError, TermsImpossible
from bookings.operations.set_terms import set_terms, terms_of, terms_version
from bookings.pages import access
from bookings.pages.forms.terms import TermsForm
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.pages import done, respond


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def terms(request: HttpRequest, code: str) -> HttpResponse:
    depot = access.run_depot(request.user, code)
    own = terms_of(depot)
    posted = request.POST if request.method == "POST" else None
    form = TermsForm(posted, terms=own, fallbacks=depot.fallbacks)
    status = 200 if request.method != "POST" else 422
    if form.is_valid():
        try:
            set_terms(
                depot=depot, terms=form.terms, fallbacks=form.fallbacks,
                seen_version=seen_version(request.POST), now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            form.add_error(refusal.term if isinstance(refusal, TermsImpossible) else None, str(refusal))
            status = status_of(refusal)
        else:
            told = "The terms hold for bookings made from now on."
            return done(request, reverse("bookings:yard", args=[depot.code]), told)
    return respond(
        request,
        "bookings/terms/terms",
        {"depot": depot, "form": form, "version": terms_version(depot)},
        status,
    )
