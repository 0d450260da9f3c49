"""Prepaid balances by page: who sees them, who records what came, and what a dispatcher reads of a booking's payment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, PrepaidEntry, TermsOverride
from bookings.operations import decide
from depots.models import Evse, Membership, Organisation
from tests.bookings.billing.billed import make_buyer, make_seller
from tests.bookings.payments_made import (
    answer_waiting,
    ask_before,
    available,
    book,
    make_prepaid_site,
    pay_in,
)
from tests.bookings.people import client_of
from tests.factories import MANAGER, NOW, make_fleet, make_user, make_vehicle, option_of, place_hold, slot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
# In Kassel.
ELEVEN = {"starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00"}


@pytest.fixture
def customer() -> Organisation:
    return make_buyer()


@pytest.fixture
def evse() -> Evse:
    return make_prepaid_site()


@pytest.fixture
def accountant(evse) -> Client:
    return client_of(make_user(evse.depot.operator, Membership.Role.ACCOUNTANT))


@pytest.fixture
def dispatcher(customer) -> Client:
    return client_of(make_user(customer))


def address(evse: Evse, customer: Organisation, more: str = "") -> str:
    return f"/balances/{evse.depot.operator_id}/{customer.pk}/EUR/{more}"


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def sent(client: Client, page: str, amount: str = "50.00", reference: str = "E2E-1") -> dict[str, str]:
    return {
        "amount": amount,
        "reference": reference,
        "key": "k1",
        "version": client.get(page).context["version"],
    }


def test_an_accountant_records_what_came_once_and_not_over_somebody_elses(evse, customer, accountant):
    book(evse, customer)
    page = address(evse, customer)
    form = sent(accountant, page)

    first = accountant.post(page + "top-ups/", form)
    again = accountant.post(page + "top-ups/", form)
    stale = accountant.post(page + "top-ups/", {**form, "reference": "E2E-2"})
    without = accountant.post(page + "top-ups/", {"amount": "1", "key": "k2"})

    assert (first.status_code, again.status_code, stale.status_code, without.status_code) == (
        302,
        302,
        409,
        409,
    )
    assert available(evse.depot, customer) == Decimal(50)


def test_a_form_without_a_reference_sent_twice_is_one(evse, customer, accountant):
    book(evse, customer)
    page = address(evse, customer)
    form = {**sent(accountant, page), "reference": ""}

    for _ in range(2):
        accountant.post(page + "top-ups/", form)

    assert PrepaidEntry.objects.count() == 1


def test_no_more_is_paid_out_than_is_free(evse, customer, accountant):
    pay_in(evse.depot, customer, "25.00")
    book(evse, customer)
    page = address(evse, customer)

    too_much = accountant.post(page + "pay-outs/", sent(accountant, page, "15.01"))
    paid = accountant.post(page + "pay-outs/", sent(accountant, page, "15.00"), follow=True)
    stale = accountant.post(page + "pay-outs/", {**sent(accountant, page, "1.00", "E2E-3"), "version": "1"})

    assert (too_much.status_code, stale.status_code) == (422, 409)
    assert "EUR 15.00" in text_of(too_much)
    assert "paid out" in text_of(paid)
    assert available(evse.depot, customer) == 0


def test_both_sides_see_what_is_free_reserved_and_waited_for(evse, customer, accountant, dispatcher):
    pay_in(evse.depot, customer, "12.00")
    reserved, waiting = book(evse, customer, 10), book(evse, customer, 12)

    for client in (accountant, dispatcher):
        told = text_of(client.get(address(evse, customer)))
        assert "€2.00" in told
        assert "€10.00" in told
        assert reserved.reference in told
        assert waiting.reference in told
        assert "€2.00" in text_of(client.get("/balances/"))
    assert reserved.get_absolute_url() not in text_of(accountant.get(address(evse, customer)))
    assert reserved.get_absolute_url() in text_of(dispatcher.get(address(evse, customer)))


def test_a_balance_is_not_there_for_others_nor_in_no_currency(evse, customer, accountant):
    pay_in(evse.depot, customer, "12.00")
    stranger = client_of(make_user(make_fleet()))
    other = make_prepaid_site(make_seller("Sonnenhof"))
    elsewhere = client_of(make_user(other.depot.operator, Membership.Role.ACCOUNTANT))

    assert stranger.get(address(evse, customer)).status_code == 404
    assert elsewhere.get(address(evse, customer)).status_code == 404
    assert elsewhere.post(address(evse, customer, "top-ups/"), {"amount": "1"}).status_code == 404
    assert accountant.get(address(evse, customer).replace("EUR", "euro")).status_code == 404
    assert accountant.get(f"/balances/{customer.pk}/{evse.depot.operator_id}/EUR/").status_code == 404
    assert customer.name not in text_of(stranger.get("/balances/"))


def test_no_address_tells_the_name_of_whom_an_operator_never_dealt_with(evse, accountant):
    fleet = make_fleet()

    assert accountant.get(address(evse, fleet)).status_code == 404
    assert (
        client_of(make_user(fleet)).get(address(evse, fleet)).status_code == 200
    )  # open to all: it may pay in


def test_a_fleet_records_nothing_on_its_own_balance(evse, customer):
    pay_in(evse.depot, customer, "12.00")
    own = client_of(make_user(customer, Membership.Role.ACCOUNTANT))

    assert own.get(address(evse, customer)).status_code == 200
    assert own.post(address(evse, customer, "top-ups/"), {"amount": "1", "version": "1"}).status_code == 404


def test_a_customer_without_a_balance_is_found_by_its_bookings(evse, customer, accountant):
    book(evse, customer)

    answer = accountant.get(
        "/balances/", {"operator": evse.depot.operator_id, "customer": customer.pk, "currency": "EUR"}
    )

    assert answer.headers["Location"] == address(evse, customer)


def test_the_list_asks_as_often_for_many_as_for_one(evse, accountant):
    counts = []
    for _ in range(2):
        pay_in(evse.depot, make_buyer(f"Fleet {len(counts)}"), "12.00")
        with CaptureQueriesContext(connection) as seen:
            accountant.get("/balances/")
        counts.append(len(seen))

    assert counts[0] == counts[1]


class TestABookingsPage:
    def test_before_it_is_confirmed_a_hold_says_what_is_reserved_and_left(self, evse, customer, dispatcher):
        pay_in(evse.depot, customer, "12.00")
        held = hold(evse, customer)

        told = text_of(dispatcher.get(held.get_absolute_url()))

        assert (
            f"€10.00 are reserved from your prepaid balance with {evse.depot.operator}: €2.00 are left."
            in told
        )

    def test_or_what_is_missing_and_until_when_the_slot_would_be_kept(self, evse, customer, dispatcher):
        pay_in(evse.depot, customer, "4.00")
        held = hold(evse, customer)

        told = text_of(dispatcher.get(held.get_absolute_url()))

        assert "needs €6.00 more" in told
        assert "the slot is kept until 10:00" in told

    def test_afterwards_it_says_that_it_waits_for_the_payment_and_not_for_the_depot(
        self, evse, customer, dispatcher
    ):
        booking = book(evse, customer)

        told = text_of(dispatcher.get(booking.get_absolute_url()))

        assert "Waiting for the payment" in told
        assert "Waiting for the depot" not in told
        assert "Once that is there it can be changed." in told
        assert "The slot is kept until 10:00" in told

    def test_once_it_is_there_what_is_reserved(self, evse, customer, dispatcher):
        booking = book(evse, customer)
        pay_in(evse.depot, customer, "10.00")
        answer_waiting(evse.depot, customer)

        told = text_of(dispatcher.get(booking.get_absolute_url()))

        assert "Paid in advance" in told
        assert "€10.00 are secured from the prepaid balance as a prepayment" in told

    def test_where_both_are_missing_it_says_both(self, evse, customer, dispatcher):
        TermsOverride.objects.create(option=option_of(evse), approval=True)
        booking = book(evse, customer)

        assert "Waiting for the depot and the payment" in text_of(dispatcher.get(booking.get_absolute_url()))


class TestTheRequestsPage:
    def test_a_manager_is_not_offered_to_accept_what_only_waits_for_its_payment(self, evse, customer):
        book(evse, customer)
        manager = client_of(make_user(evse.depot.operator, Membership.Role.DEPOT_MANAGER))

        told = text_of(manager.get("/requests/"))

        assert "Waits for its payment of €10.00, not for you." in told
        assert 'value="accept"' not in told

    def test_where_both_are_missing_the_answer_is_kept_until_the_money_comes(self, evse, customer):
        TermsOverride.objects.create(option=option_of(evse), approval=True)
        booking = book(evse, customer)
        manager = client_of(make_user(evse.depot.operator, Membership.Role.DEPOT_MANAGER))
        before = text_of(manager.get("/requests/"))

        decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
        after = text_of(manager.get("/requests/"))

        assert 'value="accept"' in before
        assert "Waits for its payment of €10.00 too." in before
        assert 'value="accept"' not in after
        assert Booking.objects.get(pk=booking.pk).status == "requested"


def hold(evse: Evse, customer: Organisation) -> Booking:
    return place_hold(
        fleet=customer, option=option_of(evse), vehicle=make_vehicle(customer), period=slot(10, 11)
    )


@pytest.mark.parametrize(
    ("paid_in", "row", "button"),
    [
        ("25.00", "reserves €10.00, leaves €15.00", "Book now"),
        ("4.00", "needs a top-up of €6.00, kept until 10:00", "Ask now"),
    ],
)
def test_before_booking_the_finder_says_what_it_reserves_or_lacks(
    evse, customer, dispatcher, paid_in, row, button
):
    pay_in(evse.depot, customer, paid_in)

    page = text_of(dispatcher.get("/slots/", ELEVEN))

    assert f"from your prepaid balance with {evse.depot.operator.name}, which has €{paid_in}." in page
    assert f'<span class="soft offer-pays">{row}</span>' in page
    assert f'formaction="/bookings/">{button}<' in page


def test_a_slot_that_starts_before_anybody_can_pay_says_so(evse, customer, dispatcher):
    page = text_of(
        dispatcher.get("/slots/", {"starts_at": "2030-01-15T09:00", "ends_at": "2030-01-15T10:00"})
    )

    assert "needs a top-up of €10.00 first" in page


def test_who_has_agreed_on_nothing_first_is_told_and_asked_nothing(evse, customer, dispatcher):
    pay_in(evse.depot, customer, "25.00")

    def look() -> tuple[str, list[str]]:
        with CaptureQueriesContext(connection) as caught:
            page = text_of(dispatcher.get("/slots/", ELEVEN))
        return page, [query["sql"] for query in caught if "prepaidbalance" in query["sql"]]

    paying, asked = look()
    ask_before(evse.depot, "nothing")
    page, not_asked = look()

    assert ("offer-pays" in paying, len(asked)) == (True, 1)
    assert ("offer-pays" in page, "prepaid balance" in page, not_asked) == (False, False, [])
