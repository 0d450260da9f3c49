"""What a partner's name for an offer means is remembered, and never longer than it is true."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from bookings.models import Booking, BookingOption
from depots.models import Depot, Organisation
from roaming.inbound import known_options
from tests.factories import NOW, make_depot, make_evse, option_of, slot
from tests.roaming.partners import BOOKINGS, Caller, booking_request, code, data, make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


def ask(caller: Caller, option: BookingOption, hour: int) -> Any:
    """By the names that the option had when it was read."""
    return caller.post(BOOKINGS, booking_request(caller.party, option, slot(hour, hour + 1)))


def test_a_name_that_was_asked_before_is_not_looked_up_again(caller, monkeypatch):
    option = option_of(make_evse())
    assert code(ask(caller, option, 11)) == (201, 1000)
    monkeypatch.setattr(known_options, "find", None)

    assert code(ask(caller, option, 12)) == (201, 1000)


def test_a_code_that_another_offer_has_by_now_means_the_other(caller):
    depot = make_depot()
    first, second = option_of(make_evse(depot)), option_of(make_evse(depot))
    ask(caller, first, 11)
    BookingOption.objects.filter(pk=first.pk).update(code="GONE")
    BookingOption.objects.filter(pk=second.pk).update(code=first.code)

    answer = ask(caller, first, 12)

    assert Booking.objects.get(reference=data(answer)["id"]).option_id == second.pk


def test_a_depot_that_was_given_another_id_is_not_found_under_the_old(caller):
    option = option_of(make_evse())
    ask(caller, option, 11)
    Depot.objects.update(location_id="MOVED")

    assert code(ask(caller, option, 12))[1] == 2003


@pytest.mark.django_db(transaction=True)  # a row's version is that of the transaction that wrote it
def test_an_operator_that_is_no_cpo_any_more_has_no_offers(caller):
    option = option_of(make_evse())
    ask(caller, option, 11)
    Organisation.objects.filter(pk=option.depot.operator_id).update(cpo_party_id="")

    assert code(ask(caller, option, 12))[1] == 2003


def test_what_answers_a_request_is_what_is_read_afterwards(caller):
    answer = ask(caller, option_of(make_evse()), 11)

    assert data(caller.get(f"{BOOKINGS}/{data(answer)['id']}")) == data(answer)
