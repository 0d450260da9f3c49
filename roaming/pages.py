"""The page about partner networks."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from depots import pages
from roaming import access, queries


@never_cache
@login_required
@require_safe
def partners(request: HttpRequest) -> HttpResponse:
    """Whether each network is there, and what it sends that could not be taken as it came."""
    access.require_sight_of_partners(request.user)
    return pages.respond(request, "roaming/partners", {"states": queries.partner_states()})
