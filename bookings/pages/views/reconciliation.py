"""What is wrong in an organisation's books, and what lets it rest."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.billing import reverse_billing
from bookings.billing.missing_records import issue_missing_record
from bookings.billing.months import Month
from bookings.billing.reconciliation.acceptance import accept, reopen
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import Finding, FindingGroup
from bookings.billing.reconciliation.price_checks import check_prices
from bookings.billing.reconciliation.report import Reconciliation, reconcile
from bookings.billing.spreadsheets import cell
from bookings.billing.versions import billing_version, billing_versions
from bookings.errors import BookingError
from bookings.models import AcceptedFinding, Booking, ChargeDetailRecord, Invoice
from bookings.pages import access, books_access
from bookings.pages.books_access import BooksViewer
from bookings.pages.csv_lines import Lines
from bookings.pages.forms.records import chosen_month
from bookings.pages.reconciliation_steps import SIDES, Step, StepsOf, books_url, differing_lines
from bookings.pages.record_months import of_month
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import version_of
from depots.models import ChargingSession, Organisation
from depots.pages import done, respond

A_PAGE = 50
CHECKED_AT_ONCE = 2_000
COLUMNS = (
    "group", "finding", "what", "with", "at", "currency", "expected", "found", "difference", "accepted", "accepted_by",
)  # fmt: skip


@never_cache
@login_required
@require_safe
def reconciliation(request: HttpRequest) -> HttpResponse:
    viewer, books = _asked(request)
    return _page(request, viewer, books)


@never_cache
@login_required
@require_safe
def findings_csv(request: HttpRequest) -> StreamingHttpResponse:
    """All of them, those that were accepted last."""
    _, books = _asked(request)
    report = reconcile(books, now=timezone.now())
    writer = csv.writer(Lines())

    def lines() -> Iterator[str]:
        yield writer.writerow(COLUMNS)
        accepted: list[tuple[Finding, AcceptedFinding | None]] = [*report.accepted]
        for finding, row in [*((each, None) for each in report.findings), *accepted]:
            yield writer.writerow([cell(value) for value in _csv_row(finding, row)])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="reconciliation-{books.side}-{books.month}.csv"'
    return response


@login_required
@require_POST
def acceptances(request: HttpRequest) -> HttpResponse:
    """Let what is chosen rest: each by its key and the version of what it was found on."""
    viewer, books = _kept(request)
    chosen = set(request.POST.getlist("finding"))
    report = reconcile(books, now=timezone.now())
    findings = [each for each in report.findings if _choice(each) in chosen]
    try:
        accepted = accept(
            findings, organisation_id=books.organisation_id, reason=request.POST.get("reason", ""),
            actor=_actor(request, books), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _page(request, viewer, books, status_of(refusal), refusal=str(refusal), chosen=chosen)
    number = len(accepted)
    return done(request, books_url(books), f"{number} finding{'' if number == 1 else 's'} accepted.")


@login_required
@require_POST
def reopening(request: HttpRequest, accepted_id: int) -> HttpResponse:
    found = books_access.accepted_finding(request.user, accepted_id)
    viewer, books = _kept(request)
    try:
        reopen(accepted_id=found.pk, now=timezone.now())
    except BookingError as refusal:
        return _page(request, viewer, books, status_of(refusal), refusal=str(refusal))
    return done(request, books_url(books), "It is open again.")


@login_required
@require_POST
def missing_records(request: HttpRequest) -> HttpResponse:
    """Issue what is missing of a session or booking at one's own depots."""
    viewer, books = _kept(request, Side.RECEIVABLE)
    session_id, booking_id = _number(request, "session"), _number(request, "booking")
    _own_depot(books, session_id, booking_id)
    try:
        cdr = issue_missing_record(session_id=session_id, booking_id=booking_id, now=timezone.now())
    except BookingError as refusal:
        return _page(request, viewer, books, status_of(refusal), refusal=str(refusal))
    return done(request, books_url(books), f"Record {cdr.code} is issued.")


@login_required
@require_POST
def price_checks(request: HttpRequest) -> HttpResponse:
    """Price the month's records again, so many at once."""
    _, books = _kept(request)
    checked = check_prices(of_month(_records(books), books.month), most=CHECKED_AT_ONCE, now=timezone.now())
    return done(request, books_url(books), f"{checked} record{'' if checked == 1 else 's'} priced again.")


