"""How well a depot's chargers were in order."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings.pages import access
from bookings.pages.uptime import uptime_by_charger
from depots.pages import respond


@never_cache
@login_required
@require_safe
def uptime(request: HttpRequest, code: str) -> HttpResponse:
    """A page by itself, and a part of the yard's that is loaded after it: it reads a week of states."""
    depot = access.yard(request.user, code)
    return respond(request, "bookings/yard/availability", uptime_by_charger(depot, now=timezone.now()))
