"""Whether the network that issued a token is asked before it charges here, and what its answer or its silence means."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.gate import may_charge
from bookings.models import Booking, OwnerAnswer, OwnerCheck, Token
from bookings.rules.owner_checks import OwnerWord
from depots.gate import Authorization
from depots.models import Agreement, Evse, Organisation
from tests.bookings.enforcement.charging_trucks import stop
from tests.bookings.enforcement.online_chargers import TERMS, armed, book, evse_online, start
from tests.factories import at, make_depot, make_fleet, make_option, make_vehicle, open_depot, slot

pytestmark = pytest.mark.django_db
CARD = "04A1B2C3D4E5F6"


@pytest.fixture
def evse() -> Evse:
    return evse_online(make_depot(terms={**TERMS, "walk_in": "known"}))


@pytest.fixture
def network() -> Organisation:
    fleet = make_fleet()
    Organisation.objects.filter(pk=fleet.pk).update(is_partner=True)
    fleet.refresh_from_db()
    return fleet


def token(network: Organisation, uid: str = CARD, **fields: Any) -> Token:
    told = {"country_code": "SE", "party_id": "FLT", "told": {}, "told_at": at(8), "heard_at": at(8)}
    return Token.objects.create(**{"fleet": network, "uid": uid, **told, **fields})


def ask(evse: Evse, now: Any = at(10), uid: str = CARD, *, anywhere: bool = False) -> Authorization:
    return may_charge(charger=evse.charger, evse=None if anywhere else evse, token_uid=uid, now=now)


def hear(evse: Evse, outcome: str, when: Any = at(10), party: str = "FLT", **fields: Any) -> None:
    fields |= {"country_code": "SE", "party_id": party} if "owner" in fields else {}
    OwnerAnswer.objects.update_or_create(
        charger=evse.charger,
        number=CARD,
        type="",
        defaults={"outcome": outcome, "answered_at": when, **fields},
    )


def without_tokens(booking: Booking, reference: str) -> Booking:
    """It becomes one of a partner network that names no card."""
    Organisation.objects.filter(pk=booking.fleet_id).update(is_partner=True)
    Token.objects.filter(fleet=booking.fleet_id).delete()
    booking.tokens.all().delete()
    party = {"customer_country": "SE", "customer_party": "FLT"}
    Booking.objects.filter(pk=booking.pk).update(authorization_reference=reference, **party)
    return Booking.objects.select_related("fleet").get(pk=booking.pk)


@pytest.mark.parametrize(
    ("check", "is_asked", "unanswered"),
    [
        (OwnerCheck.NEVER, False, (True, "")),
        (OwnerCheck.MAY, False, (True, "")),
        (OwnerCheck.SHOULD, True, (True, "")),
        (OwnerCheck.MUST, True, (False, "not_confirmed")),
    ],
)
def test_a_networks_rule_says_whether_it_is_asked_and_what_its_silence_means(
    evse, network, check, is_asked, unanswered
):
    token(network, owner_check=check)

    answer = ask(evse, anywhere=True)
    assert (answer.question is not None, (answer.allowed, answer.reason)) == (is_asked, unanswered)
    if is_asked:
        assert answer.question.owner_ids == (network.pk,)
        assert answer.holds_until == at(10)  # no charger may remember it
        hear(evse, OwnerAnswer.Outcome.SILENT)
        heard = ask(evse, anywhere=True)
        assert (heard.allowed, heard.reason, heard.question) == (*unanswered, None)


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        ("allowed", (True, "")),
        ("blocked", (False, "blocked")),
        ("expired", (False, "expired")),
        ("no_credit", (False, "no_credit")),
        ("not_allowed", (False, "elsewhere")),
    ],
)
def test_the_owners_word_counts_for_the_start_that_follows_and_no_longer(evse, network, outcome, answer):
    token(network, owner_check=OwnerCheck.SHOULD)
    hear(evse, outcome, reference="REF-7")

    started = ask(evse, at(10) + timedelta(minutes=15))
    assert ((started.allowed, started.reason), started.question) == (answer, None)
    assert started.reference == ("REF-7" if outcome == "allowed" else "")
    assert ask(evse, at(10) + timedelta(minutes=16)).question is not None
    # Whoever shows the card again is asked about again.
    assert ask(evse, at(10, 1), anywhere=True).question is not None


def test_a_token_charges_only_at_the_evses_that_its_owner_names(evse, network):
    token(network, owner_check=OwnerCheck.MUST)
    hear(evse, "allowed", evse_uids=["ELSEWHERE"])
    assert (ask(evse).allowed, ask(evse).reason) == (False, "elsewhere")
    assert (ask(evse, anywhere=True).allowed, ask(evse, anywhere=True).reason) == (False, "elsewhere")

    hear(evse, "allowed", evse_uids=["ELSEWHERE", evse.uid.lower()])
    assert ask(evse).allowed
    assert ask(evse, anywhere=True).evse_numbers == [evse.number]


def test_a_card_nobody_knows_is_asked_about_where_networks_are_let_in(evse):
    answer = ask(evse, anywhere=True)
    assert (answer.allowed, answer.reason, answer.question.owner_ids) == (False, "unknown_token", ())

    hear(evse, "unknown")
    assert ask(evse, at(10) + timedelta(minutes=1), anywhere=True).question is None
    assert ask(evse, at(10) + timedelta(minutes=2), anywhere=True).question is not None
    assert ask(evse_online(make_depot(terms={**TERMS, "walk_in": "own"})), anywhere=True).question is None


def test_where_a_fleet_here_has_the_card_too_nobody_else_is_asked(evse, network):
    token(network, owner_check=OwnerCheck.MUST)
    Token.objects.create(fleet=make_fleet(), uid=CARD)

    assert (ask(evse).allowed, ask(evse).question) == (True, None)


def test_a_booking_stands_while_its_network_is_silent_and_not_against_its_no(evse):
    booking = armed(book(evse))
    Organisation.objects.filter(pk=booking.fleet_id).update(is_partner=True)
    uid = booking.tokens.get().uid
    booking.fleet.tokens.all().delete()
    token(booking.fleet, uid, owner_check=OwnerCheck.MUST)

    unheard = ask(evse, at(9, 55), uid)
    assert (unheard.allowed, unheard.reservation_id) == (True, booking.reservation_id)
    assert unheard.question.owner_ids == (booking.fleet_id,)
    OwnerAnswer.objects.create(
        charger=evse.charger, number=uid, outcome="blocked", answered_at=at(9, 55), owner=booking.fleet
    )
    assert (ask(evse, at(9, 56), uid).allowed, ask(evse, at(9, 56), uid).reason) == (False, "blocked")


@pytest.mark.parametrize("is_pushed", [True, False])
def test_a_booking_without_tokens_is_opened_by_the_card_its_network_names_it_for(evse, is_pushed):
    """The network answers about the card with the booking's reference: no whitelist says more."""
    booking = without_tokens(armed(book(evse)), "REF-7")
    if is_pushed:
        token(booking.fleet, owner_check=OwnerCheck.NEVER)

    for anywhere in (True, False):
        unheard = ask(evse, at(9, 55), anywhere=anywhere)
        assert (unheard.allowed, unheard.reservation_id) == (False, None)
        assert unheard.question.owner_ids == ((booking.fleet_id,) if is_pushed else ())
        assert unheard.question.holders == ((booking.fleet_id, "SE", "FLT"),)
    hear(evse, "allowed", at(9, 55), reference="ref-7", owner=booking.fleet)
    for anywhere in (True, False):
        heard = ask(evse, at(9, 55), anywhere=anywhere)
        assert (heard.allowed, heard.reservation_id, heard.group) == (
            True,
            booking.reservation_id,
            booking.group,
        )


