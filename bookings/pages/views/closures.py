"""EVSEs out of use: look first what stands in the way, decide on each, then close; and take it back."""

from __future__ import annotations

from datetime import datetime, timedelta
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
from bookings.models import LIVE, Booking, Closure, ClosureAct
from bookings.operations.close import later_of
from bookings.operations.closure_acts import act_version, can_be_undone
from bookings.operations.closure_plan import Outage, proposed, version_of
from bookings.pages import access
from bookings.pages.board.reading import evses_of
from bookings.pages.closure_rows import (
    StepRow,
    all_stay,
    choices_of,
    evse_names,
    gone_since,
    rows_of,
    seen_rows,
    summary,
    summary_of_steps,
    with_next_alone,
)
from bookings.pages.forms.depot import ClosureForm, nearest_words
from bookings.pages.series_rows import rule_words
from bookings.pages.views.refusals import status_of
from bookings.rules import content_version
from bookings.rules.content_version import seen_version
from depots.models import Depot
from depots.pages import done, respond
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
    """GET previews what the asked closure runs into and changes nothing; POST closes, and does with each booking what was
    proposed or chosen when told to `clear`, else leaves them all."""
    depot = access.run_depot(request.user, code)
    if request.method != "POST" and "starts_at" not in request.GET:
        return respond(request, "bookings/closures/close", _asking(_blank(request, depot), depot))
    given = request.POST if request.method == "POST" else request.GET
    form = ClosureForm(given, depot=depot, evses=evses_of(depot))
    if not form.is_valid():
        return respond(request, "bookings/closures/close", _asking(form, depot), 422)
    outage = form.outage
    if request.method != "POST":
        return _preview(request, form, outage)
    try:
        act = _close(request, form, outage)
    except BookingError as refusal:
        return _preview(request, form, outage, refusal)
    return _to_act(request, act, form.done)


@never_cache
@login_required
@require_safe
def act(request: HttpRequest, code: str, act_id: int) -> HttpResponse:
    """What one decision closed, and what became of each booking."""
    return _act(request, access.closure_act(request.user, code, act_id))


@login_required
@require_POST
def undo(request: HttpRequest, code: str, act_id: int) -> HttpResponse:
    found = access.closure_act(request.user, code, act_id)
    try:
        operations.undo_closure(
            act_id=found.pk, seen_version=seen_version(request.POST), actor=access.as_manager(request.user),
            now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _act(request, access.closure_act(request.user, code, act_id), refusal)
    return _to_act(request, found, "The closure is taken back.")


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
    """This one; with `following` of one that comes again all later ones as well."""
    found, following = access.closure(request.user, code, closure_id), "following" in request.POST
    try:
        version = seen_version(request.POST)
        operations.lift_closure(
            closure_id=found.pk,
            following=following,
            seen_version=version,
            actor=access.as_manager(request.user),
            now=timezone.now(),
        )
    except BookingError as refusal:
        return _closure(request, found, refusal)
    told = (
        f"{found.evse} is open again, then and on all later days."
        if following
        else f"{found.evse} is open again."
    )
    return done(request, reverse("bookings:closures", args=[found.evse.depot.code]), told)


def _closure(request: HttpRequest, found: Closure, refusal: BookingError | None = None) -> HttpResponse:
    depot, now = found.evse.depot, timezone.now()
    shown = _shown(found, depot, now)
    standing = [] if shown["state"] == "over" else operations.affected(found, now=now)
    later = later_of(found).filter(lifted_at=None)
    context = {
        **shown,
        "depot": depot,
        "rows": rows_of(standing, depot),
        "version": version_of(standing),
        "will_clear": any(not proposal.stays for proposal in standing),
        "rule": rule_words(found.act.rrule) if found.act is not None and found.act.rrule else "",
        "later": later.count(),
        "refusal": refusal,
        "back_url": reverse("bookings:closures", args=[depot.code]),
    }
    return respond(request, "bookings/closures/closure", context, status_of(refusal) if refusal else 200)


def _list(request: HttpRequest, depot: Depot, form: ClosureForm, status: int = 200) -> HttpResponse:
    now = timezone.now()
    rows = Closure.objects.filter(evse__depot=depot, ends_at__gt=now - SHOWN_PAST).select_related(
        "evse", "act"
    )
    found = [_shown(closure, depot, now) for closure in _with_standing(rows).order_by("starts_at", "pk")]
    found = with_next_alone(found)
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
            "acts": _acts(depot, now),
            "form": form if depot.operator_id in access.operators_decided_for(request.user) else None,
        },
        status,
    )


