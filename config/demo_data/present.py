"""What is going on at the very moment the demo is loaded, whatever the time of day: trucks that charge, a hold, requests
that wait for the depot's answer, a trip that is planned, and who waits for a slot that is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from bookings import operations
from bookings.actors import Actor
from bookings.errors import BookingError
from bookings.models import Booking, BookingOption, BookingStatus, Trip, Vehicle, WaitlistEntry
from bookings.search.bookable import bookable_options
from config.demo_data.diary import DAYS_AHEAD, DEPOTS, Planned, Story, request_id
from config.demo_data.fleets import ALPENTRANS, BALTCARGO, NORDFRACHT, Firm
from depots.models import Organisation
from depots.periods import Period

_BY_CODE = {depot.code: depot for depot in DEPOTS}


def charging_now(now: datetime) -> list[Planned]:
    """Bookings whose trucks stand at the charger now. Their keys name the day, so that a day has them once."""
    stands = [
        (NORDFRACHT, "HH-NF 340", "NF-HAM", "HAM-2-1", 20, 0.4),
        (BALTCARGO, "BLC 504", "LP-VEN", "VEN-02-1", 35, 0.3),
    ]
    return [_standing(*stand, now) for stand in stands]


def ensure_hold(now: datetime) -> None:
    """A dispatcher is just looking at the terms of a slot."""
    if Booking.objects.filter(status=BookingStatus.HELD, held_until__gt=now).exists():
        return
    _first(_open_slots("LP-VEN", NORDFRACHT, "HH-NF 330", timedelta(hours=20), now), hold=True, now=now)


def ensure_requests(now: datetime) -> None:
    """Two requests wait for the approval of the depot that decides itself, unless some wait already."""
    waiting = Booking.objects.filter(
        status=BookingStatus.REQUESTED, depot__code="NF-LNZ", decide_until__gt=now
    )
    if waiting.exists():
        return
    asks = [(ALPENTRANS, "L-AT 130", timedelta(hours=26), 1), (BALTCARGO, "BLC 504", timedelta(hours=29), 3)]
    for firm, plate, ahead, minutes_ago in asks:
        asked_at = now - timedelta(minutes=minutes_ago)
        _first(_open_slots("NF-LNZ", firm, plate, ahead, asked_at), hold=False, now=asked_at)


def ensure_trip(now: datetime) -> None:
    """A truck charges before it leaves Hamburg and in Venlo, some days after what the diary knows."""
    if Trip.objects.filter(stops__starts_at__gt=now, fleet__name=NORDFRACHT.name).exists():
        return
    ahead = timedelta(days=DAYS_AHEAD + 2)
    places = [("NF-HAM", ahead), ("LP-VEN", ahead + timedelta(hours=7))]
    stops = [next(_open_slots(code, NORDFRACHT, "HH-NF 320", when, now)) for code, when in places]
    requests = [
        operations.SlotRequest(fleet=vehicle.fleet, option=option, period=period, vehicle=vehicle)
        for vehicle, option, period in stops
    ]
    with suppress(BookingError):  # somebody has booked there
        operations.book_trip(requests, actor=_dispatcher_of(requests[0].fleet), now=now)


def ensure_waiting(now: datetime) -> None:
    """A truck waits for a slot that another fleet has, tomorrow or later."""
    vehicle = Vehicle.objects.select_related("fleet").get(fleet__name=NORDFRACHT.name, plate="HH-NF 310")
    if WaitlistEntry.objects.filter(fleet=vehicle.fleet, starts_at__gt=now).exists():
        return
    ahead = Booking.objects.filter(
        depot__code="LP-VEN", status=BookingStatus.CONFIRMED, starts_at__gt=now + timedelta(hours=20)
    )
    taken = (
        ahead.exclude(fleet=vehicle.fleet).order_by("starts_at", "pk").select_related("option__depot", "evse")
    )
    for booking in taken[:5]:
        slot = operations.SlotRequest(
            fleet=vehicle.fleet,
            option=booking.option,
            evse=booking.evse,
            period=booking.period,
            vehicle=vehicle,
        )
        with suppress(BookingError):
            operations.join_waitlist(slot, actor=_dispatcher_of(vehicle.fleet), now=now)
            return


def ask_first_free(depot_code: str, firm: Firm, plate: str, ahead: timedelta, now: datetime) -> None:
    """Book the first slot that is free about then."""
    _first(_open_slots(depot_code, firm, plate, ahead, now), hold=False, now=now)


def _standing(
    firm: Firm, plate: str, depot_code: str, option: str, since_min: int, chance: float, now: datetime
) -> Planned:
    depot = _BY_CODE[depot_code]
    start = _step_down(now - timedelta(minutes=since_min))
    period = Period(start, start + timedelta(minutes=90))
    key = request_id(f"charging on {now:%Y-%m-%d}, {plate}")
    return Planned(key, firm, plate, depot, option, period, start - timedelta(hours=9), Story.CHARGED, chance)


def _open_slots(
    depot_code: str, firm: Firm, plate: str, ahead: timedelta, now: datetime
) -> Iterator[tuple[Vehicle, BookingOption, Period]]:
    """Slots to try, in order."""
    vehicle = Vehicle.objects.select_related("fleet").get(fleet__name=firm.name, plate=plate)
    options = {option.code: option for option in bookable_options(vehicle.fleet, now=now)}
    start = _step_down(now + ahead)
    for code in _BY_CODE[depot_code].options:
        for shift in (0, 60, 120):
            begin = start + timedelta(minutes=shift)
            if code in options:
                yield vehicle, options[code], Period(begin, begin + timedelta(minutes=60))


def _first(slots: Iterator[tuple[Vehicle, BookingOption, Period]], *, hold: bool, now: datetime) -> None:
    ask = operations.hold_slot if hold else operations.request_booking
    for vehicle, option, period in slots:
        try:
            slot = operations.SlotRequest(fleet=vehicle.fleet, option=option, period=period, vehicle=vehicle)
            ask(slot, actor=_dispatcher_of(vehicle.fleet), now=now)
        except BookingError:
            continue
        return


def _dispatcher_of(fleet: Organisation) -> Actor:
    return Actor.dispatcher(f"dispatcher@{fleet.name.lower()}.example")


def _step_down(moment: datetime) -> datetime:
    """To the quarter of an hour before; every zone of the demo is whole hours from UTC."""
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
