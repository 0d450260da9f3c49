"""What a fleet owes a network under reverse billing, it invoices itself."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.run import bill
from bookings.errors import BookingError
from bookings.pages import access, money_access
from bookings.pages.forms.invoices import SelfBillForm
from bookings.pages.reconciliation_steps import books_url
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version
from depots.pages import done, respond


@login_required
@require_POST
def write(request: HttpRequest) -> HttpResponse:
    """The invoice of a month that is over."""
    form, status = SelfBillForm(request.POST, customers=money_access.accountant(request.user)), 422
    if form.is_valid():
        customer, supplier, month = (form.cleaned_data[name] for name in ("customer", "supplier", "month"))
        try:
            billed = bill(
                operator=supplier, month=month, customer_id=customer.pk, seen_version=seen_version(request.POST),
                actor=access.as_dispatcher(request.user), now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            form.add_error(None, words_of(refusal))
            status = status_of(refusal)
        else:
            made = [one.invoice.number for one in billed.documents if one.created]
            left = "".join(f" {name} is not billed. {why}" for name, why in billed.refused.items())
            words = f"{' and '.join(made)} written." if made else "Nothing is left to be invoiced."
            return done(request, books_url(Books(customer.pk, Side.PAYABLE, month)), f"{words}{left}")
    return respond(request, "bookings/reconciliation/self_billed", {"form": form}, status)
