"""Badges as finished HTML: a board of a week shows thousands, of a handful of kinds."""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bookings.models import Booking
from bookings.models.enforcement_words import EnforcementWords, words_of
from bookings.rules import energy_slots
from bookings.rules.session_targets import words_of_target
from depots.models import ChargingSession
from depots.periods import utc_text
from depots.queries import is_online
from depots.templatetags.berth import duration

register = template.Library()


class MarkedBooking(Protocol):
    """A `Booking`, or what a board has read of one."""

    @property
    def is_interrupted(self) -> bool: ...
    @property
    def metered_wh(self) -> int | None: ...
    @property
    def expected_wh(self) -> int | None: ...
    def overstays(self, now: datetime) -> bool: ...


@register.filter
def status_badge(status: str) -> SafeString:
    return _status(str(status))


@register.filter
def enforcement_words(enforcement: str) -> EnforcementWords:
    return words_of(enforcement)


@register.simple_tag
def enforcement_badge(enforcement: str, why: str = "") -> SafeString:
    return _enforcement(str(enforcement), str(why))


@cache
def _status(status: str) -> SafeString:
    return render_to_string("components/_status.html", {"status": status})


@lru_cache(256)
def _enforcement(enforcement: str, why: str) -> SafeString:
    return render_to_string("components/_enforcement.html", {"enforcement": enforcement, "why": why})


@register.filter
def is_silent(session: ChargingSession) -> bool:
    """Its charger, read with it, is offline: what it told last may be long over."""
    return not is_online(session.charger, now=timezone.now())


@register.simple_tag
def clock(moment: datetime, zone: ZoneInfo) -> str:
    """`19:32` of today there, else `Tue 19:32`."""
    local, today = moment.astimezone(zone), timezone.now().astimezone(zone).date()
    return date_format(local, "H:i" if local.date() == today else "D H:i")


@register.filter
def time_to_target(session: ChargingSession) -> str:
    return words_of_target(session)


@register.filter
def share(part: float | None) -> str:
    """`98.4 %`; what is not whole is never shown as if it were."""
    if part is None:
        return "–"
    return "100\N{NO-BREAK SPACE}%" if part == 1 else f"{min(part * 100, 99.9):.1f}\N{NO-BREAK SPACE}%"


@register.simple_tag
def marks(booking: MarkedBooking, now: datetime) -> SafeString:
    """What stands beside the status: charging that broke off, a session that outlives its slot. Empty for most."""
    outstays = booking.overstays(now)
    if not outstays and not booking.is_interrupted:
        return SafeString("")
    context = {"booking": booking, "now": now, "outstays": outstays, "charged": charged(booking)}
    return render_to_string("bookings/board/_marks.html", context)


@register.simple_tag
def since(moment: datetime, now: datetime) -> SafeString:
    """How long it has been, which an open page counts on (static/js/live.js)."""
    words = duration(max(now - moment, now - now))
    return format_html(
        '<time class="numbers" datetime="{0}" data-since="{0}">{1}</time>', utc_text(moment), words
    )


@register.filter
def energy_asked(booking: Booking) -> str:
    """What it was asked to charge; empty where it was asked for in time alone."""
    return energy_slots.words(booking)


def charged(booking: MarkedBooking) -> str:
    """`15 of about 267 kWh`, as far as the figures are known."""
    metered, expected = booking.metered_wh, booking.expected_wh
    if metered is None:
        return ""
    about = f" of about {expected / 1000:.0f}" if expected else ""
    return f"{metered / 1000:.0f}{about} kWh"
