"""Files for the bank, and what it says afterwards."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from lxml import etree

from bookings.billing.bank import order_debits, order_transfers, record_statement
from bookings.billing.errors import DocumentUnreadable, NothingToOrder, ParticularsMissing
from bookings.billing.reminders import remind, remind_overdue, send_reminder
from bookings.billing.settlement import still_due, with_paid
from bookings.models import BankOrder, ChargeDetailRecord, Invoice, Payment, PaymentTerms, PrepaidEntry
from bookings.payments.balance_references import balance_reference
from bookings.payments.prepaid import Account
from bookings.rules.credit import exposure
from depots.models import Organisation
from tests.bookings.billing.billed import (
    ISSUED,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.factories import MANAGER, open_depot

pytestmark = pytest.mark.django_db
MANDATE = {"mandate_reference": "M-1", "mandate_signed_on": date(2029, 1, 1)}
CREDITOR = "DE98ZZZ09999999999"


def operator_with(customers: int = 1, **terms) -> Organisation:
    depot = make_site(make_seller(creditor_id=CREDITOR))
    for number in range(customers):
        customer = make_buyer(f"Fleet {number}")
        PaymentTerms.objects.create(agreement=open_depot(depot, customer), **{**MANDATE, **terms})
        record(depot, customer)
    bill_november(depot.operator)
    return depot.operator


def debit(operator: Organisation) -> BankOrder:
    return order_debits(organisation=operator, actor=MANAGER, now=ISSUED)


def texts(order: BankOrder, tag: str) -> list[str | None]:
    return [node.text for node in etree.fromstring(bytes(order.file)).iter("{*}" + tag)]


def statement(*entries: tuple[str, str, str], iban: str = "NL91ABNA0417164300", reason: str = "") -> bytes:
    """Of `(id, amount, end-to-end id)`; an amount below zero left the account."""
    returned = f"<RtrInf><Rsn><Cd>{reason}</Cd></Rsn></RtrInf>" if reason else ""
    rows = "".join(
        f"""<Ntry><Amt Ccy="EUR">{amount.lstrip("-")}</Amt><CdtDbtInd>{"DBIT" if amount[0] == "-" else "CRDT"}</CdtDbtInd>
        <Sts>BOOK</Sts><BookgDt><Dt>2029-12-18</Dt></BookgDt><AcctSvcrRef>{key}</AcctSvcrRef><NtryDtls><TxDtls><Refs>
        <EndToEndId>{number}</EndToEndId></Refs>{returned}</TxDtls></NtryDtls></Ntry>"""
        for key, amount, number in entries
    )
    return f"""<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt><Id>S1</Id><Acct><Id>
        <IBAN>{iban}</IBAN></Id></Acct>{rows}</Stmt></BkToCstmrStmt></Document>""".encode()


def read(operator: Organisation, file: bytes):
    return record_statement(organisation=operator, file=file, actor=MANAGER, now=ISSUED + timedelta(days=15))


def test_all_that_is_open_under_a_mandate_is_collected_once():
    operator = operator_with(3)

    order = debit(operator)

    assert sorted(texts(order, "EndToEndId")) == ["INV-2029-000001", "INV-2029-000002", "INV-2029-000003"]
    assert (order.total, order.lines.count()) == (Decimal("108.90"), 3)
    with pytest.raises(NothingToOrder):
        debit(operator)


def test_what_is_paid_has_no_mandate_or_is_in_no_euros_is_not_collected():
    operator = operator_with(mandate_reference="")

    with pytest.raises(NothingToOrder):
        debit(operator)


def test_who_has_no_creditor_id_collects_nothing():
    operator = operator_with()
    operator.creditor_id = ""

    with pytest.raises(ParticularsMissing) as refused:
        debit(operator)

    assert list(refused.value.faults) == ["creditor_id"]


def test_what_is_left_of_a_credit_note_is_sent_back():
    depot, customer = make_site(), make_buyer()
    cdr = record(depot, customer)
    bill_november(depot.operator)
    read(depot.operator, statement(("A1", "36.30", "INV-2029-000001")))
    credit_of(cdr)
    bill_november(depot.operator)

    order = order_transfers(organisation=depot.operator, actor=MANAGER, now=ISSUED)

    assert (texts(order, "EndToEndId"), order.total) == (["CN-2029-000001"], Decimal("36.30"))
    assert "DE89370400440532013000" in texts(order, "IBAN")


def test_who_writes_the_invoice_itself_pays_it_by_transfer():
    operator = operator_with(is_reverse=True)
    customer = Organisation.objects.get(name="Fleet 0")

    order = order_transfers(organisation=customer, actor=MANAGER, now=ISSUED)

    assert order.total == Decimal("36.30")
    with pytest.raises(NothingToOrder):
        order_transfers(organisation=operator, actor=MANAGER, now=ISSUED)


def test_a_statement_is_recorded_once_however_often_it_is_read():
    operator = operator_with()
    debit(operator)
    file = statement(("A1", "36.30", "INV-2029-000001"), ("A2", "5.00", "somebody else"))

    first, second = read(operator, file), read(operator, file)

    assert [payment.means for payment in first.recorded] == [Payment.Means.DIRECT_DEBIT]
    assert (len(second.recorded), len(second.known), len(second.unmatched)) == (0, 1, 1)
    assert Payment.objects.get().amount == Decimal("36.30")
    assert Invoice.objects.get().settled_at is not None


def test_a_number_in_the_payers_words_will_do_and_another_account_will_not():
    operator = operator_with()
    file = statement(("A1", "36.30", "NOTPROVIDED")).replace(
        b"</Refs>", b"</Refs><RmtInf><Ustrd>thanks, inv-2029-000001</Ustrd></RmtInf>"
    )

    other = read(operator, file.replace(b"NL91ABNA0417164300", b"DE89370400440532013000"))
    own = read(operator, file)

    assert (len(other.recorded), len(own.recorded)) == (0, 1)
    assert (other.other_accounts, own.other_accounts) == (["DE89370400440532013000"], [])
    assert Payment.objects.get().means == Payment.Means.TRANSFER


def test_a_debit_that_came_back_can_be_collected_again():
    operator = operator_with()
    debit(operator)

    told = read(operator, statement(("R1", "-36.30", "INV-2029-000001"), reason="AM04"))

    assert [returned.reason for returned in told.returned] == ["AM04"]
    assert debit(operator).total == Decimal("36.30")


def open_again(operator: Organisation) -> Invoice:
    """A debit that was booked as paid, and taken back."""
    debit(operator)
    read(operator, statement(("A1", "36.30", "INV-2029-000001")))
    read(operator, statement(("R1", "-36.30", "INV-2029-000001"), reason="MD06"))
    return Invoice.objects.get(kind="invoice")


def test_a_debit_taken_back_after_it_was_booked_opens_its_invoice_again():
    invoice = open_again(operator_with())

    assert invoice.settled_at is None
    assert still_due(invoice) == with_paid(Invoice.objects.all()).get().still_due == Decimal("36.30")
    assert exposure(invoice.supplier_id, invoice.customer_id, "EUR") == Decimal("36.30")
    assert debit(invoice.supplier).total == Decimal("36.30")


def test_the_same_return_read_twice_takes_nothing_back_twice():
    operator = operator_with()
    invoice = open_again(operator)
    debit(operator)
    read(operator, statement(("A2", "36.30", "INV-2029-000001")))

    told = read(operator, statement(("R1", "-36.30", "INV-2029-000001"), reason="MD06"))

    invoice.refresh_from_db()
    assert (len(told.returned), len(told.known)) == (0, 1)
    assert invoice.settled_at is not None
    with pytest.raises(NothingToOrder):
        debit(operator)


def test_a_return_that_is_read_before_its_payment_leaves_the_invoice_open():
    operator = operator_with()
    debit(operator)
    read(operator, statement(("R1", "-36.30", "INV-2029-000001"), reason="AM04"))

    read(operator, statement(("A1", "36.30", "INV-2029-000001")))

    assert Payment.objects.get().returned.reason == "AM04"
    assert still_due(Invoice.objects.get()) == Decimal("36.30")


def test_a_payment_and_its_return_in_one_statement_leave_the_invoice_open():
    operator = operator_with()
    debit(operator)
    both = statement(("A1", "36.30", "INV-2029-000001"), ("R1", "-36.30", "INV-2029-000001"))
    there, back = both.rindex(b"</Refs>"), b"</Refs><RtrInf><Rsn><Cd>AM04</Cd></Rsn></RtrInf>"

    read(operator, both[:there] + back + both[there + len(b"</Refs>") :])

    assert Invoice.objects.get().settled_at is None


@pytest.mark.parametrize("amount", ["0", "0.00", "5.001"])
def test_an_entry_that_is_no_amount_of_money_is_set_aside_and_the_rest_counts(amount):
    operator = operator_with(2)
    file = statement(("A1", amount, "INV-2029-000001"), ("A2", "36.30", "INV-2029-000002"))

    told = read(operator, file)

    assert [(entry.id[-2:], bool(why)) for entry, why in told.set_aside] == [("A1", True)]
    assert [payment.amount for payment in told.recorded] == [Decimal("36.30")]


def test_a_customers_transfer_that_was_called_back_pays_nothing():
    operator = operator_with()
    read(operator, statement(("A1", "36.30", "INV-2029-000001")))

    told = read(operator, statement(("R1", "-36.30", "INV-2029-000001"), reason="FOCR"))

    assert [returned.reason for returned in told.returned] == ["FOCR"]
    assert Invoice.objects.get().settled_at is None


def paid_back(depot, customer) -> Invoice:
    """A credit note whose rest the operator has sent by transfer."""
    cdr = record(depot, customer)
    bill_november(depot.operator)
    read(depot.operator, statement(("A1", "36.30", "INV-2029-000001")))
    credit_of(cdr)
    bill_november(depot.operator)
    order_transfers(organisation=depot.operator, actor=MANAGER, now=ISSUED)
    read(depot.operator, statement(("A2", "-36.30", "CN-2029-000001")))
    return Invoice.objects.get(kind="credit_note")


def test_our_own_transfer_that_came_back_is_still_to_be_paid():
    depot = make_site()
    note = paid_back(depot, make_buyer())
    assert note.settled_at is not None

    told = read(depot.operator, statement(("R1", "36.30", "CN-2029-000001"), reason="AC04"))

    note.refresh_from_db()
    assert [returned.reason for returned in told.returned] == ["AC04"]
    assert note.settled_at is None
    assert order_transfers(organisation=depot.operator, actor=MANAGER, now=ISSUED).total == Decimal("36.30")


def test_what_opens_again_is_set_off_against_a_credit_that_is_not_paid_back_yet():
    operator = operator_with()
    debit(operator)
    read(operator, statement(("A1", "36.30", "INV-2029-000001")))
    credit_of(ChargeDetailRecord.objects.get())
    bill_november(operator)

    read(operator, statement(("R1", "-36.30", "INV-2029-000001"), reason="MD06"))

    assert [still_due(row) for row in Invoice.objects.all()] == [Decimal(0), Decimal(0)]
    assert all(Invoice.objects.values_list("settled_at", flat=True))


def test_what_is_no_longer_owed_is_not_set_off_while_it_is_on_its_way_back():
    operator = operator_with()
    debit(operator)
    read(operator, statement(("A1", "36.30", "INV-2029-000001")))
    credit_of(ChargeDetailRecord.objects.get())
    bill_november(operator)
    order_transfers(organisation=operator, actor=MANAGER, now=ISSUED)

    read(operator, statement(("R1", "-36.30", "INV-2029-000001"), reason="MD06"))

    assert [still_due(row) for row in Invoice.objects.all()] == [Decimal("36.30")] * 2


def test_a_customer_cannot_say_that_its_payment_was_taken_back():
    operator = operator_with()
    customer = Organisation.objects.get(name="Fleet 0")
    read(operator, statement(("A1", "36.30", "INV-2029-000001")))

    told = read(customer, statement(("R1", "36.30", "INV-2029-000001"), iban=customer.iban, reason="AC04"))

    assert len(told.unmatched) == 1
    assert Invoice.objects.get().settled_at is not None


def test_what_was_taken_back_is_reminded_of_from_that_day_and_from_the_first_level():
    invoice = open_again(operator_with())
    back = date(2029, 12, 18)  # a day after it was due

    for days, noted in [(2, 0), (3, 1), (4, 0), (14, 1)]:
        moment = datetime(back.year, back.month, back.day, 9, tzinfo=UTC) + timedelta(days=days)
        assert remind_overdue(now=moment) == noted

    assert list(invoice.reminders.values_list("level", flat=True)) == [1, 2]


def test_a_reminder_says_what_the_bank_took_back(mailoutbox):
    invoice = open_again(operator_with())
    reminder = remind(invoice_id=invoice.pk, now=ISSUED + timedelta(days=40))

    send_reminder(reminder_id=reminder.pk, now=ISSUED + timedelta(days=40))

    assert "taken back on 18 December 2029" in mailoutbox[0].body


def test_part_of_it_is_collected_once_the_rest_was_paid():
    operator = operator_with()
    read(operator, statement(("A1", "6.30", "INV-2029-000001")))

    assert debit(operator).total == Decimal("30.00")


def test_what_is_no_statement_is_said():
    with pytest.raises(DocumentUnreadable):
        read(make_seller(), b"<no/>")


def test_who_owes_an_invoice_cannot_say_that_it_is_paid():
    operator_with()
    customer = Organisation.objects.get(name="Fleet 0")

    told = read(customer, statement(("A1", "-36.30", "INV-2029-000001"), iban=customer.iban))

    assert len(told.unmatched) == 1
    assert not Payment.objects.exists()
    assert Invoice.objects.get().settled_at is None


def test_who_wrote_the_invoice_itself_can_say_that_it_paid():
    operator_with(is_reverse=True)
    customer = Organisation.objects.get(name="Fleet 0")

    told = read(customer, statement(("A1", "-36.30", "INV-2029-000001"), iban=customer.iban))

    assert [payment.amount for payment in told.recorded] == [Decimal("36.30")]


def test_what_came_back_is_told_only_to_who_had_sent_it():
    """The operator's transfer of a credit note would go out twice."""
    depot, customer = make_site(), make_buyer()
    cdr = record(depot, customer)
    bill_november(depot.operator)
    read(depot.operator, statement(("A1", "36.30", "INV-2029-000001")))
    credit_of(cdr)
    bill_november(depot.operator)
    order_transfers(organisation=depot.operator, actor=MANAGER, now=ISSUED)

    told = read(customer, statement(("R1", "-36.30", "CN-2029-000001"), iban=customer.iban, reason="AC04"))

    assert not told.returned
    with pytest.raises(NothingToOrder):
        order_transfers(organisation=depot.operator, actor=MANAGER, now=ISSUED)


