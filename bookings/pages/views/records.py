"""What charging costs a fleet, what it earns a depot, and the records both are made of."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.billing import disputes
from bookings.billing.months import Month
from bookings.billing.received_records import match_record
from bookings.billing.spreadsheets import cell
from bookings.errors import BookingError
from bookings.models import ChargeDetailRecord, Dispute, Vehicle
from bookings.pages import access, money_access, record_months
from bookings.pages.csv_lines import Lines
from bookings.pages.forms.records import AnswerForm, DisputeForm, WaiverForm, chosen_month
from bookings.pages.money_access import RecordViewer
from bookings.pages.record_page import price_of, record_context
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.pages import done, respond

A_PAGE = 50


@never_cache
@login_required
@require_safe
def costs(request: HttpRequest) -> HttpResponse:
    mine = ChargeDetailRecord.objects.filter(customer__in=money_access.costs_seen(request.user))
    context = _month(request, mine) | {"side": "costs"}
    context["has_no_fleet"] = not context["totals"] and not _has_fleet(request, mine)
    context["sees_revenue"] = money_access.sees_revenue(request.user)
    rows = context["rows"]
    context["tables"] = [
        ("By vehicle", "Vehicle", record_months.sums(rows, "plate")),
        ("By depot", "Depot", record_months.sums(rows, "depot__name")),
    ]
    return respond(request, "bookings/records/costs", context)


@never_cache
@login_required
@require_safe
def revenue(request: HttpRequest) -> HttpResponse:
    ours = _earned(request)
    context = _month(request, ours) | {"side": "revenue"}
    rows, month = context["rows"], context["month"]
    context["tables"] = [
        ("By depot", "Depot", record_months.sums(rows, "depot__name")),
        ("By customer", "Customer", record_months.sums(rows, "customer__name")),
    ]
    context["evses"] = record_months.shares(record_months.sums(rows, "place__evse_uid"), month)
    return respond(request, "bookings/records/revenue", context)


@never_cache
@login_required
@require_safe
def costs_months(request: HttpRequest) -> HttpResponse:
    mine = ChargeDetailRecord.objects.filter(customer__in=money_access.costs_seen(request.user))
    return _months(request, mine, "costs")


@never_cache
@login_required
@require_safe
def revenue_months(request: HttpRequest) -> HttpResponse:
    return _months(request, _earned(request), "revenue")


@never_cache
@login_required
@require_safe
def costs_csv(request: HttpRequest) -> StreamingHttpResponse:
    return _csv(
        request,
        ChargeDetailRecord.objects.filter(customer__in=money_access.costs_seen(request.user)),
        "costs",
    )


@never_cache
@login_required
@require_safe
def revenue_csv(request: HttpRequest) -> StreamingHttpResponse:
    return _csv(request, _earned(request), "revenue")


@never_cache
@login_required
@require_safe
def record(request: HttpRequest, cdr_id: int) -> HttpResponse:
    return respond(
        request, "bookings/records/record", record_context(money_access.record(request.user, cdr_id))
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def dispute(request: HttpRequest, cdr_id: int) -> HttpResponse:
    viewer = money_access.disputable_record(request.user, cdr_id)
    # A page that found something says what, and which line makes the difference.
    shown = {name: request.GET[name] for name in ("line", "reason") if name in request.GET}
    form = DisputeForm(request.POST or None, price=price_of(viewer.cdr), initial=shown)

    def act() -> None:
        disputes.raise_dispute(
            cdr_id=cdr_id, line=form.line_number, reason=form.cleaned_data["reason"], seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip

    return _acted(request, viewer, form, act, "dispute", "Disputed. The depot answers.")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def waive(request: HttpRequest, cdr_id: int) -> HttpResponse:
    viewer = money_access.settled_record(request.user, cdr_id)
    form = WaiverForm(request.POST or None)

    def act() -> None:
        disputes.waive(
            cdr_id=cdr_id, reason=form.cleaned_data["reason"], seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user), now=timezone.now(),
        )  # fmt: skip

    return _acted(request, viewer, form, act, "waiver", "Waived: the record is credited.")


@login_required
@require_POST
def record_booking(request: HttpRequest, cdr_id: int) -> HttpResponse:
    """Somebody says for which booking a partner's record is."""
    viewer = money_access.disputable_record(request.user, cdr_id)
    try:
        match_record(
            cdr_id=cdr_id, booking_id=_number(request, "booking"), seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return respond(
            request,
            "bookings/records/record",
            record_context(viewer) | {"refusal": str(refusal)},
            status_of(refusal),
        )
    return done(request, reverse("bookings:record", args=[cdr_id]), "Matched.")


def _number(request: HttpRequest, name: str) -> int:
    """0 for what is none: no row has that."""
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, dispute_id: int) -> HttpResponse:
    viewer, found = money_access.dispute(request.user, dispute_id)
    form = AnswerForm(request.POST or None)

    def act() -> None:
        disputes.answer_dispute(
            dispute_id=dispute_id, accepts=form.cleaned_data["decision"] == "accept", answer=form.cleaned_data["answer"],
            seen_version=seen_version(request.POST), actor=access.as_manager(request.user), now=timezone.now(),
        )  # fmt: skip

    return _acted(request, viewer, form, act, "answer", "Answered.", found)


