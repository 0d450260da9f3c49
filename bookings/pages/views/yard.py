"""A depot's chargers: how they are connected, what they can do, what stands wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings.models import Booking, BookingStatus, Enforcement
from bookings.pages import access
from bookings.pages.board import running_at, states_of
from bookings.pages.board.reading import evses_of
from bookings.pages.board.row_states import RowState
from bookings.pages.charger_capability import reserving
from bookings.pages.charger_settings import differing_settings
from bookings.pages.depot_power import power_of_depot
from bookings.pages.expected_trucks import expected_trucks
from bookings.pages.overstay_words import words_by_booking
from bookings.pages.yard_figures import figures_of
from bookings.rules.own_slots import note_going_on
from depots.models import Charger, Depot, Evse, Fallback
from depots.pages import respond
from depots.queries import is_online

TROUBLED = [Enforcement.AT_RISK, Enforcement.SOFT]


@never_cache
@login_required
@require_safe
def yard(request: HttpRequest, code: str) -> HttpResponse:
    depot = access.yard(request.user, code)
    now = timezone.now()
    evses = list(evses_of(depot))
    states = states_of(evses, running_at(evses), now=now)
    rows, power = _rows(depot, evses, states, now), power_of_depot(depot, now)
    return respond(
        request,
        "bookings/yard/yard",
        {
            "depot": depot,
            "rows": rows,
            "all_chargers": f"of {len(rows)} chargers",
            "online": sum(row["is_online"] for row in rows),
            "faulted": sum(state.look == "faulted" for state in states.values()),
            "troubled": _troubled(depot, now),
            "expected": expected_trucks(depot, now),
            **power,
            **figures_of(depot, states.values(), of_limit=power["power_hint"]),
            "can_manage": depot.operator_id in access.operators_decided_for(request.user),
        },
    )


def _rows(
    depot: Depot, evses: list[Evse], states: Mapping[int, RowState], now: datetime
) -> list[dict[str, Any]]:
    """One a charger, with the states of its EVSEs; `states` by EVSE."""
    differing = differing_settings(depot)
    places = defaultdict(list)
    for evse in evses:
        places[evse.charger_id].append(states[evse.pk])
    return [
        {
            "charger": charger,
            "is_online": is_online(charger, now=now),
            "states": places[charger.pk],
            "is_deaf": charger.measured.get("answers_calls") is False,
            "reserving": reserving(charger),
            "differing": differing.get(charger.pk),
        }
        for charger in Charger.objects.filter(depot=depot).order_by("cabinet", "identity")
    ]


def _troubled(depot: Depot, now: datetime) -> list[dict[str, Any]]:
    """Bookings whose slot a charger does not keep as promised, the next first, and vehicles that have outlived theirs; each
    with why. An EVSE that is kept without a reservation is kept."""
    is_unkept = Q(status=BookingStatus.CONFIRMED, enforcement__in=TROUBLED) & ~Q(
        enforcement=Enforcement.SOFT, enforcement_why__in=Fallback.values
    )
    is_over = Q(status=BookingStatus.CHARGING, ends_at__lte=now, session__ended_at=None)
    rows = Booking.objects.filter(is_unkept | is_over, depot=depot).select_related("evse", "fleet", "depot")
    found = list(rows.order_by("starts_at")[:50])
    note_going_on(found, now=now)
    late = words_by_booking(found, now=now)
    return [
        {"booking": booking, "why": late.get(booking.pk) or booking.enforcement_explained}
        for booking in found
        if booking.pk in late or booking.status == BookingStatus.CONFIRMED
    ]