def _asking(form: ClosureForm, depot: Depot) -> dict[str, Any]:
    return {
        "depot": depot,
        "form": form,
        "is_previewed": False,
        "back_url": reverse("bookings:closures", args=[depot.code]),
    }


def _preview(
    request: HttpRequest, form: ClosureForm, outage: Outage, refusal: BookingError | None = None
) -> HttpResponse:
    """What stands in the way as things are; after a refusal with what was chosen, and what is other than was seen."""
    depot, given = outage.depot, request.POST if refusal else None
    proposals = proposed(outage, leaves_armed=True, offers=True, now=timezone.now())
    rows = rows_of(proposals, depot, given)
    context = {
        **_asking(form, depot),
        "is_previewed": True,
        "rule": rule_words(outage.rrule) if outage.rrule else "",
        "days": outage.days,
        "rows": rows,
        "seen_rows": seen_rows(proposals),
        "version": version_of(proposals),
        "will_clear": any(row.options for row in rows),
        "refusal": _refused(refusal, outage) if refusal else "",
        "gone": gone_since(given, proposals) if given else 0,
    }
    return respond(request, "bookings/closures/close", context, status_of(refusal) if refusal else 200)


def _refused(refusal: BookingError, outage: Outage) -> str:
    if isinstance(refusal, ChangedMeanwhile):
        return "Nothing is closed yet: what stands there has changed since you looked. This is how it is now."
    return f"Nothing is closed yet. {nearest_words(refusal, outage.depot)}"


def _blank(request: HttpRequest, depot: Depot) -> ClosureForm:
    """From the next full hour for two hours, at the EVSE the address names."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    initial = {
        "evse": request.GET.getlist("evse"),
        "starts_at": local_text(hour, depot.zone),
        "ends_at": local_text(hour + timedelta(hours=2), depot.zone),
    }
    return ClosureForm(initial=initial, depot=depot, evses=evses_of(depot))


def _close(request: HttpRequest, form: ClosureForm, outage: Outage) -> ClosureAct:
    """Raises ChangedMeanwhile when the preview showed something else than is proposed by now."""
    now = timezone.now()
    proposals = proposed(outage, leaves_armed=True, offers=True, now=now)
    clears = "clear" in request.POST
    choices = choices_of(request.POST, proposals, evses_of(outage.depot)) if clears else all_stay(proposals)
    return operations.close_evses(
        outage=outage, reason=form.cleaned_data["reason"], choices=choices, offers=True,
        seen_version=seen_version(request.POST), actor=access.as_manager(request.user), now=now,
    )  # fmt: skip


def _to_act(request: HttpRequest, act: ClosureAct, told: str) -> HttpResponse:
    """To what became of its bookings; without any to the list."""
    code, steps = act.depot.code, list(act.steps.all())
    if not steps:
        return done(request, reverse("bookings:closures", args=[code]), told)
    words = told if act.undone_at else f"{told} {summary_of_steps(steps)}"
    return done(request, reverse("bookings:closure_act", args=[code, act.pk]), words)


def _act(request: HttpRequest, found: ClosureAct, refusal: BookingError | None = None) -> HttpResponse:
    depot = found.depot
    context = {
        "act": found,
        "depot": depot,
        "rule": rule_words(found.rrule) if found.rrule else "",
        "rows": [StepRow(step, depot) for step in found.steps.all()],
        "evses": evse_names(found),
        "summary": summary_of_steps(found.steps.all()),
        "version": act_version(found),
        "can_undo": can_be_undone(found, now=timezone.now()),
        "refusal": refusal,
        "back_url": reverse("bookings:closures", args=[depot.code]),
    }
    return respond(request, "bookings/closures/act", context, status_of(refusal) if refusal else 200)


def _clear(request: HttpRequest, closure: Closure) -> str:
    done_with = operations.clear_closure(
        closure_id=closure.pk,
        seen_version=seen_version(request.POST),
        actor=access.as_manager(request.user),
        now=timezone.now(),
    )
    return summary(proposal.outcome for proposal in done_with)


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


def _acts(depot: Depot, now: datetime) -> list[tuple[ClosureAct, str, str]]:
    """What was decided about closures that are not long over, the newest first, with the EVSEs and what became of its
    bookings."""
    rows = ClosureAct.objects.filter(depot=depot, ends_at__gt=now - SHOWN_PAST).order_by("-made_at", "-pk")
    found = rows.prefetch_related("steps", "closures__evse")[:50]
    return [(act, evse_names(act), summary_of_steps(act.steps.all())) for act in found]


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
