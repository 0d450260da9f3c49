"""An invoice is written once, sent once, and reminded of at most once a level."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from lxml import etree

from bookings.billing import delivery
from bookings.billing.delivery import send_again, send_invoice, write_invoice
from bookings.billing.documents.printed_words import printed_words
from bookings.billing.documents.reading import read_document
from bookings.billing.errors import NothingToRemind
from bookings.billing.invoice_lines import document_of
from bookings.billing.reminders import LEVELS, remind, remind_overdue, send_reminder
from bookings.models import Invoice, InvoiceFile, PaymentTerms, Reminder
from tests.bookings.billing.billed import (
    DUE,
    ISSUED,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.factories import open_depot
from tests.money_factories import new_payment

pytestmark = pytest.mark.django_db


def one_invoice(**buyer) -> Invoice:
    depot = make_site()
    record(depot, make_buyer(**buyer))
    bill_november(depot.operator)
    return Invoice.objects.get()


def late(days: int):
    return ISSUED.replace(year=DUE.year, month=DUE.month, day=DUE.day) + timedelta(days=days)


def test_what_is_written_says_what_was_billed():
    depot, customer = make_site(), make_buyer(vat_id="")
    codes = [
        record(depot, customer, "20.00", plate="HH-NF 100").code,
        record(depot, customer, "10.33", net_by_rate=[["21", "10.00"], ["9", "0.33"]]).code,
    ]
    bill_november(depot.operator)
    invoice = Invoice.objects.get()

    file = write_invoice(invoice_id=invoice.pk, now=ISSUED)

    told = read_document(bytes(file.pdf))
    assert (told.number, told.net_total, told.gross_total) == (
        invoice.number,
        invoice.before_taxes,
        invoice.total,
    )
    assert [line.reference for line in told.lines] == [codes[0], codes[1], codes[1]]
    assert told.iban == "NL91ABNA0417164300"


def test_a_credit_note_names_its_invoice_and_is_set_off_against_it():
    depot, customer = make_site(), make_buyer()
    cdr = record(depot, customer)
    bill_november(depot.operator)
    credit_of(cdr)

    bill_november(depot.operator)

    original, note = Invoice.objects.order_by("pk")
    told = read_document(write_invoice(invoice_id=note.pk, now=ISSUED).xml.encode())
    assert (told.preceding, told.gross_total, told.is_credit) == ((original.number,), Decimal("36.30"), True)
    assert original.settled_at is not None
    assert note.settled_at is not None


def test_parts_of_a_cent_stand_in_no_line_and_change_no_total():
    depot, customer = make_site(), make_buyer(vat_id="")
    for _ in range(3):
        record(depot, customer, "1.01", net_by_rate=[["21", "0.8050"], ["9", "0.2050"]])
    bill_november(depot.operator)
    invoice = Invoice.objects.get()

    document = document_of(invoice)

    assert (document.net_total, document.gross_total) == (invoice.before_taxes, invoice.total)


def test_a_long_invoice_is_summed_up_by_depot(monkeypatch):
    monkeypatch.setattr("bookings.billing.invoice_lines.MOST_RECORDS", 2)
    depot, customer = make_site(name="Venlo"), make_buyer()
    for _ in range(3):
        record(depot, customer, "10.00")
    bill_november(depot.operator)

    [line] = document_of(Invoice.objects.get()).lines

    assert (line.description, line.net, line.reference) == ("3 records at Venlo", Decimal("30.00"), "")


def test_written_again_it_is_the_same_file():
    invoice = one_invoice()
    first = write_invoice(invoice_id=invoice.pk, now=ISSUED)

    again = write_invoice(invoice_id=invoice.pk, now=late(9))

    assert bytes(again.pdf) == bytes(first.pdf)
    assert InvoiceFile.objects.count() == 1


def test_it_is_sent_once_with_its_pdf_and_again_when_asked():
    invoice = one_invoice()

    sent = [send_invoice(invoice_id=invoice.pk, now=ISSUED) for _ in range(2)]
    sent.append(send_again(invoice_id=invoice.pk, now=ISSUED))

    assert sent == [True, False, True]
    first = mail.outbox[0]
    assert (first.to, first.reply_to) == (["billing@nordfracht.example"], ["billing@ladepark.example"])
    [(name, content, kind)] = first.attachments
    assert (name, kind, bytes(content[:5])) == (f"{invoice.number}.pdf", "application/pdf", b"%PDF-")
    assert len(mail.outbox) == 2


def test_without_an_address_nothing_is_sent():
    invoice = one_invoice(billing_email="")

    assert not send_invoice(invoice_id=invoice.pk, now=ISSUED)
    assert mail.outbox == []


def noted(days: int) -> list[int]:
    remind_overdue(now=late(days))
    for pk in Reminder.objects.filter(sent_at__isnull=True).values_list("pk", flat=True):
        send_reminder(reminder_id=pk, now=late(days))
    return list(Reminder.objects.order_by("level").values_list("level", flat=True))


def test_an_overdue_invoice_is_reminded_of_level_by_level():
    one_invoice()

    levels = [noted(days) for days in (0, LEVELS[0] - 1, LEVELS[0], LEVELS[0] + 1, LEVELS[1], LEVELS[2], 90)]

    assert levels == [[], [], [1], [1], [1, 2], [1, 2, 3], [1, 2, 3]]
    assert len(mail.outbox) == 3


def test_one_that_is_long_overdue_is_reminded_of_once():
    one_invoice()

    assert noted(60) == [3]


def test_what_is_paid_credited_or_self_billed_is_reminded_of_by_nobody():
    invoice = one_invoice()
    new_payment(invoice).save()
    Invoice.objects.filter(pk=invoice.pk).update(settled_at=ISSUED)

    assert noted(30) == []
    with pytest.raises(NothingToRemind):
        remind(invoice_id=invoice.pk, now=late(30))


def test_a_person_reminds_of_the_next_level_and_no_further():
    invoice = one_invoice()
    with pytest.raises(NothingToRemind):
        remind(invoice_id=invoice.pk, now=late(0))

    levels = [remind(invoice_id=invoice.pk, now=late(1)).level for _ in LEVELS]

    assert levels == [1, 2, 3]
    with pytest.raises(NothingToRemind):
        remind(invoice_id=invoice.pk, now=late(1))


def test_a_reminder_told_twice_to_a_job_is_one_mail():
    invoice = one_invoice()
    reminder = remind(invoice_id=invoice.pk, now=late(1))

    sent = [send_reminder(reminder_id=reminder.pk, now=late(1)) for _ in range(2)]

    assert sent == [True, False]
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_down_gives_the_reminder_back(monkeypatch):
    invoice = one_invoice()
    reminder = remind(invoice_id=invoice.pk, now=late(1))

    def down(*_, **__):
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr("bookings.billing.reminders.mail", down)
        with pytest.raises(ConnectionRefusedError):
            send_reminder(reminder_id=reminder.pk, now=late(1))

    assert send_reminder(reminder_id=reminder.pk, now=late(2))
    assert delivery.recipient(invoice).billing_email == mail.outbox[0].to[0]


def billed_under_mandate(**seller) -> Invoice:
    depot, customer = make_site(make_seller(**{"creditor_id": "DE98ZZZ09999999999", **seller})), make_buyer()
    PaymentTerms.objects.create(
        agreement=open_depot(depot, customer), mandate_reference="M-17", mandate_signed_on=ISSUED.date()
    )
    record(depot, customer)
    bill_november(depot.operator)
    return Invoice.objects.get()


def test_an_invoice_that_is_collected_names_the_debit_and_no_account_to_pay_to():
    """BT-89 to BT-91 and code 59, in XML that holds against the rules of EN 16931."""
    file = write_invoice(invoice_id=billed_under_mandate().pk, now=ISSUED)

    told = etree.fromstring(file.xml.encode())

    def said(name: str) -> list[str | None]:
        return [node.text for node in told.iter("{*}" + name)]

    means = next(told.iter("{*}SpecifiedTradeSettlementPaymentMeans"))
    assert means.findtext("{*}TypeCode") == "59"
    assert said("DirectDebitMandateID") == ["M-17"]
    assert said("CreditorReferenceID") == ["DE98ZZZ09999999999"]
    assert said("IBANID") == ["DE89370400440532013000"]


def test_who_cannot_collect_asks_for_a_transfer():
    file = write_invoice(invoice_id=billed_under_mandate(creditor_id="").pk, now=ISSUED)

    assert read_document(bytes(file.pdf)).iban == "NL91ABNA0417164300"


def test_a_credit_note_says_why():
    depot, customer = make_site(), make_buyer()
    cdrs = [record(depot, customer), record(depot, customer)]
    bill_november(depot.operator)
    credit_of(cdrs[0], reason="Charger broken"), credit_of(cdrs[1], reason="Goodwill")

    bill_november(depot.operator)

    note = Invoice.objects.get(kind="credit_note")
    file = write_invoice(invoice_id=note.pk, now=ISSUED)
    assert note.reason == "Charger broken; Goodwill"
    assert "Reason: Charger broken; Goodwill" in file.xml
    assert printed_words(document_of(note))["notes"] == ("Reason: Charger broken; Goodwill",)
