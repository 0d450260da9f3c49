"""What a charger read, as a booking's key: of every kind, under an alias its fleet set, or as a member of a group."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.errors import TokenUnusable
from bookings.models import GROUP, Booking, Token
from bookings.rules.entitlement import TokenName
from bookings.rules.identification import all_keys, token_for
from depots.models import Organisation
from tests.bookings.enforcement.online_chargers import armed, book, evse_online
from tests.bookings.gate_questions import ask
from tests.factories import at, change_slot, make_fleet, make_vehicle

pytestmark = pytest.mark.django_db

MAC, EMAID, CARD = "92:d5:0a:69:3f:80", "DE-83D-UIEN83QGZ", "04AABBCC"


def keyed(*tokens: tuple[str, str], **wishes: Any) -> Booking:
    """An armed booking of a vehicle with these (uid, kind) alone."""
    vehicle = make_vehicle(token=None)
    for uid, kind in tokens:
        Token.objects.create(fleet=vehicle.fleet, vehicle=vehicle, uid=uid, type=kind)
    return armed(book(evse_online(), vehicle=vehicle, **wishes))


def by_group(fleet: Organisation, name: str) -> Booking:
    names = [TokenName(name, GROUP)]
    return armed(book(evse_online(), vehicle=make_vehicle(fleet, token=None), tokens=names))


@pytest.mark.parametrize(
    ("uid", "kind", "read"),
    [
        (MAC, "MAC", "VID:92D50A693F80"),
        (MAC, "MAC", "92D50A693F80"),
        ("VID:92D50A693F80", "OTHER", "92:D5:0A:69:3F:80"),
        (EMAID, "EMAID", "DE83DUIEN83QGZD"),
        ("NL*TNM*012204*5", "EMAID", "NLTNMC00122045K"),
    ],
)
def test_a_truck_is_recognised_by_plugging_in(uid: str, kind: str, read: str) -> None:
    booking = keyed((uid, kind))

    assert booking.evse is not None
    assert ask(booking.evse, read) == (True, "")
    Token.objects.update(is_blocked=True)
    assert ask(booking.evse, read) == (False, "blocked")


def test_a_card_opens_in_the_other_byte_order_only_where_its_fleet_says_so() -> None:
    booking = keyed((CARD, "RFID"))

    assert booking.evse is not None
    assert ask(booking.evse, "CCBBAA04") == (False, "booked_by_another")
    Token.objects.update(is_read_either_way=True)
    assert ask(booking.evse, "CCBBAA04") == (True, "")
    Token.objects.create(fleet=booking.fleet, uid="CCBBAA04")  # a card of its own, as it was read
    assert ask(booking.evse, "CCBBAA04") == (False, "booked_by_another")


@pytest.mark.parametrize(
    ("protocol", "tokens", "name"),
    [
        ("ocpp2.0.1", [(CARD, "RFID"), (MAC, "MAC"), (EMAID, "EMAID")], ("DE83DUIEN83QGZ", "EMAID")),
        ("ocpp2.0.1", [(CARD, "RFID"), (MAC, "MAC")], ("92D50A693F80", "MAC")),
        ("ocpp1.6", [(CARD, "RFID"), (MAC, "MAC")], ("VID:92D50A693F80", "MAC")),
        ("ocpp1.6", [("driver-7", "APP_USER"), (CARD, "RFID")], (CARD, "RFID")),
        ("ocpp1.6", [("x" * 21, "APP_USER"), ("1234", "KEY_CODE")], ("1234", "KEY_CODE")),
    ],
)
def test_a_reservation_names_what_the_charger_reads_first(
    protocol: str, tokens: list[tuple[str, str]], name: tuple[str, str]
) -> None:
    booking = keyed(*tokens)
    assert booking.evse is not None
    assert booking.evse.charger is not None
    booking.evse.charger.spoken_protocol = protocol

    assert token_for(booking, booking.evse.charger) == name


def test_any_member_of_the_group_a_booking_names_opens_it_and_no_other_token() -> None:
    fleet = make_fleet()
    for uid, fields in {
        "04AA01": {"group_name": "Night shift"},
        "04AA02": {"group_name": "night shift"},
        "04AA03": {"group_name": "Night shift", "is_blocked": True},
        "04AA04": {"group_name": "Day shift"},
        "04AA05": {},
    }.items():
        Token.objects.create(fleet=fleet, uid=uid, **fields)
    Token.objects.create(fleet=make_fleet(), uid="04AA06", group_name="Night shift")
    booking = by_group(fleet, "NIGHT SHIFT")

    assert booking.evse is not None
    evse = booking.evse
    assert {uid: ask(evse, f"04AA0{uid}")[0] for uid in range(1, 7)} == {
        1: True, 2: True, 3: False, 4: False, 5: False, 6: False,
    }  # fmt: skip
    # The charger compares the booking's own group, which is no master's: its reservation is made with nothing else.
    assert evse.charger is not None
    assert token_for(booking, evse.charger)[0] == booking.group
    assert all_keys(booking) == [("04AA01", "RFID"), ("04AA02", "RFID")]


def test_a_group_of_nobody_and_one_at_a_partners_depot_are_refused() -> None:
    fleet = make_fleet()
    Token.objects.create(fleet=make_fleet(), uid="04AA07", group_name="Night shift")

    with pytest.raises(TokenUnusable, match="belongs to a group NIGHT SHIFT"):
        by_group(fleet, "NIGHT SHIFT")
    booking = book(evse_online(), vehicle=make_vehicle(fleet))
    Token.objects.update(group_name="All")
    Booking.objects.update(route=Booking.Route.OUTBOUND)
    with pytest.raises(TokenUnusable, match="name the tokens themselves"):
        change_slot(booking_id=booking.pk, tokens=[TokenName("all", GROUP)], now=at(8))


@pytest.mark.parametrize("name", ["Nachtschicht Süd", "NACHTSCHICHT SÜD", "Straße"])
def test_a_groups_name_is_the_same_in_capitals_of_every_alphabet(name: str) -> None:
    """The database may know those of ASCII alone."""
    fleet = make_fleet()
    Token.objects.create(fleet=fleet, uid="04AA01", group_name=name.replace("NACHTSCHICHT", "Nachtschicht"))
    booking = by_group(fleet, name)

    assert booking.evse is not None
    assert ask(booking.evse, "04AA01") == (True, "")
    assert all_keys(booking) == [("04AA01", "RFID")]