def _page(
    request: HttpRequest,
    viewer: BooksViewer,
    books: Books,
    status: int = 200,
    *,
    refusal: str = "",
    chosen: set[str] | None = None,
) -> HttpResponse:
    report = reconcile(books, now=timezone.now())
    page = Paginator(report.findings, A_PAGE).get_page(request.GET.get("page"))
    findings = list(page.object_list)
    steps = _steps_of(viewer, books, findings)
    shown = [(each, steps.of(each), _choice(each)) for each in findings]
    latest = Month.of(timezone.localdate())
    context = {
        "books": books, "organisation": steps.organisation, "is_kept": steps.is_kept, "report": report, "page": page,
        "groups": _grouped(shown), "counts": _counts(report), "refusal": refusal,
        "chosen": chosen or set(), "month": books.month, "is_latest": books.month >= latest, "places": _places(viewer, books),
        "others": _others(books), "matched": _matched(request, report), "here": books_url(books),
        "earlier": books_url(_at(books, books.month.previous)), "later": books_url(_at(books, books.month.next)),
        "incoming": report.incoming.rows, "here_query": books_url(books).removeprefix(reverse("bookings:reconciliation")),
        "everybody": books_url(Books(books.organisation_id, books.side, books.month)),
    }  # fmt: skip
    return respond(request, "bookings/reconciliation/books", context, status)


def _counts(report: Reconciliation) -> str:
    found = [(report.count(group), group.label.lower()) for group in FindingGroup]
    return " · ".join(f"{count} {words}" for count, words in found if count)


def _asked(request: HttpRequest) -> tuple[BooksViewer, Books]:
    """The first books somebody may see, unless the address names others; 404 for what is not theirs."""
    viewer = books_access.books_viewer(request.user)
    given = request.GET if request.method != "POST" else request.POST
    organisation_id, side = _number(request, "organisation"), given.get("side", "")
    matching = [
        (row, each)
        for row, each in viewer.all
        if organisation_id in {None, row.pk} and side in {"", each.value}
    ]
    if not matching:
        raise Http404
    # An operator looks first at what it is owed.
    row, chosen = next(
        ((row, each) for row, each in matching if row.pk in viewer.receivable and each is Side.RECEIVABLE),
        matching[0],
    )
    latest = Month.of(timezone.localdate())
    month = chosen_month(given.get("month", ""), latest.previous)
    return viewer, Books(row.pk, chosen, month, _number(request, "with"))


def _kept(request: HttpRequest, side: Side | None = None) -> tuple[BooksViewer, Books]:
    viewer, books = _asked(request)
    if books.organisation_id not in viewer.kept or side not in {None, books.side}:
        raise Http404
    return viewer, books


