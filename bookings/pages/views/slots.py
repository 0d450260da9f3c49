from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings import operations
from bookings.errors import BookingError
from bookings.models import Booking, BookingOption, BookingStatus, Trailer, Vehicle
from bookings.operations import SlotRequest
from bookings.operations.undo import Act
from bookings.pages import access, finder, overlaps
from bookings.pages.forms.energy import written
from bookings.pages.forms.slots import ReserveForm, SearchForm
from bookings.pages.forms.undo_button import button_of
from bookings.pages.slot_rows import Nearest
from bookings.pages.views.refusals import status_of
from depots import pages
from depots.models import Depot, Organisation
from depots.wall_clock import local_text

LEGEND = [
    ("ground", "free"),
    ("taken", "taken"),
    ("mine", "yours"),
    ("closed", "closed"),
    ("wanted", "looked for"),
]
NONE_OPEN = {
    "none_title": "No depot is open to you yet",
    "none_text": "Ask a depot operator to open a depot to your fleet.",
}
NONE_THERE = {
    "none_title": "No depot lies there with all of that around it",
    "none_text": "Ask within more kilometres, or for less around the charger.",
}
OLDER_THAN_QUESTION = "This slot answered an earlier question."


@never_cache
@login_required
@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """The finder with its results; without a question it answers one of its own."""
    fleets = access.dispatcher(request.user)
    form = _question(request.GET, fleets, vehicles_of(fleets), timezone.now())
    return _finder(request, form, 200 if form.is_valid() else 422)


@login_required
@require_POST
def hold(request: HttpRequest) -> HttpResponse:
    """Keep a slot while its terms and price are read; its page asks to confirm."""
    return _reserve(request, "hold", _hold)


def book(request: HttpRequest) -> HttpResponse:
    """Book a slot at once, or ask for it where a depot or a partner decides. The caller has checked method and sign-in."""
    return _reserve(request, "book", _book)


def _reserve(
    request: HttpRequest, act: str, take: Callable[[HttpRequest, SlotRequest], Booking]
) -> HttpResponse:
    now, fleets = timezone.now(), access.dispatcher(request.user)
    vehicles = vehicles_of(fleets)
    form = ReserveForm(request.POST, fleets=fleets, vehicles=vehicles, now=now)
    is_sound = form.is_valid()
    question = _question(form.asked or _search_of(form), fleets, vehicles, now)
    if not is_sound:
        return _finder(request, question, 422, refused=_sentences(form))
    wanted = form.cleaned_data
    if form.asked and not question.shows(wanted):
        return _finder(request, question, 409, refused=OLDER_THAN_QUESTION)
    # In this order: what the first of two sends booked is seen as that, not as a booking in the way of the second.
    elsewhere = _elsewhere(request, wanted) if act == "book" else []
    request_id, earlier = _asked_before(form, act)
    if earlier is not None:
        return redirect(earlier)
    if elsewhere:
        return _finder(request, question, 409, elsewhere=elsewhere, form_sent=form)
    try:
        booking = take(request, form.slot_request(request_id))
    except BookingError as refusal:
        if earlier := _asked_before(form, act)[1]:  # sent twice, and the first was quicker
            return redirect(earlier)
        return _finder(
            request, question, status_of(refusal), refusal=refusal, refused_at=wanted["option"].depot
        )
    return redirect(booking)


def _hold(request: HttpRequest, slot: SlotRequest) -> Booking:
    slot = replace(slot, shown_price=None)  # the hold's page shows it
    return operations.hold_slot(slot, actor=access.as_dispatcher(request.user), now=timezone.now())


def _book(request: HttpRequest, slot: SlotRequest) -> Booking:
    booking = operations.request_booking(slot, actor=access.as_dispatcher(request.user), now=timezone.now())
    asked = booking.status == BookingStatus.REQUESTED
    words = f"{'Asked for' if asked else 'Booked'}: {booking.reference}."
    messages.success(request, words, extra_tags=button_of(Act.MADE, booking, now=timezone.now()))
    return booking


def _asked_before(form: ReserveForm, act: str) -> tuple[str, Booking | None]:
    """The id to ask by, and what an earlier send of the same slot made; or a hold of it, which is there to confirm."""
    wanted, request_id = form.cleaned_data, ""
    mine = Booking.objects.filter(fleet=wanted["fleet"])
    for request_id in form.request_ids(act):
        made = mine.filter(request_id=request_id).first()
        if made is None:
            break
        if _stands(made):
            return request_id, made
    period = wanted["period"].in_utc()
    same = mine.filter(
        option=wanted["option"], vehicle=wanted["vehicle"], trailer=wanted["trailer"],
        starts_at=period.starts_at, ends_at=period.ends_at,
        status=BookingStatus.HELD, held_until__gt=timezone.now(),
    )  # fmt: skip
    return request_id, (same.filter(evse=wanted["evse"]) if wanted["evse"] else same).first()