@pytest.mark.parametrize(
    ("outcome", "reference", "is_its_network", "reason"),
    [
        ("allowed", "REF-8", True, "booked_by_another"),
        ("allowed", "", True, "booked_by_another"),
        ("allowed", "REF-7", False, "booked_by_another"),
        ("unknown", "", True, "booked_by_another"),
        ("silent", "", True, "booked_by_another"),
        ("blocked", "", True, "blocked"),
        ("blocked", "", False, "booked_by_another"),
    ],
)
def test_no_other_word_opens_a_booking_without_tokens(
    evse, network, outcome, reference, is_its_network, reason
):
    booking = without_tokens(armed(book(evse)), "REF-7")
    owner = booking.fleet if is_its_network else network
    hear(evse, outcome, at(9, 55), reference=reference, owner=owner)

    answer = ask(evse, at(9, 55))
    assert (answer.allowed, answer.reason, answer.reservation_id) == (False, reason, None)


@pytest.mark.parametrize("party", ["FLT", "OTH", "NON"])
def test_of_two_parties_behind_a_hub_each_opens_its_own_booking(party):
    """A hub is one network: the same reference, but not of the same party."""
    depot = make_depot(terms={**TERMS, "walk_in": "own"})
    one, other = evse_online(depot), evse_online(depot)
    hub = make_fleet()
    evses = {"FLT": one, "OTH": other}
    for its, evse in evses.items():
        booking = without_tokens(book(evse, vehicle=make_vehicle(hub)), "REF-7")
        Booking.objects.filter(pk=booking.pk).update(customer_party=its)

    for at_party, evse in evses.items():
        assert {p for _, _, p in ask(evse, at(9, 55)).question.holders} >= {at_party}
        hear(evse, "allowed", at(9, 55), party.lower(), reference="REF-7", owner=hub)
        assert ask(evse, at(9, 55)).allowed is (party == at_party)


