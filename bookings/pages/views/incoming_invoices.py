"""Invoices of others: uploaded or typed, beside the records they bill, and what becomes of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.billing.errors import InvoiceKnown
from bookings.billing.incoming_invoices import NEXT, change_typed, enter_file, enter_typed, settle
from bookings.billing.months import Month
from bookings.billing.reconciliation.announced import read_records
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.incoming import IncomingMonth, incoming_month
from bookings.billing.reconciliation.report import reconcile
from bookings.errors import BookingError
from bookings.models import IncomingInvoice
from bookings.pages import access, books_access
from bookings.pages.forms.incoming import (
    LINES,
    MORE_LINES,
    MOST_LINES,
    IncomingFileForm,
    IncomingInvoiceForm,
    SettleForm,
    lines_of,
)
from bookings.pages.reconciliation_steps import books_url
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.models import Organisation
from depots.pages import done, respond

State = IncomingInvoice.State


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Type one in; the same page takes a file."""
    recipients = books_access.bookkeeper(request.user)
    if request.method != "POST":
        asked = {
            "sender_name": request.GET.get("sender", "")[:100],
            "month": request.GET.get("month", "")[:7],
        }
        if (chosen := request.GET.get("recipient", "")) in {str(row.pk) for row in recipients}:
            asked["recipient"] = chosen
        shown = IncomingInvoiceForm(recipients=recipients, initial=asked)
        return _form(request, shown, LINES(prefix="line"), recipients=recipients)
    if "more" in request.POST:
        return _form(request, *_with_more_lines(request, recipients), recipients=recipients)
    form = IncomingInvoiceForm(request.POST, recipients=recipients)
    lines = LINES(request.POST, prefix="line")
    status, known = 422, None
    if form.is_valid() and lines.is_valid():
        try:
            row = enter_typed(
                recipient=form.cleaned_data["recipient"], told=form.told(lines), actor=access.as_dispatcher(request.user),
                now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            known, status = _refused(form, refusal)
        else:
            return done(
                request, reverse("bookings:incoming_invoice", args=[row.pk]), f"{row.number} is entered."
            )
    return _form(request, form, lines, status, recipients=recipients, known=known)


@login_required
@require_POST
def files(request: HttpRequest) -> HttpResponse:
    recipients = books_access.bookkeeper(request.user)
    form = IncomingFileForm(request.POST, request.FILES, recipients=recipients)
    status, known = 422, None
    if form.is_valid():
        try:
            row = enter_file(
                recipient=form.cleaned_data["recipient"], file=form.cleaned_data["file"].read(),
                actor=access.as_dispatcher(request.user), now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            known, status = _refused(form, refusal)
        else:
            return done(
                request, reverse("bookings:incoming_invoice", args=[row.pk]), f"{row.number} is read."
            )
    shown = IncomingInvoiceForm(recipients=recipients)
    return _form(
        request, shown, LINES(prefix="line"), status, recipients=recipients, file_form=form, known=known
    )


@never_cache
@login_required
@require_safe
def incoming(request: HttpRequest, incoming_id: int) -> HttpResponse:
    row, is_kept = books_access.incoming_invoice(request.user, incoming_id)
    return _page(request, row, is_kept)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, incoming_id: int) -> HttpResponse:
    """Correct what was typed."""
    row = books_access.kept_incoming_invoice(request.user, incoming_id)
    if row.source != IncomingInvoice.Source.TYPED:
        raise Http404
    if request.method != "POST":
        form = IncomingInvoiceForm(recipients=[], initial=IncomingInvoiceForm.shown(row))
        return _form(request, form, LINES(prefix="line", initial=lines_of(row)), row=row)
    if "more" in request.POST:
        return _form(request, *_with_more_lines(request, []), row=row)
    form, lines = IncomingInvoiceForm(request.POST, recipients=[]), LINES(request.POST, prefix="line")
    status, known = 422, None
    if form.is_valid() and lines.is_valid():
        try:
            change_typed(
                incoming_id=row.pk, told=form.told(lines), seen_version=seen_version(request.POST),
                actor=access.as_dispatcher(request.user), now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            known, status = _refused(form, refusal)
        else:
            return done(request, reverse("bookings:incoming_invoice", args=[row.pk]), "Saved.")
    return _form(request, form, lines, status, row=row, known=known)


@login_required
@require_POST
def state(request: HttpRequest, incoming_id: int) -> HttpResponse:
    """Agreed, disputed, paid, to be checked again, or withdrawn."""
    row = books_access.kept_incoming_invoice(request.user, incoming_id)
    form = SettleForm(request.POST)
    if not form.is_valid():
        words = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return _page(request, row, True, 422, refusal=words)
    given = form.cleaned_data
    try:
        row = settle(
            incoming_id=row.pk, to=State(given["to"]), said=given["said"], paid_on=given["paid_on"],
            seen_version=seen_version(request.POST), actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _page(request, row, True, status_of(refusal), refusal=str(refusal))
    return done(request, reverse("bookings:incoming_invoice", args=[row.pk]), f"{row.get_state_display()}.")


@login_required
@require_safe
def file(request: HttpRequest, incoming_id: int) -> HttpResponse:
    """As it came: of strangers, so that a browser is told to keep it and not to show it."""
    row, _ = books_access.incoming_invoice(request.user, incoming_id)
    content = IncomingInvoice.objects.values_list("file", flat=True).get(pk=row.pk)
    if content is None:
        raise Http404
    is_pdf = b"%PDF-" in bytes(content)[:1024]
    response = HttpResponse(
        bytes(content), content_type="application/pdf" if is_pdf else "application/octet-stream"
    )
    response["Content-Disposition"] = f'attachment; filename="invoice-{row.pk}.{"pdf" if is_pdf else "xml"}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _with_more_lines(request: HttpRequest, recipients: list[Organisation]) -> tuple[Any, Any]:
    """What was typed so far, with room for more; nothing is checked yet."""
    form = IncomingInvoiceForm(recipients=recipients, initial=request.POST.dict())
    number = request.POST.get("line-TOTAL_FORMS", "")
    is_number = number.isascii() and number.isdigit() and len(number) < 10
    written = range(min(int(number), MOST_LINES) if is_number else 0)
    names = ("cdr", "text", "before_taxes")
    told = [{name: request.POST.get(f"line-{place}-{name}", "") for name in names} for place in written]
    lines = LINES(prefix="line", initial=[line for line in told if any(line.values())])
    lines.extra = MORE_LINES
    return form, lines


def _refused(form: Any, refusal: BookingError) -> tuple[InvoiceKnown | None, int]:
    form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
    return refusal if isinstance(refusal, InvoiceKnown) else None, status_of(refusal)


def _form(request: HttpRequest, form: Any, lines: Any, status: int = 200, **shown: Any) -> HttpResponse:
    recipients = shown.pop("recipients", None)
    context = {"form": form, "lines": lines, "row": None, "known": None, **shown}
    if recipients is not None and "file_form" not in context:
        context["file_form"] = IncomingFileForm(recipients=recipients)
    return respond(request, "bookings/reconciliation/enter", context, status)


def _page(
    request: HttpRequest, row: IncomingInvoice, is_kept: bool, status: int = 200, refusal: str = ""
) -> HttpResponse:
    side = Side.RECEIVABLE if row.is_self_billed else Side.PAYABLE
    books = Books(row.recipient_id, side, Month.of(row.month))
    month = incoming_month(books)
    findings = [] if row.state == State.WITHDRAWN else reconcile(books, now=timezone.now()).findings
    told = month.told.get(row.pk)
    reading = (
        read_records(told, organisation_id=row.recipient_id, is_payable=books.is_payable) if told else None
    )
    context = {
        "row": row, "is_kept": is_kept, "refusal": refusal, "lines": _lines(row, month), "books_url": books_url(books),
        "findings": [each for each in findings if each.about.incoming_id == row.pk], "reading": reading,
        "next": NEXT[State(row.state)], "today": timezone.localdate(), "has_file": row.source == IncomingInvoice.Source.FILE,
        "may_change": is_kept and row.source == IncomingInvoice.Source.TYPED and row.state in {State.OPEN, State.DISPUTED},
    }  # fmt: skip
    return respond(request, "bookings/reconciliation/incoming", context, status)


def _lines(row: IncomingInvoice, month: IncomingMonth) -> list[dict[str, Any]]:
    """Its lines beside the records they name; the record's amount stands at its first line."""
    shown: list[dict[str, Any]] = []
    seen: set[int] = set()
    for line in row.lines:
        family = month.family(row, line["cdr"])
        net = Decimal(line["before_taxes"])
        is_first = family is not None and family.latest.id not in seen
        if family is not None:
            seen.add(family.latest.id)
        shown.append({"line": line, "net": net, "family": family, "is_first": is_first})
    return shown
