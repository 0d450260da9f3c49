"""How customers pay an operator, by agreement."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bookings.billing.payment_terms import payment_terms_of, payment_terms_version, set_payment_terms
from bookings.errors import ChangedMeanwhile
from bookings.pages import money_access
from bookings.pages.forms.payment_terms import PaymentTermsForm
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.models import Agreement
from depots.pages import done, respond


@never_cache
@login_required
@require_safe
def agreements(request: HttpRequest, organisation_id: int) -> HttpResponse:
    """Every agreement in force at its depots."""
    organisation = money_access.account(request.user, organisation_id)
    rows = Agreement.objects.in_force(timezone.now()).filter(
        depot__operator=organisation, depot__is_mirror=False
    )
    context = {
        "organisation": organisation,
        "agreements": rows.select_related("depot", "guest", "payment_terms").order_by(
            "depot__name", "guest__name"
        ),
    }
    return respond(request, "bookings/invoices/agreements", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def agreement(request: HttpRequest, agreement_id: int) -> HttpResponse:
    found = money_access.account_agreement(request.user, agreement_id)
    terms = payment_terms_of(found)
    form = PaymentTermsForm(request.POST if request.method == "POST" else None, terms=terms)
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            set_payment_terms(
                agreement=found, terms=form.cleaned_data, seen_version=seen_version(request.POST)
            )
        except ChangedMeanwhile as refusal:
            form.add_error(None, str(refusal))
            status = status_of(refusal)
        else:
            return done(request, reverse("bookings:payment_terms", args=[found.depot.operator_id]), "Saved.")
    context = {"agreement": found, "form": form, "version": payment_terms_version(terms)}
    return respond(request, "bookings/invoices/agreement", context, status)
