"""What boards hear of. The bar of a booking goes to those who look after the depot and to its own fleet; guests hear of an
EVSE only which spans are taken, under the EVSE's id: not even the number of somebody else's booking leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.dispatch import receiver
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from bookings.models import Booking, Closure, Occupancy
from bookings.pages.board import entries_of, running_at, states_of
from bookings.pages.board.bars import UNSHOWN, closed_of
from bookings.pages.board.entries import Entries
from bookings.pages.board.reading import visits_of
from bookings.pages.live.audiences import calendar_audience, depot_audience, evse_audiences, fleet_audience
from bookings.pages.live.publishing import publish, publish_taken
from bookings.pages.live.rendering import Views, renders, renders_all
from bookings.signals import free_time_changed
from depots.models import Charger, Evse
from depots.periods import Period, utc_text
from depots.signals import charging_ended, charging_started

# What a board may show of the time around now; whoever looks further loads the page again.
PAST, AHEAD = timedelta(days=1), timedelta(days=15)


@receiver(free_time_changed)
def tell_guests(evse_ids: list[int], **_: Any) -> None:
    publish_taken(evse_ids)


@receiver([charging_started, charging_ended])
def tell_of_session(session: Any, **_: Any) -> None:
    if session.evse_id is not None:
        publish("evse", session.evse_id, evse_audiences(session.charger.depot_id))


@renders_all("bar")
def render_bars(booking_ids: list[int]) -> dict[int, Views]:
    """The list entries of bookings, one view for each audience; none where the board shows a booking no longer."""
    bookings = Booking.objects.select_related("depot").filter(pk__in=booking_ids).exclude(status__in=UNSHOWN)
    found = {booking.pk: booking for booking in bookings}
    entries = entries_of(found.values(), is_for_depot=[True, False], now=timezone.now())
    return {
        pk: {
            depot_audience(found[pk].depot_id): _bar_view(found[pk], for_depot),
            fleet_audience(found[pk].fleet_id): _bar_view(found[pk], for_fleet),
        }
        for pk, (for_depot, for_fleet) in entries.items()
    }


def _bar_view(booking: Booking, entries: list[tuple[str, SafeString]]) -> dict[str, Any]:
    return {"depot": booking.depot_id, "entries": [{"evse": uid, "html": html} for uid, html in entries]}


@renders("taken")
def render_taken(evse_id: int) -> Views:
    evse = Evse.objects.filter(pk=evse_id).first()
    if evse is None:
        return {}
    now = timezone.now()
    within = Period(now - PAST, now + AHEAD)
    spans = (
        Occupancy.objects.filter(evse=evse_id, span__overlap=within)
        .order_by("span")
        .values_list("span", flat=True)
    )
    return {
        calendar_audience(evse.depot_id): {
            "evse": evse.uid,
            "within": [utc_text(within.starts_at), utc_text(within.ends_at)],
            "spans": [[utc_text(span.starts_at), utc_text(span.ends_at)] for span in spans],
        }
    }


@renders("evse")
def render_evse(evse_id: int) -> Views:
    return _states(Evse.objects.filter(pk=evse_id))


@renders("charger")
def render_charger(charger_id: int) -> Views:
    charger = Charger.objects.filter(pk=charger_id).first()
    return _states(Evse.objects.filter(charger=charger)) if charger else {}


@renders("closures")
def render_closures(depot_id: int) -> Views:
    """All closures of a depot that are not over, by EVSE; guests hear of the same spans as taken."""
    now = timezone.now()
    found = Closure.objects.filter(evse__depot=depot_id, lifted_at__isnull=True, ends_at__gt=now - PAST)
    closures = list(found.select_related("evse__depot").order_by("starts_at"))
    entries: dict[str, list[str]] = defaultdict(list)
    if closures:
        writer = Entries(closures[0].evse.depot, is_for_depot=True, now=now)
        for closed in closed_of(closures, uids={c.evse_id: c.evse.uid for c in closures}):
            entries[closed.evse_uid].append(writer.closed(closed))
    return {depot_audience(depot_id): {"depot": depot_id, "after": utc_text(now - PAST), "rows": entries}}


def _states(evses: Iterable[Evse]) -> Views:
    found = list(Evse.objects.filter(pk__in=[e.pk for e in evses]).select_related("charger", "depot"))
    if not found:
        return {}
    now = timezone.now()
    states = states_of(found, running_at(found), now=now)
    rows = {
        evse.uid: render_to_string(
            "bookings/board/_state.html", {"state": states[evse.pk], "depot": evse.depot}
        )
        for evse in found
    }
    visits: dict[str, list[str]] = {uid: [] for uid in rows}
    uids, within = {evse.pk: evse.uid for evse in found}, Period(now - PAST, now + AHEAD)
    writer = Entries(found[0].depot, is_for_depot=True, now=now)
    for visit in visits_of(uids, within, now=now):
        visits[visit.evse_uid].append(writer.visit(visit))
    # Who may book there sees what state an EVSE is in, as in the finder, and nothing of who is at it.
    words = {str(evse.pk): [states[evse.pk].look, states[evse.pk].word] for evse in found}
    return {
        depot_audience(found[0].depot_id): {
            "rows": rows,
            "visits": visits,
            "after": utc_text(within.starts_at),
        },
        calendar_audience(found[0].depot_id): {"states": words},
    }
