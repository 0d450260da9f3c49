"""Invoices of both sides: what is owed to an organisation, what it owes, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.billing.corrections import credit_invoice
from bookings.billing.delivery import send_again, write_invoice
from bookings.billing.errors import ParticularsMissing
from bookings.billing.invoice_csv import csv_lines
from bookings.billing.invoice_states import with_state
from bookings.billing.months import Month
from bookings.billing.open_months import open_months
from bookings.billing.parties import Party
from bookings.billing.reconciliation.announced import ReconciliationReading, read_records
from bookings.billing.reminders import may_remind, remind
from bookings.billing.run import bill
from bookings.billing.settlement import record_payment
from bookings.billing.versions import billing_version, billing_versions, invoice_version
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import ChargeDetailRecord, Invoice, InvoiceReconciliationRecord, Payment
from bookings.pages import access, money_access
from bookings.pages.forms.invoices import BillForm, CreditForm, InvoiceFilterForm, PaymentForm
from bookings.pages.open_amounts import open_amounts
from bookings.pages.payment_words import guarantee_words
from bookings.pages.tariff_places import zone_of
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import look_again, seen_version
from depots.models import Depot, Organisation
from depots.pages import done, respond

A_PAGE = 50


@never_cache
@login_required
@require_safe
def invoices(request: HttpRequest) -> HttpResponse:
    viewer = money_access.invoice_viewer(request.user)
    form = InvoiceFilterForm(request.GET)
    today = timezone.now().date()
    rows = with_state(viewer.rows(), today=today).order_by("-issued_on", "-pk")
    valid = form.is_valid()
    found = _narrowed(rows, form.cleaned_data, viewer) if valid else rows.none()
    context = {
        "form": form, "page": Paginator(found, A_PAGE).get_page(request.GET.get("page")),
        "suppliers": viewer.suppliers, "open_amounts": open_amounts(viewer, today=today), **_actions(request),
    }  # fmt: skip
    return respond(request, "bookings/invoices/list", context, 200 if valid else 422)


@never_cache
@login_required
@require_safe
def unbilled(request: HttpRequest) -> HttpResponse:
    """Months of which something is not billed, and who cannot bill for want of particulars; looked for behind the list, since it
    takes longer than all of that where a year has millions of records."""
    by_pk = {account.pk: account for account in _accounts(request) if account.runs_depots}
    if not by_pk:
        raise Http404
    versions = billing_versions(by_pk)
    found = open_months(by_pk, now=timezone.now())
    lacking = {pk: Party.of(by_pk[pk]).faults(as_supplier=True) for pk in {one.operator_id for one in found}}
    context = {
        "unbilled": [(by_pk[one.operator_id], one, versions[one.operator_id]) for one in found],
        "missing": [(by_pk[pk], ParticularsMissing(faults)) for pk, faults in lacking.items() if faults],
        "names_operators": len(by_pk) > 1,
    }
    return respond(request, "bookings/invoices/unbilled", context)


@login_required
@require_POST
def run(request: HttpRequest) -> HttpResponse:
    """Bill a month that is over."""
    operators = money_access.accountant(request.user)
    form, status = BillForm(request.POST, operators=operators), 422
    if form.is_valid():
        operator, month = form.cleaned_data["operator"], form.cleaned_data["month"]
        try:
            billed = bill(
                operator=operator, month=month, seen_version=seen_version(request.POST),
                actor=access.as_manager(request.user), now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            form.add_error(None, str(refusal))
            status = status_of(refusal)
        else:
            made = sum(document.created for document in billed.documents)
            left = "".join(f" {name} is not billed. {why}" for name, why in billed.refused.items())
            words = f"{made} invoice{'' if made == 1 else 's'} issued for {month}.{left}"
            return done(request, f"{reverse('bookings:invoices')}?side=receivable&month={month}", words)
    operator = form.cleaned_data.get("operator")
    context = {"form": form, "version": billing_version(operator.pk) if operator else None}
    return respond(request, "bookings/invoices/bill", context, status)


def _actions(request: HttpRequest) -> dict[str, Any]:
    """Whose particulars the viewer keeps; for each of them that runs depots a form that bills the month before."""
    accounts = _accounts(request)
    last_month = Month.of(timezone.now().date()).previous
    operators = [account for account in accounts if account.runs_depots]
    versions = billing_versions(operator.pk for operator in operators)
    to_bill = [(each, BillForm.shown(each, last_month), versions[each.pk]) for each in operators]
    return {"accounts": accounts, "to_bill": to_bill}


def _accounts(request: HttpRequest) -> list[Any]:
    """Organisations whose accounts the viewer keeps, each with `runs_depots`."""
    kept = money_access.accounts_kept(request.user)
    rows = Organisation.objects.filter(pk__in=kept, is_partner=False).order_by("name")
    runs_depots = Exists(Depot.objects.filter(operator=OuterRef("pk"), is_mirror=False))
    return list(rows.annotate(runs_depots=runs_depots)) if kept else []


def _narrowed(
    rows: QuerySet[Any], asked: dict[str, Any], viewer: money_access.InvoiceViewer
) -> QuerySet[Any]:
    if asked["side"] == "receivable":
        rows = rows.filter(supplier__in=viewer.suppliers)
    elif asked["side"] == "payable":
        rows = rows.filter(customer__in=viewer.customers)
    if asked["state"]:
        rows = rows.filter(state=asked["state"])
    return rows.filter(month=asked["month"].first_day) if asked["month"] else rows


@never_cache
@login_required
@require_safe
def invoice(request: HttpRequest, invoice_id: int) -> HttpResponse:
    return _page(request, money_access.invoice(request.user, invoice_id))


@never_cache
@login_required
@require_safe
def pdf(request: HttpRequest, invoice_id: int) -> HttpResponse:
    return _file(request, invoice_id, "pdf", "application/pdf")


@never_cache
@login_required
@require_safe
def xml(request: HttpRequest, invoice_id: int) -> HttpResponse:
    return _file(request, invoice_id, "xml", "application/xml")


@never_cache
@login_required
@require_safe
def records(request: HttpRequest, invoice_id: int) -> StreamingHttpResponse:
    """Every record, as CSV."""
    found = money_access.invoice(request.user, invoice_id)
    response = StreamingHttpResponse(csv_lines(found), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.number}.csv"'
    return response


def _file(request: HttpRequest, invoice_id: int, kind: str, content_type: str) -> HttpResponse:
    found = money_access.invoice(request.user, invoice_id)
    file = write_invoice(invoice_id=found.pk, now=timezone.now())
    content = bytes(file.pdf) if kind == "pdf" else file.xml.encode()
    response = HttpResponse(content, content_type=content_type)
    disposition = "inline" if kind == "pdf" else "attachment"
    response["Content-Disposition"] = f'{disposition}; filename="{found.number}.{kind}"'
    return response


@login_required
@require_POST
def pay(request: HttpRequest, invoice_id: int) -> HttpResponse:
    """Money has come, or was paid back."""
    found = money_access.settled_invoice(request.user, invoice_id)
    form = PaymentForm(request.POST)
    if not form.is_valid():
        return _page(request, found, 422, payment_form=form)
    given = form.cleaned_data

    def record() -> str:
        record_payment(
            invoice_id=found.pk, amount=given["amount"], paid_on=given["paid_on"], means=Payment.Means.TRANSFER,
            reference=form.payment_reference, seen_version=seen_version(request.POST), actor=access.as_manager(request.user),
            now=timezone.now(),
        )  # fmt: skip
        return f"{found.currency} {given['amount']:.2f} recorded."

    return _act(request, found, record)


@login_required
@require_POST
def reminders(request: HttpRequest, invoice_id: int) -> HttpResponse:
    found = money_access.settled_invoice(request.user, invoice_id)

    def ask() -> str:
        reminder = remind(invoice_id=found.pk, seen_version=seen_version(request.POST), now=timezone.now())
        return f"Reminder {reminder.level} is on its way."

    return _act(request, found, ask)


@login_required
@require_POST
def credit(request: HttpRequest, invoice_id: int) -> HttpResponse:
    """Take all of it back."""
    found = money_access.settled_invoice(request.user, invoice_id)
    form = CreditForm(request.POST)
    if not form.is_valid():
        return _page(request, found, 422, credit_form=form)

    def take_back() -> str:
        note = credit_invoice(
            invoice_id=found.pk,
            reason=form.cleaned_data["reason"],
            seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
        return f"Credit note {note.number} is issued."

    return _act(request, found, take_back)


@login_required
@require_POST
def sending(request: HttpRequest, invoice_id: int) -> HttpResponse:
    """Send it once more."""
    found = money_access.settled_invoice(request.user, invoice_id)

    def send() -> str:
        try:
            sent = send_again(
                invoice_id=found.pk, seen_version=seen_version(request.POST), now=timezone.now()
            )
        except OSError:
            return "The mail server does not answer. Try again later."
        return "Sent." if sent else "There is no e-mail address for invoices."

    return _act(request, found, send)


def _act(request: HttpRequest, found: Invoice, act: Callable[[], str]) -> HttpResponse:
    try:
        words = act()
    except ChangedMeanwhile as refusal:
        return _page(request, found, status_of(refusal), refusal=look_again(refusal))
    except BookingError as refusal:
        return _page(request, found, status_of(refusal), refusal=str(refusal))
    return done(request, reverse("bookings:invoice", args=[found.pk]), words)


def _page(request: HttpRequest, found: Invoice, status: int = 200, **shown: Any) -> HttpResponse:
    today = timezone.now().date()
    rows = with_state(Invoice.objects.filter(pk=found.pk), today=today)
    row: Any = rows.select_related("issuer", "supplier", "customer", "corrects").first()
    if row is None:
        raise Http404
    may_settle = found.supplier_id in money_access.accounts_kept(request.user)
    context = {
        "invoice": row, "zone": zone_of(row.issuer), "tax_parts": list(_tax_parts(row)),
        "payments": row.payments.select_related("returned"), "reminders": row.reminders.exclude(sent_at=None),
        "records": Paginator(_records_on(row), A_PAGE).get_page(request.GET.get("page")), "corrections": row.corrected_by.all(),
        "parties": [row.parties.get(side, {}) for side in ("supplier", "customer")],
        "may_settle": may_settle, "overpaid": max(-row.still_due, 0), "payment_form": PaymentForm.shown(row.still_due, today),
        "credit_form": CreditForm(), "version": invoice_version(row),
        "may_remind": may_settle and may_remind(row, now=timezone.now()), "told": _told(request, row),
        "guarantee": guarantee_words(row) if row.still_due > 0 else "", **shown,
    }  # fmt: skip
    return respond(request, "bookings/invoices/invoice", context, status)


def _records_on(row: Invoice) -> QuerySet[ChargeDetailRecord]:
    return (
        ChargeDetailRecord.objects.filter(invoiced__invoice=row)
        .select_related("depot")
        .order_by("ends_at", "pk")
    )


def _told(request: HttpRequest, row: Invoice) -> ReconciliationReading | None:
    """What it was said to be about, read against the records of the side that looks."""
    record = InvoiceReconciliationRecord.objects.filter(invoice=row, is_withdrawn=False).first()
    if record is None:
        return None
    is_payable = row.supplier_id not in money_access.invoice_viewer(request.user).suppliers
    mine = row.customer_id if is_payable else row.supplier_id
    return read_records([record], organisation_id=mine, is_payable=is_payable)


def _tax_parts(found: Invoice) -> Iterator[dict[str, Any]]:
    """The VAT by rate as it was issued, each with its sum."""
    for part in found.tax_breakdown:
        yield part | {"after_taxes": Decimal(part["before_taxes"]) + Decimal(part["taxes"])}
