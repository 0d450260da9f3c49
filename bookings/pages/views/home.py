from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache

from bookings.models import Vehicle
from bookings.pages import access, day, money_access, navigation
from bookings.pages.forms.slots import SearchForm
from depots import pages
from depots.models import User
from depots.views import sign_in


@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """Where everybody starts: strangers sign in, dispatchers see their day, who runs depots goes to a board."""
    user = request.user
    if request.method not in {"GET", "HEAD"} or not isinstance(user, User):
        return sign_in(request)
    if access.fleets_seen(user):
        return _today(request, user)
    boards = navigation.nav_of(request).boards
    if not boards and money_access.accounts_kept(user):
        return redirect("bookings:invoices")
    if len(boards) == 1:
        return redirect(boards[0].url)
    return _boards(request) if boards else pages.respond(request, "bookings/nothing")


def _today(request: HttpRequest, user: User) -> HttpResponse:
    now = timezone.now()
    entries = day.of_the_day(access.bookings_of(user), now)
    fleets = access.organisations_booked_for(user)
    context = {
        "entries": entries,
        "groups": day.grouped(entries),
        "tallies": day.tallies(entries),
        "may_book": bool(fleets),
        "now": now,
        "is_several": len(access.fleets_seen(user)) > 1,
    }
    if fleets and not pages.wants_part(request):
        vehicles = list(
            Vehicle.objects.filter(fleet__in=fleets, is_retired=False)
            .select_related("fleet")
            .order_by("plate")
        )
        context["form"] = SearchForm({}, fleets=fleets, vehicles=vehicles, now=now)
    return pages.respond(request, "bookings/home", context)


def _boards(request: HttpRequest) -> HttpResponse:
    """Which depot? For who runs several."""
    nav = navigation.nav_of(request)
    boards = [
        (depot, link, nav.waiting_at[depot.pk]) for depot, link in zip(nav.depots, nav.boards, strict=True)
    ]
    return pages.respond(request, "bookings/depots", {"boards": boards})
