"""EVSEs out of use: look first what stands in the way, then close."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings import operations
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import LIVE, Booking, Closure
from bookings.operations.close import Proposal, version_of
from bookings.pages import access
from bookings.pages.board.reading import evses_of
from bookings.pages.forms.depot import ClosureForm, add_refusal
from bookings.pages.views.refusals import status_of
from bookings.rules import content_version
from bookings.rules.content_version import seen_version
from depots.models import Depot
from depots.pages import done, respond
from depots.periods import Period
from depots.wall_clock import local_text

SHOWN_PAST = timedelta(days=7)


@never_cache
@login_required
@require_safe
def closures(request: HttpRequest, code: str) -> HttpResponse:
    depot = access.yard(request.user, code)
    return _list(request, depot, _blank(request, depot))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def close(request: HttpRequest, code: str) -> HttpResponse:
    """GET previews what the asked closure runs into and changes nothing; POST closes, and clears when told to."""
    depot = access.run_depot(request.user, code)
    if request.method != "POST" and "starts_at" not in request.GET:
        return _preview(request, depot, _blank(request, depot))
    form = ClosureForm(
        request.POST if request.method == "POST" else request.GET, depot=depot, evses=evses_of(depot)
    )
    if not form.is_valid() or form.period is None:
        return _preview(request, depot, form, status=422)
    proposals = _would_be(form, form.period)
    if request.method != "POST":
        return _preview(request, depot, form, proposals)
    try:
        closed = _close(request, form, form.period, proposals)
    except ChangedMeanwhile:
        # What was looked at is not what would be done: look again first.
        return _preview(request, depot, form, proposals, status=409)
    except BookingError as refusal:
        add_refusal(form, refusal, depot)
        return _preview(request, depot, form, status=status_of(refusal))
    return _closed(request, closed)


@never_cache
@login_required
@require_safe
def closure(request: HttpRequest, code: str, closure_id: int) -> HttpResponse:
    """One closure, with what still stands in it and what would become of that."""
    return _closure(request, access.closure(request.user, code, closure_id))


@login_required
@require_POST
def clear(request: HttpRequest, code: str, closure_id: int) -> HttpResponse:
    """Move or cancel what still stands in a closure."""
    found = access.closure(request.user, code, closure_id)
    try:
        told = _clear(request, found)
    except BookingError as refusal:
        return _closure(request, found, refusal)
    return done(request, reverse("bookings:closures", args=[found.evse.depot.code]), told)


@login_required
@require_POST
def lift(request: HttpRequest, code: str, closure_id: int) -> HttpResponse:
    found = access.closure(request.user, code, closure_id)
    try:
        version = seen_version(request.POST)
        operations.lift_closure(closure_id=found.pk, seen_version=version, now=timezone.now())
    except BookingError as refusal:
        return _closure(request, found, refusal)
    told = f"{found.evse} is open again."
    return done(request, reverse("bookings:closures", args=[found.evse.depot.code]), told)


def _closure(request: HttpRequest, found: Closure, refusal: BookingError | None = None) -> HttpResponse:
    depot, now = found.evse.depot, timezone.now()
    shown = _shown(found, depot, now)
    standing = [] if shown["state"] == "over" else operations.affected(found, now=now)
    context = {
        **shown,
        "depot": depot,
        "rows": [_proposed(proposal, depot) for proposal in standing],
        "version": version_of(standing),
        "will_clear": any(not proposal.stays for proposal in standing),
        "summary": _summary(Counter(_kind(proposal) for proposal in standing)),
        "refusal": refusal,
        "back_url": reverse("bookings:closures", args=[depot.code]),
    }
    return respond(request, "bookings/closures/closure", context, status_of(refusal) if refusal else 200)


def _list(request: HttpRequest, depot: Depot, form: ClosureForm, status: int = 200) -> HttpResponse:
    now = timezone.now()
    rows = Closure.objects.filter(evse__depot=depot, ends_at__gt=now - SHOWN_PAST).select_related("evse")
    found = [_shown(closure, depot, now) for closure in _with_standing(rows).order_by("starts_at", "pk")]
    groups = [
        (title, [row for row in found if row["state"] == state])
        for state, title in [("now", "In force"), ("ahead", "Ahead"), ("over", "Over in the last week")]
    ]
    return respond(
        request,
        "bookings/closures/closures",
        {
            "depot": depot,
            "groups": [(title, rows) for title, rows in groups if rows],
            "form": form if depot.operator_id in access.operators_decided_for(request.user) else None,
        },
        status,
    )


def _preview(
    request: HttpRequest,
    depot: Depot,
    form: ClosureForm,
    proposals: list[Proposal] | None = None,
    status: int = 200,
) -> HttpResponse:
    rows = [_proposed(proposal, depot) for proposal in proposals or []]
    return respond(
        request,
        "bookings/closures/close",
        {
            "depot": depot,
            "form": form,
            "is_previewed": proposals is not None,
            "is_stale": status == HTTPStatus.CONFLICT and proposals is not None,
            "rows": rows,
            "version": version_of(proposals or []),
            "will_clear": any(row["kind"] != "stays" for row in rows),
            "summary": _summary(Counter(row["kind"] for row in rows)),
            "back_url": reverse("bookings:closures", args=[depot.code]),
        },
        status,
    )


def _blank(request: HttpRequest, depot: Depot) -> ClosureForm:
    """From the next full hour for two hours, at the EVSE the address names."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    initial = {
        "evse": request.GET.get("evse", ""),
        "starts_at": local_text(hour, depot.zone),
        "ends_at": local_text(hour + timedelta(hours=2), depot.zone),
    }
    return ClosureForm(initial=initial, depot=depot, evses=evses_of(depot))