def _number(request: HttpRequest, name: str) -> int | None:
    given = request.GET if request.method != "POST" else request.POST
    text = str(given.get(name) or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _own_depot(books: Books, session_id: int | None, booking_id: int | None) -> None:
    if session_id is not None:
        get_object_or_404(ChargingSession, pk=session_id, evse__depot__operator=books.organisation_id)
    if booking_id is not None:
        get_object_or_404(
            Booking, pk=booking_id, depot__operator=books.organisation_id, depot__is_mirror=False
        )
    if session_id is None and booking_id is None:
        raise Http404


def _choice(finding: Finding) -> str:
    """What a checkbox sends: of what was found by then."""
    return f"{version_of(finding.facts)}:{finding.key}"


def _steps_of(viewer: BooksViewer, books: Books, findings: list[Finding]) -> StepsOf:
    organisation = (viewer.payable if books.is_payable else viewer.receivable)[books.organisation_id]
    is_kept = organisation.pk in viewer.kept
    return StepsOf(
        books=books, organisation=organisation, is_kept=is_kept, may_dispute=organisation.pk in viewer.disputing,
        mails=_addresses(books, findings), lines=differing_lines(findings) if books.is_payable else {},
        billing_version=billing_version(organisation.pk) if is_kept and not books.is_payable else 0,
        self_billed=billing_versions(reverse_billing.agreed().suppliers) if is_kept and books.is_payable else {},
    )  # fmt: skip


def _addresses(books: Books, findings: list[Finding]) -> dict[int, str]:
    """By organisation, where its invoices are asked for. Anybody can be named as who sent an invoice: of those only with whom
    there are records."""
    others = {(each.counterparty_id, each.about.incoming_id is None) for each in findings}
    ours = {pk for pk, is_ours in others if is_ours}
    other = "operator" if books.is_payable else "customer"
    dealt_with = _records(Books(books.organisation_id, books.side, books.month)).filter(
        **{other: OuterRef("pk")}
    )
    rows = Organisation.objects.filter(pk__in={pk for pk, _ in others if pk is not None})
    rows = rows.filter(Q(pk__in=ours - {None}) | Exists(dealt_with))
    return dict(rows.values_list("pk", "billing_email"))


def _grouped(
    shown: list[tuple[Finding, list[Step], str]],
) -> list[tuple[FindingGroup, list[tuple[Finding, list[Step], str]]]]:
    found = [(group, [each for each in shown if each[0].kind.group is group]) for group in FindingGroup]
    return [(group, rows) for group, rows in found if rows]


def _places(viewer: BooksViewer, books: Books) -> list[tuple[str, str, bool]]:
    """Words, address and whether it is here, of each side of each organisation's books."""
    several = len({row.pk for row, _ in viewer.all}) > 1
    found = []
    for row, side in viewer.all:
        words = f"{row.name}: {SIDES[side].lower()}" if several else SIDES[side]
        is_here = (row.pk, side) == (books.organisation_id, books.side)
        found.append((words, books_url(Books(row.pk, side, books.month)), is_here))
    return found


def _records(books: Books) -> Any:
    mine, theirs = ("customer", "operator") if books.is_payable else ("operator", "customer")
    rows = ChargeDetailRecord.objects.filter(**{mine: books.organisation_id}).exclude(
        **{theirs: books.organisation_id}
    )
    return rows if books.counterparty_id is None else rows.filter(**{theirs: books.counterparty_id})


def _others(books: Books) -> list[tuple[Organisation, str]]:
    """With whom there are records or invoices in the month, each with the address of the books with them alone."""
    everybody = Books(books.organisation_id, books.side, books.month)
    other = "operator" if books.is_payable else "customer"
    rows = of_month(_records(everybody), books.month).order_by().values(other)
    mine, theirs = ("customer", "supplier") if books.is_payable else ("supplier", "customer")
    billed = Invoice.objects.filter(**{mine: books.organisation_id}, month=books.month.first_day).values(
        theirs
    )
    found = Organisation.objects.filter(Q(pk__in=rows) | Q(pk__in=billed)).exclude(pk=books.organisation_id)
    return [
        (row, books_url(Books(books.organisation_id, books.side, books.month, row.pk)))
        for row in found.order_by("name")
    ]


def _matched(request: HttpRequest, report: Reconciliation) -> Any:
    """A page of the records about which nothing is wrong, and each with the incoming invoice that names it."""
    books = report.books
    rows = of_month(_records(books), books.month).filter(credits=None, credited_by=None)
    rows = rows.exclude(pk__in=report.doubted).select_related(
        "booking", "invoiced__invoice", "depot", "operator", "customer"
    )
    shown = rows.defer("bill", "periods", "received").order_by("ends_at", "pk")
    page = Paginator(shown, A_PAGE).get_page(request.GET.get("matched"))
    by_code = {code: row for row in report.incoming.rows for code in report.incoming.codes(row)}
    return page, [(cdr, by_code.get(cdr.code.upper())) for cdr in page.object_list]


def _at(books: Books, month: Month) -> Books:
    return Books(books.organisation_id, books.side, month, books.counterparty_id)


def _actor(request: HttpRequest, books: Books) -> Any:
    return access.as_dispatcher(request.user) if books.is_payable else access.as_manager(request.user)


def _csv_row(finding: Finding, accepted: AcceptedFinding | None) -> list[Any]:
    figures = [finding.expected, finding.found, finding.difference]
    return [
        finding.kind.group.label, finding.kind.label, finding.words, finding.counterparty,
        finding.at.isoformat() if finding.at else "", finding.currency,
        *("" if figure is None else f"{figure:.2f}" for figure in figures),
        accepted.reason if accepted else "", accepted.accepted_by_name if accepted else "",
    ]  # fmt: skip
