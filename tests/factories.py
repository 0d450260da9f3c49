"""Plain makers with working defaults; a test states only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from bookings import operations
from bookings.actors import Actor
from bookings.models import AccessRule, Booking, BookingOption, TermsOverride, Token, Vehicle
from depots.models import (
    Agreement,
    Charger,
    Connector,
    Depot,
    Evse,
    Membership,
    OpeningHours,
    Organisation,
    User,
)
from depots.periods import Period

_numbers = count(1)

DISPATCHER = Actor.dispatcher("dispatcher@fleet.example")
MANAGER = Actor.manager("manager@depot.example")
PARTNER = Actor.partner("DE", "ABC")
CHARGER = Actor.charger("CP-1")

# A Tuesday in winter and in no zone's change of clocks.
NOW = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)


def at(hour: int, minute: int = 0, *, day: int = 0) -> datetime:
    """A moment of the tests' day, or `day` days later, in UTC."""
    return NOW.replace(hour=hour, minute=minute) + timedelta(days=day)


def slot(start: int | tuple[int, int], end: int | tuple[int, int], *, day: int = 0) -> Period:
    """`slot(10, 11)`, `slot((10, 15), 11)`."""
    first, last = [(moment, 0) if isinstance(moment, int) else moment for moment in (start, end)]
    return Period(at(*first, day=day), at(*last, day=day))


def make_organisation(name: str = "", **fields: Any) -> Organisation:
    number = next(_numbers)
    return Organisation.objects.create(name=name or f"Organisation {number}", **fields)


def make_fleet(name: str = "", **fields: Any) -> Organisation:
    number = next(_numbers)
    party = _letters(number)
    return make_organisation(
        name or f"Fleet {number}", **{"country_code": "DE", "emsp_party_id": party, **fields}
    )


def make_operator(name: str = "", **fields: Any) -> Organisation:
    number = next(_numbers)
    party = _letters(number)
    return make_organisation(
        name or f"Operator {number}", **{"country_code": "NL", "cpo_party_id": party, **fields}
    )


def make_depot(
    operator: Organisation | None = None,
    *,
    open_to_all: bool = True,
    terms: dict[str, Any] | None = None,
    **fields: Any,
) -> Depot:
    """A depot that is always open, to everybody, with terms that set nothing in the way of a test but what it names."""
    number = next(_numbers)
    code = fields.pop("code", f"D{number}")
    place = {"city": "Kassel", "country": "DEU", "latitude": "51.3", "longitude": "9.5"}
    told = {"name": f"Depot {number}", "time_zone": "Europe/Berlin", "location_id": code, **place, **fields}
    depot = Depot.objects.create(operator=operator or make_operator(), code=code, **told)
    TermsOverride.objects.create(depot=depot, **{"turnaround_min": 0, "early_start_min": 0, **(terms or {})})
    if open_to_all:
        open_depot(depot)
    return depot


def open_depot(depot: Depot, guest: Organisation | None = None, **terms: Any) -> Agreement:
    agreement = Agreement.objects.create(depot=depot, guest=guest, starts_at=NOW - timedelta(days=365))
    if terms:
        TermsOverride.objects.create(agreement=agreement, **terms)
    return agreement


def make_rule(place: Depot | Agreement, kind: str, **fields: Any) -> AccessRule:
    """Of a depot, or of one of its agreements; at all hours unless told otherwise."""
    owner = {"depot": place} if isinstance(place, Depot) else {"depot": place.depot, "agreement": place}
    if kind == "quota":
        fields = {"unit": "evses", "counts": "each", **fields}
    if kind == "walk_in":
        fields = {"unit": "evses", **fields}
    return AccessRule.objects.create(kind=kind, **owner, **fields)


def make_opening_hours(depot: Depot, from_minute: int, to_minute: int) -> None:
    OpeningHours.objects.bulk_create(
        OpeningHours(depot=depot, weekday=day, from_minute=from_minute, to_minute=to_minute)
        for day in range(1, 8)
    )


