"""Many bookings at once out of a pasted table: a dry run that shows each row, then one click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.imports.pasted_table import MOST_ROWS, PastedRow, Unreadable, read_table
from bookings.operations import ManyOutcome
from bookings.operations.book_many import version_of
from bookings.pages import access
from bookings.pages.copied_day import rows_of_day
from bookings.pages.forms.copied_day import CopyDayForm
from bookings.pages.many_rows import ManyReader, ManyRow, shown
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version
from depots import pages
from depots.models import Organisation

MOST_CHARACTERS = 40_000
NONE_THAT_DAY = "None of the fleet's bookings begins on that day."


@dataclass(frozen=True)
class _Sent:
    """What the form said: for which fleet, which rows, under which key."""

    fleets: Sequence[Organisation]
    fleet: Organisation
    text: str
    rows: Sequence[PastedRow]
    key: str
    refusal: str = ""


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def many(request: HttpRequest) -> HttpResponse:
    """The empty table; sent, it is booked: all, or what fits."""
    if request.method != "POST":
        fleets = access.dispatcher(request.user)
        return _page(request, _Sent(fleets, fleets[0], "", (), str(uuid4())), 200)
    sent, what_fits = _sent(request), request.POST.get("mode") == "what_fits"
    read = _read(sent)
    wishes = [row.wish for row in read if row.wish is not None]
    if sent.refusal or not wishes or (len(wishes) < len(read) and not what_fits):
        return _page(request, sent, 422, read)
    try:
        outcomes = operations.book_many(
            wishes, key=sent.key, what_fits=what_fits, seen_version=seen_version(request.POST),
            actor=access.as_dispatcher(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _page(request, sent, status_of(refusal), read, refused=words_of(refusal))
    return _booked(request, sent, read, outcomes)


@login_required
@require_POST
def rows(request: HttpRequest) -> HttpResponse:
    """A dry run of what is in the table: what would become of each row."""
    sent = _sent(request)
    return _page(request, sent, 422 if sent.refusal else 200, _read(sent))


@login_required
@require_POST
def copy_day(request: HttpRequest) -> HttpResponse:
    """The fleet's bookings of a day as a dry run for another day."""
    sent = _sent(request)
    form = CopyDayForm(request.POST)
    if not form.is_valid():
        return _page(request, sent, 422, copy_form=form)
    found = rows_of_day(sent.fleet, form.cleaned_data["copied_day"], form.cleaned_data["to_day"])
    if not found or len(found) > MOST_ROWS:
        why = (
            f"{len(found)} bookings begin on that day; {MOST_ROWS} are copied at once."
            if found
            else NONE_THAT_DAY
        )
        form.add_error("copied_day", why)
        return _page(request, sent, 422, copy_form=form)
    copied = _Sent(sent.fleets, sent.fleet, "", found, str(uuid4()))
    return _page(request, copied, 200, _read(copied))


def _booked(
    request: HttpRequest, sent: _Sent, read: Sequence[ManyRow], outcomes: Sequence[ManyOutcome]
) -> HttpResponse:
    """What was refused stays on the page, to be asked for otherwise."""
    became = dict(zip([row.number for row in read if row.wish is not None], outcomes, strict=True))
    left = [row.row for row in read if row.number not in became or became[row.number].booking is None]
    booked = len(read) - len(left)
    messages.success(request, f"{booked} of {len(read)} booked or asked for.")
    if not left:
        return redirect("bookings:bookings")
    rest = _Sent(sent.fleets, sent.fleet, "", left, str(uuid4()))
    return _page(request, rest, 200, _read(rest))


def _sent(request: HttpRequest) -> _Sent:
    fleets = access.dispatcher(request.user)
    fleet = next((one for one in fleets if str(one.pk) == request.POST.get("fleet")), fleets[0])
    text, lines = request.POST.get("table", "")[:MOST_CHARACTERS], request.POST.getlist("row")[:MOST_ROWS]
    taken = request.POST.get("take", "")
    if taken.isdecimal() and 0 < int(taken[:4]) <= len(lines):
        lines[int(taken[:4]) - 1] = request.POST.get(f"nearest-{taken[:4]}", "")
    try:
        found = [row for line in [*lines, text] for row in read_table(line)] if lines else read_table(text)
    except Unreadable as why:
        return _Sent(fleets, fleet, "\n".join([*lines, text]).strip(), (), str(uuid4()), str(why))
    return _Sent(fleets, fleet, "", found[:MOST_ROWS], _key(request.POST.get("key", "")))


def _key(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return str(uuid4())


def _read(sent: _Sent) -> list[ManyRow]:
    return ManyReader(sent.fleet, timezone.now()).read(sent.rows) if sent.rows else []


def _page(
    request: HttpRequest,
    sent: _Sent,
    status: int,
    read: Sequence[ManyRow] = (),
    *,
    refused: str = "",
    copy_form: CopyDayForm | None = None,
) -> HttpResponse:
    wishes, now = [row.wish for row in read if row.wish is not None], timezone.now()
    outcomes = operations.book_many(
        wishes, key=sent.key, dry_run=True, actor=access.as_dispatcher(request.user), now=now
    ) if wishes else []  # fmt: skip
    left = iter(outcomes)
    found = [shown(row, next(left) if row.wish is not None else None) for row in read]
    fits = sum(row.level != "danger" for row in found)
    context = {
        "fleets": sent.fleets, "fleet": sent.fleet, "text": sent.text, "rows": found, "key": sent.key,
        "version": version_of(outcomes), "fits": fits, "fits_all": fits == len(found), "most": MOST_ROWS,
        "refused": refused or sent.refusal, "copy_form": copy_form or CopyDayForm(initial=_days(now)),
    }  # fmt: skip
    return pages.respond(request, "bookings/many", context, status)


def _days(now: datetime) -> dict[str, date]:
    return {"copied_day": now.date(), "to_day": now.date() + timedelta(days=1)}
