"""Files for an organisation's bank, and its statements."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.billing.bank import (
    ReadStatement,
    account_version,
    collectable,
    order_debits,
    order_transfers,
    payable,
    record_statement,
)
from bookings.billing.versions import order_version
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import BankOrder
from bookings.pages import access, money_access
from bookings.pages.forms.invoices import StatementForm
from bookings.pages.tariff_places import zone_of
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import look_again, seen_version
from depots.models import Organisation
from depots.pages import done, respond

SHOWN = 20


@never_cache
@login_required
@require_safe
def bank(request: HttpRequest, organisation_id: int) -> HttpResponse:
    return _page(request, money_access.account(request.user, organisation_id))


@login_required
@require_POST
def debits(request: HttpRequest, organisation_id: int) -> HttpResponse:
    return _order(request, organisation_id, order_debits)


@login_required
@require_POST
def transfers(request: HttpRequest, organisation_id: int) -> HttpResponse:
    return _order(request, organisation_id, order_transfers)


@never_cache
@login_required
@require_safe
def order(request: HttpRequest, organisation_id: int, order_id: int) -> HttpResponse:
    """The file as it was made: the bank refuses it a second time."""
    found = get_object_or_404(
        BankOrder, pk=order_id, organisation=money_access.account(request.user, organisation_id)
    )
    response = HttpResponse(bytes(found.file), content_type="application/xml")
    response["Content-Disposition"] = f'attachment; filename="{found.message_id}.xml"'
    return response


@login_required
@require_POST
def statement(request: HttpRequest, organisation_id: int) -> HttpResponse:
    """What the bank says was paid."""
    organisation = money_access.account(request.user, organisation_id)
    form = StatementForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, organisation, 422, form=form)
    try:
        read = record_statement(
            organisation=organisation, file=form.cleaned_data["file"].read(), seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user), now=timezone.now(),
        )  # fmt: skip
    except ChangedMeanwhile as refusal:
        return _page(request, organisation, status_of(refusal), refusal=look_again(refusal))
    except BookingError as refusal:
        form.add_error("file", str(refusal))
        return _page(request, organisation, status_of(refusal), form=form)
    return _page(request, organisation, read=read)


def _order(request: HttpRequest, organisation_id: int, make: Any) -> HttpResponse:
    organisation = money_access.account(request.user, organisation_id)
    try:
        made = make(
            organisation=organisation, seen_version=seen_version(request.POST), actor=access.as_manager(request.user),
            now=timezone.now(),
        )  # fmt: skip
    except ChangedMeanwhile as refusal:
        return _page(request, organisation, status_of(refusal), refusal=look_again(refusal))
    except BookingError as refusal:
        return _page(request, organisation, status_of(refusal), refusal=str(refusal))
    words = f"{made.message_id} is made. Download it, and give it to your bank."
    return done(request, reverse("bookings:bank", args=[organisation.pk]), words)


def _page(
    request: HttpRequest,
    organisation: Organisation,
    status: int = 200,
    *,
    form: StatementForm | None = None,
    refusal: str = "",
    read: ReadStatement | None = None,
) -> HttpResponse:
    due, owed = [row for row, _ in collectable(organisation)], payable(organisation)
    context = {
        "organisation": organisation, "zone": zone_of(organisation),
        "form": form or StatementForm(), "refusal": refusal, "read": read,
        "debits": due, "debits_total": sum(row.still_due for row in due), "transfers": owed,
        "transfers_total": sum(row.still_due for row in owed), "debits_version": order_version(due),
        "transfers_version": order_version(owed), "account_version": account_version(organisation),
        "orders": BankOrder.objects.filter(organisation=organisation).defer("file")[:SHOWN],
    }  # fmt: skip
    return respond(request, "bookings/invoices/bank", context, status)