def make_charger(depot: Depot | None = None, **fields: Any) -> Charger:
    number = next(_numbers)
    return Charger.objects.create(depot=depot or make_depot(), **{"identity": f"CP-{number}", **fields})


def make_evse(
    depot: Depot | None = None,
    *,
    charger: Charger | None = None,
    standard: str = "IEC_62196_T2_COMBO",
    option: bool = True,
    **fields: Any,
) -> Evse:
    """An EVSE with one plug, and an option of its own named by its uid unless told otherwise."""
    charger = charger or make_charger(depot)
    number = charger.evses.count() + 1
    defaults = {"uid": f"{charger.identity}-{number}", "number": number, "max_power_w": 400_000}
    evse = Evse.objects.create(depot=charger.depot, charger=charger, **{**defaults, **fields})
    Connector.objects.create(evse=evse, standard=standard)
    if option:
        make_option(evse, code=evse.uid)
    return evse


def make_option(
    *evses: Evse, code: str = "", terms: dict[str, Any] | None = None, **fields: Any
) -> BookingOption:
    option = BookingOption.objects.create(
        depot=evses[0].depot, code=code or f"OPT-{next(_numbers)}", **fields
    )
    option.evses.set(evses)
    if terms:
        TermsOverride.objects.create(option=option, **terms)
    return option


def make_vehicle(fleet: Organisation | None = None, *, token: str | None = "", **fields: Any) -> Vehicle:
    """A truck with one RFID token; `token=None` for none."""
    number = next(_numbers)
    defaults = {
        "plate": f"HH-NF {number}",
        "connector_standards": ["IEC_62196_T2_COMBO"],
        "max_power_w": 350_000,
    }
    vehicle = Vehicle.objects.create(fleet=fleet or make_fleet(), **{**defaults, **fields})
    if token is not None:
        Token.objects.create(fleet=vehicle.fleet, vehicle=vehicle, uid=token or f"04AA{number:010X}")
    return vehicle


def make_user(organisation: Organisation, role: str = Membership.Role.DISPATCHER, **fields: Any) -> User:
    number = next(_numbers)
    user = User.objects.create_user(
        **{"email": f"user{number}@fleet.example", "password": "berth-demo", **fields}
    )
    Membership.objects.create(user=user, organisation=organisation, role=role)
    return user


def option_of(evse: Evse) -> BookingOption:
    """The option an EVSE is offered under by itself."""
    return BookingOption.objects.get(code=evse.uid)


def book_slot(*, actor: Actor = DISPATCHER, now: datetime = NOW, **asked: Any) -> Booking:
    """`operations.request_booking` of a SlotRequest with these fields."""
    return operations.request_booking(operations.SlotRequest(**asked), actor=actor, now=now)


def place_hold(*, actor: Actor = DISPATCHER, now: datetime = NOW, **asked: Any) -> Booking:
    """`operations.hold_slot` of a SlotRequest with these fields."""
    return operations.hold_slot(operations.SlotRequest(**asked), actor=actor, now=now)


def change_slot(
    *,
    booking_id: int,
    by: str = "fleet",
    seen_version: int | None = None,
    actor: Actor = DISPATCHER,
    now: datetime = NOW,
    **asked: Any,
) -> Booking:
    """`operations.change_booking` by a ChangeRequest with these fields."""
    request = operations.ChangeRequest(**asked)
    return operations.change_booking(
        booking_id, request, by=by, seen_version=seen_version, actor=actor, now=now
    )


def ask_for_slot(*, actor: Actor = PARTNER, now: datetime = NOW, **asked: Any) -> Booking:
    """`operations.ask_to_book` of a SlotRequest with these fields."""
    return operations.ask_to_book(operations.SlotRequest(**asked), actor=actor, now=now)


def _letters(number: int) -> str:
    letters = ""
    for _ in range(3):
        letters += chr(ord("A") + number % 26)
        number //= 26
    return letters
