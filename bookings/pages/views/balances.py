"""Prepaid balances: what customers have paid an operator in, and what of it their bookings have reserved."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import DecimalField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.errors import BookingError
from bookings.models import BookingPayment, PrepaidBalance
from bookings.pages import access, money_access
from bookings.pages.forms.balances import BalanceForm, MovementForm
from bookings.pages.tariff_places import zone_of
from bookings.pages.views.refusals import status_of
from bookings.payments.balance_references import balance_reference
from bookings.payments.prepaid import Account, pay_out, top_up
from bookings.rules.content_version import seen_version
from depots.models import Organisation
from depots.pages import done, respond

A_PAGE = 50
SHOWN = 200


@never_cache
@login_required
@require_safe
def balances(request: HttpRequest) -> HttpResponse:
    """Of all this person may see; with a customer and a currency, on to that one, which may have nothing in it yet."""
    viewer = money_access.balance_viewer(request.user)
    form = BalanceForm(request.GET if "customer" in request.GET else None, operators=viewer.operators)
    if form.is_valid():
        return redirect(_address(form.account))
    mine = Q(operator__in=viewer.operators) | Q(customer__in=viewer.customers)
    rows = _with_reserved(PrepaidBalance.objects.filter(mine)).select_related("operator", "customer")
    page = Paginator(rows.order_by("operator__name", "customer__name", "currency"), A_PAGE)
    context = {
        "page": page.get_page(request.GET.get("page")), "viewer": viewer,
        "form": form if form.has_customers else None,
    }  # fmt: skip
    return respond(request, "bookings/balances/list", context, 422 if form.is_bound else 200)


@never_cache
@login_required
@require_safe
def balance(request: HttpRequest, operator_id: int, customer_id: int, currency: str) -> HttpResponse:
    account = Account(operator_id, customer_id, currency)
    return _page(request, account, money_access.balance(request.user, account))


@login_required
@require_POST
def pay_in(request: HttpRequest, operator_id: int, customer_id: int, currency: str) -> HttpResponse:
    """Money has come."""
    return _record(request, Account(operator_id, customer_id, currency), top_up, "top_up_form", "paid in")


@login_required
@require_POST
def pay_back(request: HttpRequest, operator_id: int, customer_id: int, currency: str) -> HttpResponse:
    """What no booking has reserved was paid back."""
    return _record(request, Account(operator_id, customer_id, currency), pay_out, "pay_out_form", "paid out")


def _record(request: HttpRequest, account: Account, record: Any, name: str, words: str) -> HttpResponse:
    viewer = money_access.kept_balance(request.user, account)
    form, status = MovementForm(request.POST), 422
    if form.is_valid():
        try:
            entry, _ = record(
                account, form.movement(seen_version(request.POST)), actor=access.as_manager(request.user), now=timezone.now()
            )  # fmt: skip
        except BookingError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            status = status_of(refusal)
        else:
            return done(request, _address(account), f"{account.currency} {abs(entry.amount):.2f} {words}.")
    return _page(request, account, viewer, status, **{name: form})


def _page(
    request: HttpRequest,
    account: Account,
    viewer: money_access.BalanceViewer,
    status: int = 200,
    **forms: MovementForm,
) -> HttpResponse:
    payments = BookingPayment.objects.filter(
        operator=account.operator_id,
        customer=account.customer_id,
        currency=account.currency,
        provider="prepaid",
    ).select_related("booking__depot")
    reserved = payments.filter(reserved__gt=0).order_by("booking__starts_at")
    kept = account.operator_id in viewer.operators
    operator = get_object_or_404(Organisation, pk=account.operator_id)
    context = {
        "account": account,
        "operator": operator,
        "zone": zone_of(operator),
        "customer": get_object_or_404(Organisation, pk=account.customer_id),
        "available": account.available(),
        "reserved_total": reserved.aggregate(total=Sum("reserved"))["total"] or 0,
        "reserved": reserved[:SHOWN],
        "waiting": payments.filter(status=BookingPayment.Status.ASKED).order_by("asked_at", "pk")[:SHOWN],
        "page": Paginator(
            account.entries().select_related("booking", "invoice").order_by("-pk"), A_PAGE
        ).get_page(request.GET.get("page")),
        "version": account.version(),
        "reference": balance_reference(account.operator_id, account.customer_id),
        "sees_bookings": access.fleets_seen(request.user) & {account.customer_id}
        or account.operator_id in access.operators_seen(request.user),
        "is_customer": account.customer_id in viewer.customers,
        "top_up_form": forms.get("top_up_form") or MovementForm.shown("top_up") if kept else None,
        "pay_out_form": forms.get("pay_out_form") or MovementForm.shown("pay_out") if kept else None,
    }
    return respond(request, "bookings/balances/balance", context, status)


def _with_reserved(rows: QuerySet[PrepaidBalance]) -> QuerySet[Any]:
    """Each with `reserved`, what its bookings hold."""
    secured = BookingPayment.objects.filter(
        operator=OuterRef("operator"),
        customer=OuterRef("customer"),
        currency=OuterRef("currency"),
        status="secured",
    )
    total = secured.order_by().values("operator").annotate(total=Sum("reserved")).values("total")
    money: DecimalField[Any, Any] = DecimalField(max_digits=16, decimal_places=4)
    return rows.annotate(reserved=Coalesce(Subquery(total), 0, output_field=money))


def _address(account: Account) -> str:
    return reverse("bookings:balance", args=[account.operator_id, account.customer_id, account.currency])
