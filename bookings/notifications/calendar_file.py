"""Bookings as calendars read them (RFC 5545): one with a mail (RFC 5546), or all of a feed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from icalendar import Calendar, Event, vCalAddress, vText

from bookings.models import Booking, BookingStatus

OVER = frozenset(
    {
        BookingStatus.CANCELLED, BookingStatus.DECLINED, BookingStatus.FAILED, BookingStatus.EXPIRED,
        BookingStatus.NO_SHOW,
    }
)  # fmt: skip


def attached(booking: Booking, *, to: str) -> tuple[str, bytes, str]:
    """A file for a mail: name, content, type. The same UID each time and a SEQUENCE that rises, so that a calendar moves the
    entry it has, or takes it out."""
    method = "CANCEL" if booking.status in OVER else "REQUEST"
    calendar = _calendar()
    calendar.add("method", method)
    entry = _entry(booking)
    entry.add("organizer", _address(settings.DEFAULT_FROM_EMAIL, booking.depot.operator.name))
    guest = _address(to)
    guest.params["RSVP"] = vText("FALSE")
    guest.params["PARTSTAT"] = vText("ACCEPTED")
    entry.add("attendee", guest)
    calendar.add_component(entry)
    return f"{booking.reference}.ics", calendar.to_ical(), f"text/calendar; method={method}; charset=utf-8"


def feed(bookings: Iterable[Booking], *, name: str) -> bytes:
    """A calendar of many, as a program reads it again and again."""
    calendar = _calendar()
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval;value=duration", "PT15M")
    for booking in bookings:
        calendar.add_component(_entry(booking))
    return calendar.to_ical()


def _calendar() -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", "-//Berth//Bookings//EN")
    calendar.add("version", "2.0")
    return calendar


def _entry(booking: Booking) -> Event:
    depot, vehicle = booking.depot, booking.vehicle
    plate = vehicle.plate if vehicle else booking.plate
    place = ", ".join(filter(None, [depot.name, depot.address, f"{depot.postal_code} {depot.city}".strip()]))
    entry = Event()
    entry.add("uid", f"{booking.reference}@{_host()}")
    entry.add("sequence", booking.version)
    entry.add("dtstamp", _whole(booking.updated_at))
    entry.add("dtstart", _whole(booking.starts_at))
    entry.add("dtend", _whole(booking.ends_at))
    entry.add("summary", f"{plate or booking.reference}: {depot.name}")
    entry.add("location", place)
    lines = [booking.reference, booking.evse.uid if booking.evse else "", booking.get_status_display()]
    entry.add("description", "\n".join(filter(None, lines)))
    entry.add("url", f"{settings.BERTH_BASE_URL}{booking.get_absolute_url()}")
    entry.add("status", _status(booking))
    return entry


def _status(booking: Booking) -> str:
    if booking.status in OVER:
        return "CANCELLED"
    is_open = booking.status in {BookingStatus.HELD, BookingStatus.REQUESTED}
    return "TENTATIVE" if is_open else "CONFIRMED"


def _address(mail: str, name: str = "") -> vCalAddress:
    address = vCalAddress(f"mailto:{mail}")
    if name:
        address.params["CN"] = vText(name)
    return address


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _host() -> str:
    return urlsplit(settings.BERTH_BASE_URL).hostname or "berth"