def test_of_bookings_with_one_reference_the_nearest_is_opened(evse):
    booked = [without_tokens(book(evse, slot(hour, hour + 1)), "REF-7") for hour in (10, 11)]
    Booking.objects.update(fleet=booked[0].fleet_id)
    armed(booked[0])
    hear(evse, "allowed", at(10), reference="REF-7", owner=booked[0].fleet)

    for anywhere in (True, False):
        assert ask(evse, at(10), anywhere=anywhere).reservation_id == booked[0].pk


def test_a_truck_whose_session_broke_off_is_let_in_again_without_a_token_that_its_booking_names():
    evse = evse_online(make_depot(terms={**TERMS, "walk_in": "own"}))
    booking = without_tokens(armed(book(evse)), "REF-7")
    hear(evse, "allowed", at(10), reference="REF-7", owner=booking.fleet)
    stop(start(evse, CARD, at(10)), at(10, 20), 90_000)
    assert Booking.objects.get().status == "completed"

    shown = ask(evse, at(10, 21), anywhere=True)
    assert (shown.allowed, shown.question.holders) == (False, ((booking.fleet_id, "SE", "FLT"),))
    word = OwnerWord("allowed", "REF-7", (), booking.fleet_id, "SE", "FLT")
    assert (shown.by_word(word).allowed, shown.by_word(replace(word, reference="REF-8")).allowed) == (
        True,
        False,
    )
    hear(evse, "allowed", at(10, 21), reference="REF-7", owner=booking.fleet)
    assert ask(evse, at(10, 22)).reservation_id == booking.pk


@pytest.mark.parametrize("anywhere", [True, False])
@pytest.mark.parametrize("is_beside", [True, False])
def test_asking_costs_the_same_however_many_bookings_name_no_token(anywhere, is_beside):
    depot = make_depot(terms={**TERMS, "walk_in": "agreed"})
    asked, *booked = [evse_online(depot) for _ in range(4)]
    hub = make_fleet()
    option = make_option(asked, *booked)
    asked.charger.depot  # noqa: B018 - the gateway has it at hand

    def put(evse: Evse) -> None:
        booking = without_tokens(book(evse, vehicle=make_vehicle(hub)), f"REF-{evse.pk}")
        if is_beside:
            Booking.objects.filter(pk=booking.pk).update(option=option)

    def queries() -> int:
        with CaptureQueriesContext(connection) as taken:
            ask(asked, at(9, 30), anywhere=anywhere)
        return len(taken)

    put(booked[0])
    token(hub)
    one = queries()
    Token.objects.all().delete()
    for evse in booked[1:]:
        put(evse)
    token(hub)

    assert Booking.objects.count() == 3
    assert queries() == one <= 10


def test_nobody_is_asked_about_a_card_that_cannot_be_of_the_network_that_booked(evse, network):
    booking = without_tokens(armed(book(evse)), "REF-7")
    Token.objects.create(fleet=make_fleet(), uid=CARD)
    assert ask(evse, at(9, 55)).question is None

    Token.objects.filter(uid=CARD).delete()
    token(booking.fleet, is_blocked=True)
    assert (ask(evse, at(9, 55)).question, ask(evse, at(9, 55)).allowed) == (None, False)


def test_any_member_of_the_group_of_a_booked_token_opens_the_booking(evse):
    """Checklist 57: groups are those of the tokens that the network has pushed."""
    booking = armed(book(evse))
    Organisation.objects.filter(pk=booking.fleet_id).update(is_partner=True)
    uid = booking.tokens.get().uid
    booking.fleet.tokens.all().delete()
    token(booking.fleet, uid, group_name="g-1")
    token(booking.fleet, "04F0F0F0", group_name="G-1")
    token(booking.fleet, "04E0E0E0", group_name="G-2")

    assert ask(evse, at(9, 55), "04F0F0F0").reservation_id == booking.reservation_id
    assert ask(evse, at(9, 55), "04E0E0E0").reason == "booked_by_another"
    Token.objects.filter(uid="04F0F0F0").update(is_blocked=True)
    assert ask(evse, at(9, 55), "04F0F0F0").allowed is False


def test_networks_tokens_count_where_guests_with_an_agreement_may_charge(network):
    evse = evse_online(make_depot(terms={**TERMS, "walk_in": "agreed"}))
    token(network)
    Agreement.objects.filter(depot=evse.depot).delete()
    assert ask(evse).reason == "elsewhere"

    open_depot(evse.depot, network)
    assert ask(evse).allowed
