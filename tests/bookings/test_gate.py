"""Who is let in: a booking's own cards, its secret where it has none, and without a booking whom the depot's term admits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings.gate import may_charge
from bookings.models import Booking, Token
from depots.models import Evse, Organisation
from tests.bookings.enforcement.online_chargers import TERMS, armed, book, commands, evse_online
from tests.bookings.gate_questions import ask
from tests.factories import (
    MANAGER,
    NOW,
    at,
    change_slot,
    make_depot,
    make_fleet,
    make_operator,
    make_vehicle,
    open_depot,
    slot,
)

pytestmark = pytest.mark.django_db


def partners(booking: Booking) -> None:
    """The booking becomes one of a partner network, whose cards are not registered here."""
    Organisation.objects.filter(pk=booking.fleet_id).update(is_partner=True)
    Token.objects.filter(fleet=booking.fleet_id).delete()


# A booked slot


@pytest.mark.parametrize("spelling", ["04:AA:BB:CC:DD:10", " 04 aa bb cc dd 10", "04-aa-bb-cc-dd-10"])
@pytest.mark.parametrize("anywhere", [True, False])
def test_a_card_is_compared_without_separators_blanks_and_case(spelling, anywhere):
    evse = evse_online()
    armed(book(evse, vehicle=make_vehicle(token="04AABBCCDD10")))

    assert ask(evse, spelling, anywhere=anywhere) == (True, "")


def test_a_number_of_nothing_but_separators_is_no_card():
    evse = evse_online(make_depot(terms={**TERMS, "walk_in": "known"}))
    armed(book(evse, vehicle=make_vehicle(token="::")))

    assert ask(evse, "-") == (False, "booked_by_another")


@pytest.mark.parametrize("anywhere", [True, False])
def test_a_blocked_card_opens_nothing_in_the_slot_it_was_booked_for(anywhere):
    evse = evse_online()
    booking = armed(book(evse))
    Token.objects.update(is_blocked=True)

    assert ask(evse, booking.tokens.get().uid, anywhere=anywhere) == (False, "blocked")


@pytest.mark.parametrize("anywhere", [True, False])
def test_a_booking_that_was_moved_opens_for_a_while_where_it_was(anywhere):
    depot = make_depot(terms={**TERMS, "walk_in": "own"})
    booked, second, third = evse_online(depot), evse_online(depot), evse_online(depot)
    booking = book(booked)
    uid = booking.tokens.get().uid
    for evse, now in ((second, at(9, 45)), (third, at(9, 50))):
        change_slot(booking_id=booking.pk, by="depot", evse=evse, actor=MANAGER, now=now)

    assert ask(second, uid, at(10, 4), anywhere=anywhere) == (True, "")
    assert ask(second, uid, at(10, 6), anywhere=anywhere) == (False, "elsewhere")
    for evse in (booked, third):  # what was booked, and where it is
        assert ask(evse, uid, at(10, 6), anywhere=anywhere) == (True, "")


def test_another_fleets_copy_of_a_card_does_not_unblock_it_in_a_booked_slot():
    evse = evse_online()
    booking = armed(book(evse))
    uid = booking.tokens.get().uid
    Token.objects.update(is_blocked=True)
    Token.objects.create(fleet=make_fleet(), uid=uid)

    assert ask(evse, uid) == (False, "booked_by_another")


def test_a_card_blocked_in_one_of_its_kinds_is_blocked():
    evse = evse_online()
    booking = armed(book(evse))
    uid = booking.tokens.get().uid
    Token.objects.create(fleet=booking.fleet, uid=uid, type="OTHER", is_blocked=True)

    assert ask(evse, uid) == (False, "blocked")


def test_the_card_of_a_retired_vehicle_and_one_its_fleet_has_no_more_open_nothing():
    evse = evse_online()
    booking = armed(book(evse))
    uid = booking.tokens.get().uid

    booking.vehicle.is_retired = True
    booking.vehicle.save()
    assert ask(evse, uid) == (False, "blocked")
    Token.objects.all().delete()
    assert ask(evse, uid) == (False, "booked_by_another")


def test_a_partners_card_opens_its_booking_unless_it_is_blocked_here():
    evse = evse_online()
    booking = armed(book(evse))
    uid = booking.tokens.get().uid
    partners(booking)

    assert ask(evse, uid) == (True, "")
    Token.objects.create(fleet=booking.fleet, uid=uid, is_blocked=True)
    assert ask(evse, uid) == (False, "blocked")


@pytest.mark.parametrize("anywhere", [True, False])
def test_no_card_is_a_booking_s_by_its_number(anywhere):
    evse = evse_online()
    booking = armed(book(evse))

    for uid in (f"B{booking.pk}", f"b{booking.pk}", f"B000{booking.pk}"):
        assert ask(evse, uid, anywhere=anywhere)[0] is False
        assert ask(evse, "STRANGER", group=uid, anywhere=anywhere)[0] is False


def test_the_secret_opens_its_booking_only_where_none_of_its_cards_fits():
    evse = evse_online()
    booking = armed(book(evse))

    assert ask(evse, booking.group) == (False, "booked_by_another")
    assert ask(evse, "STRANGER", group=booking.group) == (False, "booked_by_another")
    Token.objects.update(is_blocked=True)
    assert ask(evse, booking.group) == (True, "")
    assert ask(evse, booking.group.lower()) == (False, "booked_by_another")


def test_secrets_are_long_and_differ():
    one, two = book(evse_online()), book(evse_online())

    assert one.group != two.group
    assert len(one.group) == 20
    assert str(one.pk) not in one.group or str(two.pk) not in two.group


def test_a_booking_whose_only_card_is_blocked_is_reserved_for_its_secret():
    evse = evse_online()
    booking = book(evse)
    Token.objects.update(is_blocked=True)

    armed(booking)

    assert commands(evse.charger) == [("reserve", booking.pk)]
    assert evse.charger.commands.get(action="reserve").payload["token"] == booking.group


def test_a_reservation_names_a_card_as_readers_do():
    evse = evse_online()
    armed(book(evse, vehicle=make_vehicle(token="04:aa:bb:cc:dd:10")))

    assert evse.charger.commands.get(action="reserve").payload["token"] == "04AABBCCDD10"


# Without a booking


def walk_in(evse: Evse, fleet: Organisation, *, now: Any = NOW, blocked: bool = False) -> tuple[bool, str]:
    token = Token.objects.create(fleet=fleet, uid=f"04{fleet.pk:010}", is_blocked=blocked)
    return ask(evse, token.uid, now)


@pytest.mark.parametrize(
    ("term", "own", "guest", "stranger", "unknown"),
    [
        ("own", True, False, False, False),
        ("agreed", True, True, False, False),
        (None, True, True, False, False),
        ("known", True, True, True, False),
        ("anybody", True, True, True, True),
    ],
)
def test_who_charges_without_a_booking_is_a_term_of_the_depot(term, own, guest, stranger, unknown):
    operator, invited, other = make_operator(), make_fleet(), make_fleet()
    depot = make_depot(operator, open_to_all=False, terms={**TERMS, "walk_in": term})
    open_depot(depot, invited)
    evse = evse_online(depot)

    assert walk_in(evse, operator)[0] is own
    assert walk_in(evse, invited)[0] is guest
    assert walk_in(evse, other) == ((True, "") if stranger else (False, "elsewhere"))
    assert ask(evse, "NEVERSEEN", NOW) == ((True, "") if unknown else (False, "unknown_token"))
    assert ask(evse, "NEVERSEEN", NOW, anywhere=True)[0] is unknown


def test_an_agreement_that_has_ended_or_not_begun_admits_nobody():
    fleet = make_fleet()
    depot = make_depot(open_to_all=False, terms=TERMS)
    agreement = open_depot(depot, fleet)
    evse = evse_online(depot)
    token = Token.objects.create(fleet=fleet, uid="04ABCD")

    agreement.ends_at = NOW
    agreement.save()
    assert ask(evse, token.uid, NOW) == (False, "elsewhere")
    assert ask(evse, token.uid, NOW - timedelta(seconds=1)) == (True, "")
    agreement.starts_at, agreement.ends_at = at(9), None
    agreement.save()
    assert ask(evse, token.uid, NOW) == (False, "elsewhere")


def test_an_open_depot_admits_every_fleet():
    assert walk_in(evse_online(), make_fleet()) == (True, "")


def test_a_card_of_several_owners_opens_if_one_admitted_owners_copy_is_unblocked():
    admitted, other = make_fleet(), make_fleet()
    depot = make_depot(open_to_all=False, terms=TERMS)
    open_depot(depot, admitted)
    evse = evse_online(depot)
    theirs = Token.objects.create(fleet=admitted, uid="04AB")
    Token.objects.create(fleet=other, uid="04:ab")

    assert ask(evse, "04AB", NOW) == (True, "")
    theirs.is_blocked = True
    theirs.save()
    assert ask(evse, "04AB", NOW) == (False, "elsewhere")


@pytest.mark.parametrize("term", ["own", "agreed", "known", "anybody"])
def test_a_blocked_card_opens_nothing_whoever_is_admitted(term):
    operator = make_operator()
    evse = evse_online(make_depot(operator, terms={**TERMS, "walk_in": term}))

    assert walk_in(evse, operator, blocked=True) == (False, "blocked")


def test_asking_takes_few_statements(django_assert_max_num_queries):
    evse = evse_online()
    booking = armed(book(evse))
    evse.charger.depot  # noqa: B018 - the gateway has it at hand

    mine, stranger = booking.tokens.get().uid, make_vehicle().tokens.get().uid

    with django_assert_max_num_queries(7):
        assert ask(evse, mine) == (True, "")
    with django_assert_max_num_queries(8):
        assert ask(evse, stranger, at(12)) == (True, "")


# How long a charger may remember the answer


def until(evse: Evse, uid: str, now: Any, *, anywhere: bool = True) -> Any:
    given = may_charge(charger=evse.charger, evse=None if anywhere else evse, token_uid=uid, now=now)
    return given.holds_until


@pytest.mark.parametrize("anywhere", [True, False])
def test_an_answer_is_to_be_forgotten_before_anything_changes(anywhere):
    evse = evse_online(make_depot(terms={**TERMS, "walk_in": "anybody"}))
    booking = book(evse)
    uid = booking.tokens.get().uid

    def minutes(now: Any) -> float:
        return (until(evse, uid, now, anywhere=anywhere) - now).total_seconds() / 60

    assert minutes(at(9, 0)) == 5  # nothing near: a slot may be booked at any time
    assert minutes(at(9, 42)) == 3  # until it is armed
    armed(booking)
    assert minutes(at(9, 57)) == 5
    assert minutes(at(10, 58)) == 2  # until it ends


def test_asking_costs_the_same_however_much_is_booked(django_assert_num_queries):
    evse = evse_online()
    asked = {"charger": evse.charger, "evse": evse, "token_uid": "04", "now": at(9)}
    with django_assert_num_queries(7):  # of a card nobody knows the last one is what networks said of it
        may_charge(**asked)
    book(evse, now=NOW)
    book(evse, slot(12, 13), now=NOW)
    with django_assert_num_queries(7):  # of a card nobody knows the last one is what networks said of it
        may_charge(**asked)
