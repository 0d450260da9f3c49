"""What a running session delivers, for open pages: its depot's and those of the fleet whose booking it uses."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver
from django.template.loader import render_to_string

from bookings.models import Booking
from bookings.pages.live.audiences import depot_audience, fleet_audience
from bookings.pages.live.publishing import publish, publish_all
from bookings.pages.live.rendering import Views, renders
from bookings.rules.session_targets import with_targets
from depots.models import ChargingSession
from depots.signals import session_metered, sessions_metered


@receiver(session_metered)
def tell_of_meter(session: ChargingSession, is_together: bool = False, **_: Any) -> None:
    """Have pages show the session's figures as they are by now. Many within a moment are one rendering."""
    if not is_together:
        publish("meter", session.pk, _audiences(session))


@receiver(sessions_metered)
def tell_of_meters(sessions: list[ChargingSession], **_: Any) -> None:
    keys = [session.pk for session in sessions]
    booked = Booking.objects.filter(visits__session__in=keys).values_list("visits__session", "fleet")
    fleets: dict[int, list[str]] = {}
    for session_id, fleet_id in booked:
        fleets.setdefault(session_id, []).append(fleet_audience(fleet_id))
    publish_all(
        ("meter", session.pk, [depot_audience(session.charger.depot_id), *fleets.get(session.pk, ())])
        for session in sessions
    )


@renders("meter")
def render_meter(session_id: int) -> Views:
    rows = with_targets(ChargingSession.objects.select_related("charger"))
    session = rows.filter(pk=session_id).first()
    if session is None:
        return {}
    html = render_to_string("bookings/board/_meter.html", {"session": session})
    return {audience: {"html": html.strip()} for audience in _audiences(session)}


def _audiences(session: ChargingSession) -> list[str]:
    booked = Booking.objects.filter(visits__session=session).values_list("fleet", flat=True)
    return [depot_audience(session.charger.depot_id), *map(fleet_audience, booked)]
