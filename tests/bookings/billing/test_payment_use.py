"""What was secured before the promise pays the invoice of that booking, or is given back."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bookings.actors import COMMAND
from bookings.billing import payment_use
from bookings.billing.cdrs import Issue, credit, lock
from bookings.billing.months import Month
from bookings.billing.payment_use import follow
from bookings.billing.returned_payments import record_return
from bookings.billing.run import bill
from bookings.billing.settlement import record_payment
from bookings.models import Booking, BookingEvent, ChargeDetailRecord, Invoice, Payment
from bookings.operations import cancel_booking, mark_no_show
from bookings.pages.payment_words import guarantee_words, payment_notice
from bookings.payments.booking_payments import release
from bookings.payments.prepaid import Movement, pay_out
from depots.models import Evse, Organisation
from tests.bookings.billing.billed import make_buyer, record
from tests.bookings.payments_made import account, available, book, make_prepaid_site, pay_in, payment_of
from tests.factories import DISPATCHER, MANAGER, NOW

pytestmark = pytest.mark.django_db
NEXT_MONTH = (NOW.replace(day=1) + timedelta(days=40)).replace(day=3)


@pytest.fixture
def customer() -> Organisation:
    return make_buyer()


@pytest.fixture
def evse() -> Evse:
    return make_prepaid_site()


def bill_month(evse: Evse) -> Invoice:
    bill(operator=evse.depot.operator, month=Month(NOW.year, NOW.month), actor=COMMAND, now=NEXT_MONTH)
    return Invoice.objects.latest("pk")


def over(booking: Booking, net: str, **fields: Any) -> ChargeDetailRecord:
    """The booking was used and costs so much, without VAT."""
    Booking.objects.filter(pk=booking.pk).update(status="completed")
    told = {"booking": booking, "taxes": Decimal(0), "net_by_rate": [["0", net]], "ends_at": booking.ends_at,
            "starts_at": booking.starts_at, **fields}  # fmt: skip
    return record(booking.depot, booking.fleet, net, **told)


def follow_now(booking: Booking) -> None:
    follow(Booking.objects.get(pk=booking.pk), now=NEXT_MONTH)


@pytest.mark.parametrize(
    ("costs", "paid", "left"),
    [
        ("10.00", "10.00", "5.00"),
        ("7.50", "7.50", "7.50"),
        ("13.00", "13.00", "2.00"),
        ("40.00", "15.00", "0.00"),
    ],
)
def test_what_was_reserved_pays_the_invoice_and_the_difference_is_given_back_or_taken(
    evse, customer, costs, paid, left
):
    pay_in(evse.depot, customer, "15.00")
    booking = book(evse, customer)
    over(booking, costs)

    invoice = bill_month(evse)

    payment = Payment.objects.get(invoice=invoice)
    assert (payment.means, payment.amount) == ("prepaid", Decimal(paid))
    assert available(evse.depot, customer) == Decimal(left)
    assert (payment_of(booking).status, payment_of(booking).invoice_id) == ("used", invoice.pk)
    assert (invoice.settled_at is not None) == (costs == paid)


def test_taxes_that_round_otherwise_on_the_invoice_leave_no_cent_of_it_open(evse, customer):
    """Three times 21 percent of 0.40 is 0.24 by record, and 0.25 on the invoice."""
    pay_in(evse.depot, customer, "40.00")
    for hour in (9, 10, 11):
        over(book(evse, customer, hour), "0.40", taxes=Decimal("0.08"), net_by_rate=[["21", "0.40"]])

    invoice = bill_month(evse)

    assert (invoice.total, Payment.objects.get().amount) == (Decimal("1.45"), Decimal("1.45"))
    assert invoice.settled_at is not None
    assert available(evse.depot, customer) == Decimal("38.55")


def test_taxes_that_round_lower_on_the_invoice_are_not_taken(evse, customer):
    """Three times 21 percent of 0.17 is 0.12 by record, and 0.11 on the invoice."""
    pay_in(evse.depot, customer, "40.00")
    for hour in (9, 10, 11):
        over(book(evse, customer, hour), "0.17", taxes=Decimal("0.04"), net_by_rate=[["21", "0.17"]])

    invoice = bill_month(evse)

    assert (invoice.total, Payment.objects.get().amount) == (Decimal("0.62"), Decimal("0.62"))
    assert available(evse.depot, customer) == Decimal("39.38")


def test_what_is_billed_beside_it_is_not_paid_from_the_balance(evse, customer):
    pay_in(evse.depot, customer, "100.00")
    over(book(evse, customer), "10.00")
    record(
        evse.depot,
        customer,
        "30.00",
        ends_at=NOW,
        starts_at=NOW,
        taxes=Decimal(0),
        net_by_rate=[["0", "30.00"]],
    )

    bill_month(evse)

    assert Payment.objects.get().amount == Decimal(10)


def test_the_document_says_what_is_paid_already(evse, customer):
    from bookings.billing.invoice_lines import document_of

    pay_in(evse.depot, customer, "10.00")
    over(book(evse, customer), "10.00")

    assert document_of(bill_month(evse)).due == 0


def test_a_second_run_takes_nothing_twice(evse, customer):
    pay_in(evse.depot, customer, "30.00")
    over(book(evse, customer), "10.00")
    bill_month(evse)

    bill_month(evse)

    assert Payment.objects.count() == 1
    assert available(evse.depot, customer) == Decimal(20)


def test_what_is_given_back_while_a_run_reckons_pays_nothing(evse, customer, monkeypatch):
    pay_in(evse.depot, customer, "30.00")
    booking = book(evse, customer)
    over(booking, "10.00")
    reckoned = payment_use._costs

    def given_back_meanwhile(invoices: list[Invoice]) -> dict[int, tuple[int, Decimal]]:
        costs = reckoned(invoices)
        release(payment_of(booking), "Let off", now=NEXT_MONTH)
        return costs

    monkeypatch.setattr(payment_use, "_costs", given_back_meanwhile)
    bill_month(evse)

    assert not Payment.objects.exists()
    assert (available(evse.depot, customer), payment_of(booking).status) == (Decimal(30), "released")


def test_a_guarantee_stays_until_its_invoice_is_paid_otherwise(customer):
    evse = make_prepaid_site(before="guarantee")
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)
    over(booking, "8.00")
    invoice = bill_month(evse)
    kept = available(evse.depot, customer), Payment.objects.count(), payment_of(booking).status

    record_payment(
        invoice_id=invoice.pk, amount=invoice.total, paid_on=date(2030, 1, 1), means=Payment.Means.TRANSFER, reference="B-1",
        actor=MANAGER, now=NEXT_MONTH,
    )  # fmt: skip

    assert kept == (0, 0, "secured")
    assert (available(evse.depot, customer), payment_of(booking).status) == (Decimal(10), "released")


def test_a_no_show_is_paid_from_it_fee_and_all(evse, customer):
    pay_in(evse.depot, customer, "20.00")
    booking = book(evse, customer)

    mark_no_show(booking_id=booking.pk, now=booking.ends_at)
    kept = payment_of(booking).status
    bill_month(evse)

    assert kept == "secured"
    assert Payment.objects.get().amount == Decimal(17)
    assert available(evse.depot, customer) == Decimal(3)


def test_a_no_show_that_costs_nothing_gives_it_back(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)
    BookingEvent.objects.create(booking=booking, kind="waived", actor_kind="berth", at=NOW)

    mark_no_show(booking_id=booking.pk, now=booking.ends_at)

    assert payment_of(booking).status == "released"
    assert available(evse.depot, customer) == Decimal(10)


def test_what_was_used_for_nothing_is_given_back(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)
    Booking.objects.filter(pk=booking.pk).update(status="completed")

    follow_now(booking)

    assert available(evse.depot, customer) == Decimal(10)


def test_a_record_that_was_waived_gives_it_back_and_one_that_stands_does_not(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)
    cdr = over(booking, "10.00")
    follow_now(booking)
    before = available(evse.depot, customer)

    credit(lock(cdr), Issue(MANAGER, NEXT_MONTH, "Let off"))
    follow_now(booking)

    assert (before, available(evse.depot, customer)) == (0, Decimal(10))


def test_a_booking_under_way_keeps_it(evse, customer):
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)

    follow_now(booking)

    assert payment_of(booking).status == "secured"


def test_a_late_cancellation_keeps_what_its_fee_takes(customer):
    from bookings.models import TermsOverride
    from bookings.pricing.tariff_content import Dimension, ElementUse, PriceComponent, TariffElement
    from tests.bookings.billing.billed import make_site
    from tests.bookings.payments_made import BY_HOUR, ask_before
    from tests.factories import make_evse, option_of
    from tests.money_factories import make_bound

    fee = TariffElement((PriceComponent(Dimension.FLAT, Decimal("4.00")),), use=ElementUse.LATE_CANCELLATION)
    evse = make_evse(make_site())
    make_bound(BY_HOUR, fee, depot=evse.depot)
    ask_before(evse.depot)
    TermsOverride.objects.create(option=option_of(evse), late_cancel=True)
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)

    cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=booking.starts_at - timedelta(minutes=1)
    )  # fmt: skip
    kept = payment_of(booking).status
    bill_month(evse)

    assert kept == "secured"
    assert Payment.objects.get().amount == Decimal(4)
    assert available(evse.depot, customer) == Decimal(6)


@pytest.mark.parametrize(
    ("paid_out", "reserved", "title", "words"),
    [
        ("0.00", "8.00", "Guaranteed", "€8.00 of it are guaranteed."),
        (
            "7.00",
            "3.00",
            "Guaranteed",
            "€3.00 of it are guaranteed. For the rest there is no guarantee any more",
        ),
        ("10.00", "0.00", "No guarantee any more", "It has no guarantee any more"),
    ],
)
def test_a_guarantee_is_taken_up_again_when_the_bank_takes_the_payment_back(
    customer, paid_out, reserved, title, words
):
    evse = make_prepaid_site(before="guarantee")
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)
    over(booking, "8.00")
    invoice = bill_month(evse)
    pay(invoice, "B-1")
    if Decimal(paid_out):
        out = Movement(Decimal(paid_out), "OUT-1")
        pay_out(account(evse.depot, customer), out, actor=MANAGER, now=NEXT_MONTH)

    record_return(
        invoice=invoice, organisation=evse.depot.operator, amount=invoice.total, returned_on=date(2030, 2, 20), reason="MD06",
        reference="R-1", actor=MANAGER, now=NEXT_MONTH,
    )  # fmt: skip

    again, told = payment_of(booking), guarantee_words(invoice)
    notice = payment_notice(again.booking, again, now=NEXT_MONTH)
    pay(invoice, "B-2")
    assert notice is not None
    assert notice.title == title
    assert again.reserved == Decimal(reserved)
    assert told.startswith(words)
    assert available(evse.depot, customer) == Decimal(10) - Decimal(paid_out)
    assert payment_of(booking).status == "released"


def pay(invoice: Invoice, reference: str) -> None:
    record_payment(
        invoice_id=invoice.pk, amount=invoice.total, paid_on=date(2030, 1, 1), means=Payment.Means.TRANSFER, reference=reference,
        actor=MANAGER, now=NEXT_MONTH,
    )  # fmt: skip