def _would_be(form: ClosureForm, period: Period) -> list[Proposal]:
    closure = Closure(evse=form.cleaned_data["evse"], starts_at=period.starts_at, ends_at=period.ends_at)
    return operations.affected(closure, now=timezone.now())


def _close(request: HttpRequest, form: ClosureForm, period: Period, proposals: list[Proposal]) -> Closure:
    """Raises ChangedMeanwhile when the preview showed something else than these proposals."""
    if seen_version(request.POST) != version_of(proposals):
        raise ChangedMeanwhile("What stands in its way has changed since you looked. Look again.")
    return operations.close_evse(
        evse=form.cleaned_data["evse"], period=period, reason=form.cleaned_data["reason"],
        actor=access.as_manager(request.user), now=timezone.now(),
    )  # fmt: skip


def _closed(request: HttpRequest, closed: Closure) -> HttpResponse:
    """On to the list; where it was to be cleared as well and could not, to the closure."""
    code, told = closed.evse.depot.code, f"{closed.evse} is closed."
    if "clear" not in request.POST:
        return done(request, reverse("bookings:closures", args=[code]), told)
    # A change of its own after the closure: whoever books meanwhile is refused already, so nothing slips in between.
    try:
        cleared = _clear(request, closed)
    except BookingError as refusal:
        return done(request, reverse("bookings:closure", args=[code, closed.pk]), f"{told} {refusal}")
    return done(request, reverse("bookings:closures", args=[code]), f"{told} {cleared}")


def _clear(request: HttpRequest, closure: Closure) -> str:
    done_with = operations.clear_closure(
        closure_id=closure.pk,
        seen_version=seen_version(request.POST),
        actor=access.as_manager(request.user),
        now=timezone.now(),
    )
    return _summary(Counter(_kind(proposal) for proposal in done_with))


def _kind(proposal: Proposal) -> str:
    if proposal.stays:
        return "stays"
    return "moved" if proposal.move_to is not None else "cancelled"


def _summary(kinds: Counter[str]) -> str:
    words = [("moved", "moved"), ("cancelled", "cancelled"), ("stays", "left to finish charging")]
    parts = [f"{kinds[kind]} {word}" for kind, word in words if kinds[kind]]
    return f"Bookings: {', '.join(parts)}." if parts else "No booking stood in it."


def _proposed(proposal: Proposal, depot: Depot) -> dict[str, Any]:
    booking = proposal.booking
    return {
        "booking": booking,
        "kind": _kind(proposal),
        "move_to": proposal.move_to,
        "starts_at": booking.starts_at.astimezone(depot.zone),
        "ends_at": booking.ends_at.astimezone(depot.zone),
        "url": reverse("bookings:board_booking", args=[depot.code, booking.pk]),
    }


def _shown(closure: Closure, depot: Depot, now: datetime) -> dict[str, Any]:
    over = closure.lifted_at is not None or closure.ends_at <= now
    return {
        "closure": closure,
        "lifting_version": content_version.version_of(closure),
        "starts_at": closure.starts_at.astimezone(depot.zone),
        "ends_at": closure.ends_at.astimezone(depot.zone),
        "state": "over" if over else "now" if closure.starts_at <= now else "ahead",
        "standing": 0 if over else getattr(closure, "standing", 0),
    }


def _with_standing(rows: QuerySet[Closure]) -> QuerySet[Closure]:
    """How many live bookings each closure still runs into, counted in the same query."""
    inside = Booking.objects.filter(
        evse=OuterRef("evse"),
        status__in=LIVE,
        starts_at__lt=OuterRef("ends_at"),
        ends_at__gt=OuterRef("starts_at"),
    )
    numbers = inside.order_by().values("evse").annotate(number=Count("pk")).values("number")
    return rows.annotate(standing=Coalesce(Subquery(numbers), 0))
