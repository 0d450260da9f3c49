"""What an invoice must say of an organisation, for whoever keeps its accounts."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from bookings.billing.errors import ParticularsInvalid
from bookings.billing.particulars import particulars_version, set_particulars
from bookings.errors import BookingError
from bookings.pages import money_access
from bookings.pages.forms.particulars import ParticularsForm
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.models import Organisation
from depots.pages import done, respond


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def particulars(request: HttpRequest, organisation_id: int) -> HttpResponse:
    organisation = money_access.account(request.user, organisation_id)
    if request.method != "POST":
        return _page(request, organisation, ParticularsForm(organisation=organisation), 200)
    form = ParticularsForm(request.POST, organisation=organisation)
    status = 422
    if form.is_valid():
        try:
            set_particulars(
                organisation_id=organisation.pk,
                particulars=form.cleaned_data,
                seen_version=seen_version(request.POST),
            )
        except ParticularsInvalid as refusal:
            for name, fault in refusal.faults.items():
                form.add_error(name, fault)
        except BookingError as refusal:
            form.add_error(None, str(refusal))
            status = status_of(refusal)
        else:
            return done(request, reverse("bookings:particulars", args=[organisation.pk]), "Saved.")
    return _page(request, organisation, form, status)


def _page(
    request: HttpRequest, organisation: Organisation, form: ParticularsForm, status: int
) -> HttpResponse:
    context = {"organisation": organisation, "form": form, "version": particulars_version(organisation)}
    return respond(request, "bookings/invoices/particulars", context, status)
