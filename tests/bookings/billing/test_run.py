"""A month's records become invoices and credit notes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.billing.errors import MonthInvalid, MonthNotOver, ParticularsMissing
from bookings.billing.months import Month
from bookings.billing.open_months import open_months
from bookings.models import (
    ChargeDetailRecord,
    IncomingInvoice,
    Invoice,
    InvoicedCdr,
    InvoiceReconciliationRecord,
    PaymentTerms,
)
from depots.models import Agreement
from tests.bookings.billing.billed import (
    ISSUED,
    MIDDLE,
    NOVEMBER,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.config.commands import refusal, run
from tests.factories import NOW
from tests.money_factories import make_invoice, new_incoming_invoice

pytestmark = pytest.mark.django_db


def numbers() -> list[str]:
    return list(Invoice.objects.order_by("pk").values_list("number", flat=True))


def test_each_customer_gets_one_invoice_a_currency():
    depot = make_site()
    north, alps = make_buyer(), make_buyer("Alpentrans", vat_id="")
    for customer, currency in [(north, "EUR"), (north, "EUR"), (north, "CHF"), (alps, "EUR")]:
        record(depot, customer, "10.00", currency=currency)

    bill_november(depot.operator)

    billed = Invoice.objects.order_by("customer__name", "currency")
    assert list(billed.values_list("customer__name", "currency", "before_taxes", "cdr_count")) == [
        ("Alpentrans", "EUR", Decimal("10.00"), 1),
        ("Nordfracht", "CHF", Decimal("10.00"), 1),
        ("Nordfracht", "EUR", Decimal("20.00"), 2),
    ]
    assert InvoicedCdr.objects.count() == 4


def test_a_second_run_says_the_same_and_makes_nothing():
    depot = make_site()
    record(depot, make_buyer())

    first, second = bill_november(depot.operator), bill_november(depot.operator)

    assert [(one.invoice.number, one.created) for one in first.documents] == [("INV-2029-000001", True)]
    assert [(one.invoice.number, one.created) for one in second.documents] == [("INV-2029-000001", False)]


def test_what_comes_after_a_run_is_billed_by_the_next():
    depot, customer = make_site(), make_buyer()
    record(depot, customer)
    bill_november(depot.operator)
    record(depot, customer, "5.00")

    again = bill_november(depot.operator)

    assert [(one.invoice.number, one.created) for one in again.documents] == [
        ("INV-2029-000001", False),
        ("INV-2029-000002", True),
    ]
    assert Invoice.objects.latest("pk").before_taxes == Decimal("5.00")


def test_a_record_is_of_the_month_in_which_it_ends_by_the_clock_at_its_depot():
    operator, customer = make_seller(), make_buyer()
    here, lisbon = make_site(operator), make_site(operator, time_zone="Europe/Lisbon", country="PRT")
    last_hour = datetime(2029, 11, 30, 23, 0, tzinfo=UTC)  # midnight in Amsterdam, an hour before in Lisbon
    for depot, cents in [(here, "1.00"), (lisbon, "2.00")]:
        record(depot, customer, cents, ends_at=last_hour, starts_at=last_hour)
    record(here, customer, "4.00", ends_at=last_hour - timedelta(seconds=1), starts_at=MIDDLE)

    bill_november(operator)

    assert Invoice.objects.get().before_taxes == Decimal("6.00")


def test_a_month_that_is_not_over_everywhere_is_only_looked_at():
    operator, customer = make_seller(), make_buyer()
    make_site(operator, time_zone="Europe/Lisbon")
    record(make_site(operator), customer)
    midnight_in_amsterdam = datetime(2029, 11, 30, 23, 30, tzinfo=UTC)

    with pytest.raises(MonthNotOver):
        bill_november(operator, midnight_in_amsterdam)
    looked = bill_november(operator, midnight_in_amsterdam, dry_run=True)

    assert [(one.invoice.number, one.invoice.total) for one in looked.documents] == [("", Decimal("36.30"))]
    assert not Invoice.objects.exists()
    assert not InvoicedCdr.objects.exists()


def test_vat_is_reckoned_on_the_sum_and_not_record_by_record():
    depot = make_site()
    customer = make_buyer(vat_id="")
    for _ in range(3):
        record(depot, customer, "0.03", taxes=Decimal("0.01"))  # 0.0063 each

    bill_november(depot.operator)

    assert Invoice.objects.values_list("before_taxes", "taxes", "total").get() == (
        Decimal("0.09"), Decimal("0.02"), Decimal("0.11"),
    )  # fmt: skip


def test_every_rate_is_taxed_for_itself():
    depot = make_site()
    record(depot, make_buyer(vat_id=""), "30.00", net_by_rate=[["21", "20.00"], ["9", "10.00"]])

    bill_november(depot.operator)

    parts = Invoice.objects.get().tax_breakdown
    assert [(part["category"], part["rate"], part["before_taxes"], part["taxes"]) for part in parts] == [
        ("S", "21", "20.00", "4.20"),
        ("S", "9", "10.00", "0.90"),
    ]


def test_parts_of_a_cent_make_no_other_total_than_the_records_have():
    depot = make_site()
    customer = make_buyer(vat_id="")
    for _ in range(2):
        record(depot, customer, "1.01", net_by_rate=[["21", "1.0050"], ["9", "0.0004"]])

    bill_november(depot.operator)

    assert Invoice.objects.get().before_taxes == Decimal("2.02")


@pytest.mark.parametrize(
    ("site", "buyer", "categories"),
    [
        ({}, {}, ["S"]),  # where the seller resides it owes the VAT itself
        ({"country": "DEU"}, {}, ["AE"]),  # a German customer who charges in Germany, of a Dutch seller
        ({"country": "DEU"}, {"vat_id": ""}, ["S"]),
        ({}, {"is_partner": True}, ["AE"]),  # a reseller is supplied where it resides
        ({}, {"is_partner": True, "country": "CHE", "vat_id": "CHE107787577IVA"}, ["O"]),
    ],
)
def test_whose_vat_it_is_follows_from_seller_buyer_and_place(site, buyer, categories):
    depot = make_site(**site)
    record(depot, make_buyer(**buyer))

    bill_november(depot.operator)

    billed = Invoice.objects.get()
    assert [part["category"] for part in billed.tax_breakdown] == categories
    assert billed.taxes == (Decimal("6.30") if categories == ["S"] else Decimal("0.00"))


def test_numbers_count_each_issuer_year_and_kind_without_a_gap():
    north, here, there = make_buyer(), make_site(), make_site(make_seller("Sonnenhof"))
    record(here, north), record(there, north)
    cdr = record(here, make_buyer("Alpentrans"))
    bill_november(here.operator), bill_november(there.operator)
    credit_of(cdr)

    bill_november(here.operator)
    with transaction.atomic():
        record(there, north, "1.00")
        bill_november(there.operator)
        transaction.set_rollback(True)
    record(there, north, "1.00")
    bill_november(there.operator)

    assert numbers() == [
        "INV-2029-000001",
        "INV-2029-000002",
        "INV-2029-000001",
        "CN-2029-000001",
        "INV-2029-000002",
    ]


def name_on_incoming(cdr: ChargeDetailRecord, *, is_self_billed: bool) -> IncomingInvoice:
    """Its operator or, self-billed, its customer has invoiced it."""
    recipient, sender = (cdr.operator, cdr.customer) if is_self_billed else (cdr.customer, cdr.operator)
    told = new_incoming_invoice(
        recipient, sender=sender, is_self_billed=is_self_billed, cdr_codes=[cdr.code.upper()]
    )
    told.save()
    return told


def test_what_follows_from_a_record_that_its_customer_invoices_is_no_more_billed_here_than_that(
    django_assert_num_queries,
):
    depot, other_depot, customer = make_site(), make_site(make_seller("Sonnenhof")), make_buyer()
    cdr = record(depot, customer)
    told = name_on_incoming(cdr, is_self_billed=True)
    credit_of(cdr)
    anew = record(depot, customer, "12.00", replaces=cdr)
    credit_of(anew), record(depot, customer, "11.00", replaces=anew)
    record(depot, customer, "5.00"), record(other_depot, customer, "7.00", code=cdr.code)
    operators = [depot.operator_id, other_depot.operator_id]

    looked, run = open_months(operators, now=ISSUED), bill_november(depot.operator)
    with django_assert_num_queries(5):
        open_months(operators, now=ISSUED)
    IncomingInvoice.objects.filter(pk=told.pk).update(state="withdrawn")
    afterwards = open_months(operators, now=ISSUED)

    assert {one.operator_id: one.cdrs for one in looked} == dict.fromkeys(operators, 1)
    assert [one.invoice.before_taxes for one in run.documents] == [5]
    assert {one.operator_id: one.cdrs for one in afterwards} == dict(zip(operators, (5, 1), strict=True))


def test_a_credit_of_what_is_billed_is_a_credit_note_about_that_invoice():
    depot, customer = make_site(), make_buyer()
    cdr, _ = record(depot, customer), record(depot, customer, "5.00")
    bill_november(depot.operator)
    original = Invoice.objects.get()
    credit_of(cdr), record(depot, customer, "12.00", replaces=cdr)

    bill_november(depot.operator)

    note = Invoice.objects.get(kind="credit_note")
    assert (note.corrects, note.before_taxes, note.total) == (original, Decimal("30.00"), Decimal("36.30"))
    assert Invoice.objects.filter(kind="invoice").latest("pk").before_taxes == Decimal("12.00")


def test_a_credit_note_goes_by_the_vat_and_the_parties_of_its_invoice():
    depot, customer = make_site(country="DEU"), make_buyer(vat_id="")
    cdr = record(depot, customer)
    bill_november(depot.operator)
    type(customer).objects.update(vat_id="DE136695976", city="Bremen")
    credit_of(cdr)

    bill_november(depot.operator)

    note = Invoice.objects.get(kind="credit_note")
    assert [part["category"] for part in note.tax_breakdown] == ["S"]
    assert note.parties["customer"]["city"] == "Hamburg"


def test_a_credit_of_what_is_not_billed_yet_nets_with_it():
    depot, customer = make_site(), make_buyer()
    credit_of(record(depot, customer)), record(depot, customer, "5.00")

    bill_november(depot.operator)

    billed = Invoice.objects.get()
    assert (billed.kind, billed.before_taxes, billed.cdr_count) == ("invoice", Decimal("5.00"), 3)


def test_one_on_which_as_much_was_credited_as_billed_waits_for_no_payment():
    depot = make_site()
    credit_of(record(depot, make_buyer()))

    bill_november(depot.operator)

    billed = Invoice.objects.get()
    assert (billed.total, billed.cdr_count, billed.settled_at) == (Decimal(0), 2, ISSUED)


def test_what_costs_nothing_alone_makes_no_invoice():
    depot = make_site()
    record(depot, make_buyer(), "0.00")

    assert bill_november(depot.operator).documents == []


def test_a_customer_of_whom_something_is_missing_is_refused_and_the_others_are_billed():
    depot = make_site()
    record(depot, make_buyer(legal_name="", city=""))
    record(depot, make_buyer("Alpentrans"))

    done = bill_november(depot.operator)

    assert [one.invoice.customer.name for one in done.documents] == ["Alpentrans"]
    assert list(done.refused) == ["Nordfracht"]
    assert "legal-name" in done.refused["Nordfracht"]
    assert "city" in done.refused["Nordfracht"]


@pytest.mark.parametrize("field", ["legal_name", "vat_id", "iban", "country"])
def test_an_operator_of_whom_something_is_missing_bills_nobody(field):
    depot = make_site(make_seller(**{field: ""}))
    record(depot, make_buyer())

    with pytest.raises(ParticularsMissing) as refused:
        bill_november(depot.operator)

    assert list(refused.value.faults) == [field]
    assert not Invoice.objects.exists()
    assert not InvoicedCdr.objects.exists()


def test_under_reverse_billing_the_customer_issues_with_numbers_of_its_own():
    depot, customer = make_site(), make_buyer()
    agreement = Agreement.objects.create(depot=depot, guest=customer, starts_at=NOW)
    PaymentTerms.objects.create(agreement=agreement, is_reverse=True, due_days=30)
    record(depot, customer)

    bill_november(depot.operator)

    billed = Invoice.objects.get()
    told = InvoiceReconciliationRecord.objects.get()
    assert (billed.issuer, billed.supplier, billed.customer) == (customer, depot.operator, customer)
    assert billed.due_on - billed.issued_on == timedelta(days=30)
    assert (told.owner, told.counterparty) == (customer, depot.operator)


def test_own_fleets_and_what_partners_billed_us_are_never_invoiced():
    depot = make_site()
    record(depot, depot.operator)
    record(depot, make_buyer(), received={"id": "X"}, number=None)

    assert bill_november(depot.operator).documents == []


def test_each_invoice_has_a_record_that_names_what_it_is_about():
    depot, customer = make_site(), make_buyer()
    codes = [record(depot, customer).code for _ in range(3)]

    bill_november(depot.operator)

    told = InvoiceReconciliationRecord.objects.get()
    assert (told.cdr_codes, told.invoice_number) == (codes, "INV-2029-000001")
    assert told.owner == depot.operator


def test_a_run_makes_as_many_statements_for_many_records_as_for_few():
    one, many = make_site(), make_site(make_seller("Sonnenhof"))
    record(one, make_buyer())
    customer = make_buyer("Alpentrans")
    for _ in range(20):
        record(many, customer)

    def statements(operator) -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            bill_november(operator)
        return len(seen)

    assert statements(one.operator) == statements(many.operator) <= 22


def test_a_record_stands_on_one_invoice():
    depot, customer = make_site(), make_buyer()
    cdr = record(depot, customer)
    bill_november(depot.operator)
    other = make_invoice(depot.operator, customer)

    with pytest.raises(IntegrityError), transaction.atomic():
        InvoicedCdr.objects.create(cdr=cdr, invoice=other)


def test_the_command_prints_a_line_an_invoice():
    depot = make_site()
    record(depot, make_buyer())

    month = ["--operator", "Ladepark", "--month", "2029-11"]
    with time_machine.travel(ISSUED):
        [seen], [line], [again] = run("bill", *month, "--dry-run"), run("bill", *month), run("bill", *month)

    assert line == {
        "number": "INV-2029-000001", "customer": "Nordfracht", "currency": "EUR", "before_taxes": 30.0, "taxes": 6.3,
        "total": 36.3, "cdrs": 1, "kind": "invoice", "created": True,
    }  # fmt: skip
    assert again == {**line, "created": False}
    assert seen == {**line, "number": None, "created": False}


@pytest.mark.parametrize("text", ["2029-13", "2029", "29-11", "2029-1", ""])
def test_a_month_is_a_month(text):
    with pytest.raises(MonthInvalid):
        Month.read(text)


def test_the_command_refuses_a_month_to_come_and_an_operator_nobody_knows():
    make_seller()

    assert "not over" in refusal("bill", "--operator", "Ladepark", "--month", "2098-11")
    assert "no organisation" in refusal("bill", "--operator", "Nobody", "--month", "2020-11")


def test_months_follow_one_another():
    assert [str(Month(2029, 12).next), str(Month(2029, 1).previous), str(NOVEMBER.next)] == [
        "2030-01", "2028-12", "2029-12",
    ]  # fmt: skip
