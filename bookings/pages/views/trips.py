"""A trip and its stops, and the names of places for whoever types one."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings.models import Vehicle
from bookings.pages import access
from bookings.pages.forms.trips import TripForm
from bookings.pages.trip_plan import TripPage
from bookings.search.bookable import bookable_depots
from bookings.search.where import places_meant
from depots import pages
from depots.models import Organisation
from depots.routes import OppositePoints

# The fields that ask for places, by the names they send.
_ASKING = ("origin", "destination", "via", "near")


@never_cache
@login_required
@require_safe
def plan(request: HttpRequest) -> HttpResponse:
    """The stops of a trip, once it is asked for; nothing is booked by looking."""
    return plan_page(request, request.GET)


@never_cache
@login_required
@require_safe
def places(request: HttpRequest) -> HttpResponse:
    """What a text may mean, as options of a list; of several places with semicolons between it is the last."""
    fleets = access.dispatcher(request.user)
    asked = next((request.GET[name] for name in _ASKING if name in request.GET), "")
    before, _, last = asked.rpartition(";")
    now = timezone.now()
    depots = {depot.pk: depot for fleet in fleets for depot in bookable_depots(fleet, now=now)}
    found = places_meant(last, depots.values())
    prefix = f"{before}; " if before else ""
    return render(request, "bookings/trips/_places.html", {"found": found, "prefix": prefix})


def plan_page(request: HttpRequest, asked: QueryDict, status: int = 200, refused: str = "") -> HttpResponse:
    """The plan for what was asked; `refused` says why booking it came to nothing, with its status."""
    fleets, now = access.dispatcher(request.user), timezone.now()
    form = TripForm(asked, fleets=fleets, vehicles=vehicles_of(fleets), now=now)
    page = None
    if form.is_asked and form.is_valid():
        try:
            page = TripPage.of(form)
        except OppositePoints as refusal:
            form.add_error("destination", str(refusal))
    context = {"form": form, "page": page, "refused": refused, "question": asked.urlencode()}
    return pages.respond(
        request, "bookings/trips/plan", context, 422 if form.errors and status == 200 else status
    )


def vehicles_of(fleets: list[Organisation]) -> list[Vehicle]:
    found = Vehicle.objects.filter(fleet__in=fleets, is_retired=False)
    return list(found.select_related("fleet").order_by("fleet__name", "plate"))