def test_money_that_names_a_prepaid_balance_is_paid_into_it_once():
    operator = operator_with(1)
    customer = Organisation.objects.get(name="Fleet 0")
    named = balance_reference(operator.pk, customer.pk)
    file = statement(("A1", "50.00", named), ("A2", "36.30", "INV-2029-000001"), ("A3", "5.00", "nobody's"))

    first, again = read(operator, file), read(operator, file)

    assert [entry.amount for entry in first.topped_up] == [Decimal("50.00")]
    assert (len(first.recorded), len(first.unmatched)) == (1, 1)
    assert (again.topped_up, again.recorded, len(again.known)) == ([], [], 2)
    assert Account(operator.pk, customer.pk, "EUR").available() == Decimal("50.00")


def test_a_balance_with_another_operator_with_oneself_or_taken_back_from_is_not_matched():
    operator = operator_with(1)
    customer = Organisation.objects.get(name="Fleet 0")
    with_another, with_itself = (
        balance_reference(make_seller("Another").pk, customer.pk),
        balance_reference(operator.pk, operator.pk),
    )
    mine = balance_reference(operator.pk, customer.pk)

    came = read(operator, statement(("A1", "5.00", with_another), ("A2", "5.00", with_itself)))
    left = read(operator, statement(("A3", "-5.00", mine)))
    back = read(operator, statement(("A4", "-5.00", mine), reason="AC04"))

    assert [len(one.unmatched) for one in (came, left, back)] == [2, 1, 1]
    assert not PrepaidEntry.objects.exists()