def _acted(
    request: HttpRequest,
    viewer: RecordViewer,
    form: Form,
    act: Callable[[], None],
    page: str,
    words: str,
    found: Dispute | None = None,
) -> HttpResponse:
    """The form, or once it was carried out the record's page; refused with what stands in the way."""
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            act()
        except BookingError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            status = status_of(refusal)
        else:
            return done(request, reverse("bookings:record", args=[viewer.cdr.pk]), words)
    context = record_context(viewer) | {"form": form, "dispute": found}
    return respond(request, f"bookings/records/{page}", context, status)


def _has_fleet(request: HttpRequest, mine: QuerySet[ChargeDetailRecord]) -> bool:
    """Whether this page can ever have a row: asked of an empty month only."""
    fleets = money_access.costs_seen(request.user)
    return Vehicle.objects.filter(fleet__in=fleets).exists() or mine.exists()


def _earned(request: HttpRequest) -> QuerySet[ChargeDetailRecord]:
    return ChargeDetailRecord.objects.filter(
        operator__in=money_access.revenue_seen(request.user), depot__is_mirror=False
    )


def _month(request: HttpRequest, mine: QuerySet[ChargeDetailRecord]) -> dict[str, Any]:
    """What both sides see of a month: sums, what the money is for, its days, its records, and what is disputed."""
    today = Month.of(timezone.localdate())
    month = chosen_month(request.GET.get("month", ""), today)
    rows = record_months.of_month(mine, month)
    totals, uses = record_months.sums(rows), record_months.by_use(rows)
    shown = rows.select_related("depot", "customer", "operator", "booking", "credits").order_by(
        "-ends_at", "-pk"
    )
    waiting = Dispute.objects.filter(cdr__in=mine, outcome=Dispute.Outcome.OPEN)
    return {
        "month": month,
        "is_latest": month >= today,
        "rows": rows,
        "totals": totals,
        "uses": [*uses, *record_months.rounding(uses, totals)],
        "chart": record_months.chart(rows, month, record_months.dearest_currency(totals)),
        "page": Paginator(shown, A_PAGE).get_page(request.GET.get("page")),
        "disputed": waiting.select_related("cdr__depot", "cdr__customer").order_by("raised_at")[:A_PAGE],
    }


def _months(request: HttpRequest, mine: QuerySet[ChargeDetailRecord], side: str) -> HttpResponse:
    """Month by month, to compare."""
    months = record_months.by_month(mine, Month.of(timezone.localdate()))
    context = {"side": side, "months": months, "highest": record_months.highest_by_currency(months)}
    return respond(request, "bookings/records/months", context)


def _csv(request: HttpRequest, mine: QuerySet[ChargeDetailRecord], name: str) -> StreamingHttpResponse:
    month = chosen_month(request.GET.get("month", ""), Month.of(timezone.localdate()))
    rows = record_months.of_month(mine, month)
    rows = rows.select_related("depot", "customer", "booking", "credits", "replaces").order_by(
        "ends_at", "pk"
    )
    writer = csv.writer(Lines())

    def lines() -> Iterator[str]:
        for row in record_months.csv_rows(rows):
            yield writer.writerow([cell(value) for value in row])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{month}.csv"'
    return response
