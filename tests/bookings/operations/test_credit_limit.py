"""Up to which debt a customer may book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.errors import CreditLimitReached
from bookings.models import Booking, PaymentTerms
from bookings.operations import confirm_hold
from bookings.pricing.tariff_content import Dimension, ElementUse, PriceComponent, TariffElement
from bookings.rules.credit import exposure
from depots.models import Agreement, Depot, Evse, Organisation
from tests.bookings.billing.billed import ISSUED, make_buyer, make_seller, make_site, record
from tests.config.commands import refusal, run
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    change_slot,
    make_evse,
    make_vehicle,
    open_depot,
    option_of,
    place_hold,
    slot,
)
from tests.money_factories import flat, make_bound, make_invoice, new_payment

pytestmark = pytest.mark.django_db
FEE = "10.00"


@pytest.fixture
def customer() -> Organisation:
    return make_buyer()


@pytest.fixture
def evse() -> Evse:
    """Ten euros a booking, hours and energy free, no VAT."""
    found = make_evse(make_site())
    make_bound(flat(FEE), depot=found.depot)
    return found


def agree(depot: Depot, guest: Organisation | None, limit: str | None, **fields: Any) -> Agreement:
    agreement = Agreement.objects.get(depot=depot, guest=None) if guest is None else open_depot(depot, guest)
    PaymentTerms.objects.create(agreement=agreement, credit_limit=limit and Decimal(limit), **fields)
    return agreement


def book(evse: Evse, fleet: Organisation, hour: int = 10, **asked: Any) -> Booking:
    return book_slot(
        fleet=fleet, option=option_of(evse), vehicle=make_vehicle(fleet), period=slot(hour, hour + 1), **asked
    )


def test_bookings_are_made_up_to_the_limit_and_not_beyond(evse, customer):
    agree(evse.depot, None, "20.00")
    made = [book(evse, customer, hour).status for hour in (9, 10)]

    with pytest.raises(CreditLimitReached) as refused:
        book(evse, customer, 11)

    assert made == ["confirmed", "confirmed"]
    assert "20.00" in str(refused.value)
    assert refused.value.code == "credit_limit"
    assert Booking.objects.count() == 2


def test_beyond_the_limit_the_depot_is_asked_where_that_was_agreed(evse, customer):
    agree(evse.depot, customer, "15.00", beyond="approve")
    book(evse, customer, 9)

    beyond = book(evse, customer, 10)

    assert (beyond.status, beyond.terms.approval) == ("requested", True)
    assert beyond.decide_until is not None


def test_a_hold_beyond_the_limit_waits_for_the_depot_once_confirmed(evse, customer):
    agree(evse.depot, customer, "5.00", beyond="approve")
    held = place_hold(
        fleet=customer, option=option_of(evse), vehicle=make_vehicle(customer), period=slot(10, 11)
    )

    confirmed = confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=NOW)

    assert (held.status, confirmed.status) == ("held", "requested")


def test_what_is_open_unbilled_and_booked_counts_and_nothing_else(evse, customer):
    depot = evse.depot
    paid, part = (make_invoice(depot.operator, customer, total=Decimal("35.70")) for _ in range(2))
    new_payment(paid).save()
    type(paid).objects.filter(pk=paid.pk).update(settled_at=ISSUED)
    new_payment(part, amount=Decimal("5.70")).save()  # 30.00 are open
    record(depot, customer, "100.00")  # with its VAT 121.00
    record(depot, customer, "7.00", currency="CHF")
    record(depot, make_buyer("Alpentrans"), "7.00")
    record(make_site(make_seller("Sonnenhof")), customer, "7.00")
    book(evse, customer)

    assert exposure(depot.operator_id, customer.pk, "EUR") == Decimal("161.00")


def test_the_agreement_that_names_the_customer_goes_before_the_one_with_everybody(evse, customer):
    agree(evse.depot, None, "0.00")
    agree(evse.depot, customer, "10.00")

    assert book(evse, customer, 9).status == "confirmed"
    with pytest.raises(CreditLimitReached):
        book(evse, make_buyer("Alpentrans"), 10)


def test_the_operators_own_fleet_has_no_limit(evse):
    agree(evse.depot, None, "0.00")

    assert book(evse, evse.depot.operator).status == "confirmed"


def test_a_price_in_another_currency_is_not_held_against_the_limit(evse, customer):
    agree(evse.depot, customer, "0.00", currency="CHF")

    assert book(evse, customer).status == "confirmed"


def test_a_change_that_costs_more_is_held_against_it_without_the_booking_as_it_was(customer):
    evse = make_evse(make_site())
    by_hour = TariffElement((PriceComponent(Dimension.TIME, Decimal(10)),), use=ElementUse.BOOKING)
    make_bound(by_hour, depot=evse.depot)
    agree(evse.depot, customer, "25.00")
    made = book(evse, customer)

    longer = change_slot(booking_id=made.pk, period=slot(10, 12))
    with pytest.raises(CreditLimitReached):
        change_slot(booking_id=made.pk, period=slot(10, 13))
    shorter = change_slot(booking_id=made.pk, period=slot(10, 11))

    assert (longer.status, shorter.status) == ("confirmed", "confirmed")


def test_a_booking_is_held_against_it_by_what_it_was_made_under(customer):
    """Its agreement asks for a prepayment since, which this booking has not made and will not make."""
    evse = make_evse(make_site())
    by_hour = TariffElement((PriceComponent(Dimension.TIME, Decimal(10)),), use=ElementUse.BOOKING)
    make_bound(by_hour, depot=evse.depot)
    agree(evse.depot, customer, "25.00")
    made = book(evse, customer)
    PaymentTerms.objects.update(before="prepayment")

    with pytest.raises(CreditLimitReached):
        change_slot(booking_id=made.pk, period=slot(10, 13))


def test_without_payment_terms_a_booking_costs_no_statement_more(evse, customer):
    other = make_evse(make_site(make_seller("Sonnenhof")))
    agree(other.depot, None, "1000.00")
    for each in (evse, other):
        book(each, customer, 8)

    def statements(there: Evse) -> int:
        with CaptureQueriesContext(connection) as seen:
            book(there, customer, 10)
        return sum("advisory" in one["sql"] or "invoicedcdr" in one["sql"] for one in seen.captured_queries)

    assert (statements(evse), statements(other) > 0) == (0, True)


def test_the_command_agrees_on_a_limit(customer):
    depot = make_site(code="VENLO", open_to_all=False)

    [printed] = run(
        "open_depot", "VENLO", "--to", "Nordfracht", "--credit-limit", "5000", "--beyond", "approve"
    )
    [again] = run("open_depot", "VENLO", "--to", "Nordfracht")

    assert (printed["credit_limit"], printed["beyond"], printed["currency"]) == (5000.0, "approve", "EUR")
    assert again["credit_limit"] == 5000.0
    terms = PaymentTerms.objects.get(agreement__depot=depot, agreement__guest=customer)
    assert (terms.credit_limit, terms.beyond) == (Decimal(5000), "approve")


@pytest.mark.parametrize("amount", ["-1", "1e20", "0.001", "NaN"])
def test_a_limit_that_is_none_is_refused(customer, amount):
    make_site(code="VENLO")

    assert "no credit limit" in refusal("open_depot", "VENLO", "--to", "all", f"--credit-limit={amount}")
    assert not PaymentTerms.objects.exists()
