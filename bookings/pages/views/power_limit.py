"""A depot's power, limited from outside by its manager for a while, and the limit lifted."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings import operations
from bookings.errors import BookingError
from bookings.pages import access
from bookings.pages.forms.depot import PowerLimitForm, add_refusal
from bookings.pages.views.refusals import status_of
from bookings.rules.content_version import seen_version
from depots.models import Depot
from depots.pages import done, respond
from depots.templatetags.berth import kilowatts
from depots.wall_clock import local_text


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def power_limit(request: HttpRequest, code: str) -> HttpResponse:
    depot = access.run_depot(request.user, code)
    now = timezone.now()
    if request.method != "POST":
        times = {
            "starts_at": local_text(now, depot.zone),
            "ends_at": local_text(now + timedelta(hours=1), depot.zone),
        }
        return _page(request, depot, PowerLimitForm(initial=times, depot=depot))
    form = PowerLimitForm(request.POST, depot=depot)
    if not form.is_valid() or form.period is None:
        return _page(request, depot, form, status=422)
    try:
        limit = operations.limit_depot(
            depot=depot, watts=form.watts, period=form.period, actor=access.as_manager(request.user), now=now
        )
    except BookingError as refusal:
        add_refusal(form, refusal, depot)
        return _page(request, depot, form, status=status_of(refusal))
    until = local_text(limit.ends_at, depot.zone).replace("T", " ")
    return done(
        request, _yard(depot), f"{depot.name} takes no more than {kilowatts(limit.watts)} until {until}."
    )


@never_cache
@login_required
@require_POST
def lift(request: HttpRequest, code: str) -> HttpResponse:
    depot = access.run_depot(request.user, code)
    try:
        operations.lift_limits(depot=depot, seen_version=seen_version(request.POST), now=timezone.now())
    except BookingError as refusal:
        form = PowerLimitForm(depot=depot)
        return _page(request, depot, form, status=status_of(refusal), refusal=str(refusal))
    return done(request, _yard(depot), "All the power of the connection again.")


def _page(
    request: HttpRequest, depot: Depot, form: PowerLimitForm, *, status: int = 200, refusal: str = ""
) -> HttpResponse:
    context = {"depot": depot, "form": form, "refusal": refusal, "back_url": _yard(depot)}
    return respond(request, "bookings/yard/limit", context, status)


def _yard(depot: Depot) -> str:
    return reverse("bookings:yard", args=[depot.code])