def _elsewhere(request: HttpRequest, wanted: Mapping[str, Any]) -> list[Booking]:
    """Where the truck or its cards are booked then, as far as whoever books has not been told."""
    found = overlaps.overlapping(wanted["fleet"], wanted["period"], vehicle=wanted["vehicle"])
    return overlaps.unheard_of(
        found, told=wanted["despite"], since=wanted["shown_at"], actor=access.as_dispatcher(request.user)
    )


def _stands(booking: Booking) -> bool:
    ran_out = booking.held_until is not None and booking.held_until <= timezone.now()
    return booking.is_live and not ran_out


def _finder(
    request: HttpRequest,
    form: SearchForm,
    status: int,
    *,
    refusal: BookingError | None = None,
    refused_at: Depot | None = None,
    refused: str = "",
    elsewhere: list[Booking] | None = None,
    form_sent: ReserveForm | None = None,
) -> HttpResponse:
    """The question with its results; above them what was refused, or what is to be confirmed: `form_sent`, though its
    truck is `elsewhere`."""
    places, unclear, nearest = [], [], None
    if form.is_valid():
        search = form.search()
        places, unclear = (
            finder.places(request, form, search, request_id=uuid4()),
            finder.unclear_places(form),
        )
        if refusal is not None and refusal.nearest is not None and refused_at is not None:
            nearest = Nearest.of(form, search, refused_at, refusal.nearest)
    context = {
        "form": form, "places": places, "unclear": unclear, "refusal": str(refusal) if refusal else refused, "nearest": nearest,
        "legend": LEGEND, "free": sum(len(place.free) for place in places),
        "confirm": _confirmation(form_sent, elsewhere) if form_sent and elsewhere else None,
        **(NONE_THERE if form.depots else NONE_OPEN),
        "has_nearest": any(place.refusal and place.refusal.nearest for place in places),
    }  # fmt: skip
    return pages.respond(request, "bookings/slots", context, status)


def _confirmation(form: ReserveForm, elsewhere: list[Booking]) -> dict[str, Any]:
    """What was sent, to be sent again by who knows of the overlap: its words, where it goes on, and its fields."""
    told = form.cleaned_data["despite"] | {booking.pk for booking in elsewhere}
    kept = {
        name: value for name, value in form.data.items() if name not in {"csrfmiddlewaretoken", "despite"}
    }
    wanted = form.cleaned_data
    return {
        "words": overlaps.sentence(elsewhere, wanted["vehicle"]),
        "place": wanted["evse"] or wanted["option"],
        "depot": wanted["option"].depot,
        "fields": {**kept, "despite": ",".join(map(str, sorted(told)))},
    }


def _question(
    given: Mapping[str, Any], fleets: list[Organisation], vehicles: list[Vehicle], now: datetime
) -> SearchForm:
    trailers = list(Trailer.objects.filter(fleet__in=fleets, is_retired=False).order_by("plate"))
    return SearchForm(given, fleets=fleets, vehicles=vehicles, trailers=trailers, now=now)


def _search_of(form: ReserveForm) -> dict[str, str]:
    """The finder's question that a slot came from, as far as it makes sense."""
    wanted = getattr(form, "cleaned_data", {})
    fleet, vehicle, option, period = (wanted.get(name) for name in ("fleet", "vehicle", "option", "period"))
    found = {"fleet": fleet.name} if isinstance(fleet, Organisation) else {}
    if isinstance(vehicle, Vehicle):
        found["vehicle"] = vehicle.plate
    trailer = wanted.get("trailer")
    if isinstance(trailer, Trailer):
        found["trailer"] = trailer.plate
    if isinstance(option, BookingOption):
        found["depot"] = option.depot.code
    if isinstance(option, BookingOption) and period is not None:
        found["starts_at"] = local_text(period.starts_at, option.depot.zone)
        found["ends_at"] = local_text(period.ends_at, option.depot.zone)
    return found | written(wanted.get("energy"))


def _sentences(form: ReserveForm) -> str:
    return " ".join(f"{name}: {error}" for name, errors in form.errors.items() for error in errors)


def vehicles_of(fleets: list[Organisation]) -> list[Vehicle]:
    found = Vehicle.objects.filter(fleet__in=fleets, is_retired=False)
    return list(found.select_related("fleet").order_by("fleet__name", "plate"))
