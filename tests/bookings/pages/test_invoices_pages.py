"""Invoices on pages, of both sides."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.billing.documents.reading import read_document
from bookings.billing.versions import billing_version, invoice_version
from bookings.models import ChargeDetailRecord, Invoice, Payment, Reminder
from bookings.pages.tariff_places import zone_of
from depots.models import Membership, Organisation
from depots.navigation import home
from tests.bookings.billing.billed import (
    DUE,
    ISSUED,
    bill_november,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.bookings.people import client_of
from tests.factories import make_depot, make_user

pytestmark = pytest.mark.django_db
LATE = ISSUED + timedelta(days=30)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(ISSUED, tick=False) as travelling:
        yield travelling


@pytest.fixture
def seller() -> Organisation:
    return make_seller()


@pytest.fixture
def invoice(seller: Organisation) -> Invoice:
    record(make_site(seller, name="Venlo"), make_buyer(), plate="HH-NF 100")
    bill_november(seller)
    return Invoice.objects.get()


def person(organisation: Organisation, role: str = Membership.Role.ACCOUNTANT) -> Client:
    return client_of(make_user(organisation, role))


@pytest.mark.parametrize("role", ["accountant", "admin", "depot_manager"])
def test_the_operators_people_see_what_it_is_owed(seller, invoice, role):
    client = person(seller, role)

    assert invoice.number in client.get("/invoices/").content.decode()
    assert client.get(f"/invoices/{invoice.pk}/").status_code == 200


@pytest.mark.parametrize("role", ["accountant", "admin", "dispatcher", "viewer"])
def test_the_customers_people_see_what_it_owes_and_change_nothing(invoice, role):
    client = person(invoice.customer, role)

    assert invoice.number in client.get("/invoices/").content.decode()
    page = client.get(f"/invoices/{invoice.pk}/")
    assert "Record a payment" not in page.content.decode()
    for action in ("payments", "reminders", "credit", "sending"):
        assert client.post(f"/invoices/{invoice.pk}/{action}/").status_code == 404


@pytest.mark.parametrize("path", ["", "pdf/", "xml/", "records.csv"])
def test_of_strangers_nobody_sees_anything(invoice, path):
    stranger = person(make_buyer("Alpentrans"))

    assert stranger.get(f"/invoices/{invoice.pk}/{path}").status_code == 404
    assert invoice.number not in stranger.get("/invoices/").content.decode()


def test_who_settles_invoices_starts_there(seller):
    answer = person(seller).get("/")

    assert (answer.status_code, answer["Location"]) == (302, "/invoices/")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True), ("side=receivable", True), ("side=payable", False), ("state=open", True), ("state=paid", False),
        ("month=2029-11", True), ("month=2029-10", False), ("side=receivable&state=open&month=2029-11", True),
    ],
)  # fmt: skip
def test_the_list_is_narrowed(seller, invoice, query, found):
    assert (invoice.number in person(seller).get(f"/invoices/?{query}").content.decode()) is found


def test_a_filter_that_makes_no_sense_is_said(seller):
    assert person(seller).get("/invoices/?month=November").status_code == 422


def test_pdf_xml_and_csv_are_downloaded(invoice):
    client, page = person(invoice.customer), f"/invoices/{invoice.pk}/"

    pdf, xml, csv = (client.get(page + path) for path in ("pdf/", "xml/", "records.csv"))

    assert read_document(pdf.content).number == invoice.number
    assert read_document(xml.content).gross_total == invoice.total
    head, row = b"".join(csv.streaming_content).decode().splitlines()
    assert head.startswith("invoice,record,kind,depot,vehicle")
    assert row.split(",")[3:5] == ["Venlo", "HH-NF 100"]


def test_what_a_spreadsheet_would_take_for_a_formula_is_text(seller):
    record(make_site(seller), make_buyer(), plate="=1+1")
    bill_november(seller)

    csv = person(seller).get(f"/invoices/{Invoice.objects.get().pk}/records.csv")

    assert ",'=1+1," in b"".join(csv.streaming_content).decode()


def shown(invoice: Invoice) -> dict[str, int]:
    return {"version": invoice_version(invoice)}


def pay(client: Client, invoice: Invoice, amount: str, key: str = "k1", **more: str):
    told = {"amount": amount, "paid_on": "2029-12-05", "key": key, **shown(invoice), **more}
    return client.post(f"/invoices/{invoice.pk}/payments/", told)


def test_a_payment_sent_twice_is_one_and_what_is_paid_is_settled(seller, invoice):
    client = person(seller)

    answers = [
        pay(client, invoice, "16.30"),
        pay(client, invoice, "16.30"),
        pay(client, invoice, "20.00", "k2"),
    ]

    assert [answer.status_code for answer in answers] == [302] * 3
    assert Payment.objects.count() == 2
    invoice.refresh_from_db()
    assert invoice.settled_at is not None
    assert "Paid" in client.get("/invoices/?state=paid").content.decode()


def test_part_of_it_and_too_much_are_shown(seller, invoice):
    client, page = person(seller), f"/invoices/{invoice.pk}/"

    pay(client, invoice, "6.30")
    part = client.get(page).content.decode()
    pay(client, invoice, "40.00", "k2")
    too_much = client.get(page).content.decode()

    assert "Partly paid" in part
    assert "€30.00" in part
    assert "Overpaid" in too_much
    assert "€10.00 more" in too_much


@pytest.mark.parametrize("amount", ["0", "-1", "1.001", "x", ""])
def test_an_amount_that_is_none_is_refused_at_its_field(seller, invoice, amount):
    answer = pay(person(seller), invoice, amount)

    assert answer.status_code == 422
    assert not Payment.objects.exists()


def test_one_reference_stands_for_one_amount(seller, invoice):
    client = person(seller)
    pay(client, invoice, "5.00", reference="TX 1")

    assert pay(client, invoice, "6.00", reference="TX 1").status_code == 422
    assert Payment.objects.get().amount == Decimal("5.00")


def test_an_overdue_invoice_is_reminded_of(seller, invoice, clock):
    client = person(seller)
    early = client.post(f"/invoices/{invoice.pk}/reminders/", shown(invoice))
    clock.move_to(LATE)
    client = person(seller)  # the other session has run out

    done = client.post(f"/invoices/{invoice.pk}/reminders/", shown(invoice))

    assert (early.status_code, done.status_code) == (422, 302)
    assert Reminder.objects.get().level == 1
    assert "Overdue" in client.get("/invoices/?state=overdue").content.decode()
    assert LATE.date() > DUE


def test_an_invoice_is_credited_as_a_whole_and_once(seller, invoice):
    client = person(seller)

    done = client.post(f"/invoices/{invoice.pk}/credit/", {"reason": "Wrong tariff", **shown(invoice)})
    again = client.post(f"/invoices/{invoice.pk}/credit/", {"reason": "Wrong tariff", **shown(invoice)})

    note = Invoice.objects.get(kind="credit_note")
    assert (done.status_code, again.status_code) == (302, 422)
    assert (note.corrects, note.total) == (invoice, invoice.total)
    assert ChargeDetailRecord.objects.get(credits__isnull=False).reason == "Wrong tariff"
    invoice.refresh_from_db()
    assert invoice.settled_at is not None


def test_crediting_an_invoice_bills_nothing_else_of_its_customer(seller, invoice):
    record(invoice.supplier.depots.get(), invoice.customer, "7.00")

    person(seller).post(f"/invoices/{invoice.pk}/credit/", {"reason": "Wrong tariff", **shown(invoice)})

    note = Invoice.objects.exclude(pk=invoice.pk).get()
    assert (note.corrects, note.reason) == (invoice, "Wrong tariff")
    assert "Wrong tariff" in person(seller).get(f"/invoices/{note.pk}/").content.decode()


def test_remind_is_offered_as_long_as_it_would_be_carried_out(seller, invoice, clock):
    page = f"/invoices/{invoice.pk}/"
    early = person(seller).get(page).content.decode()
    clock.move_to(LATE)

    offered = []
    for level in range(1, 4):
        offered.append("Remind<" in person(seller).get(page).content.decode())
        Reminder.objects.create(invoice=invoice, level=level, sent_at=LATE)

    assert "Remind<" not in early
    assert offered == [True] * 3
    assert "Remind<" not in person(seller).get(page).content.decode()


def test_a_month_is_billed_from_the_page_and_what_is_missing_is_said(seller):
    client = person(seller)
    record(make_site(seller), make_buyer(vat_id="", legal_name=""))

    newest = {"version": billing_version(seller.pk)}

    done = client.post("/invoices/runs/", {"operator": seller.pk, "month": "2029-11", **newest}, follow=True)
    early = client.post("/invoices/runs/", {"operator": seller.pk, "month": "2029-12", **newest})
    other = client.post("/invoices/runs/", {"operator": make_seller("Sonnenhof").pk, "month": "2029-11"})

    assert "legal name of Nordfracht is missing" in done.content.decode()
    assert (early.status_code, other.status_code) == (422, 422)


def test_it_is_sent_again_on_demand(seller, invoice, mailoutbox):
    client = person(seller)

    client.post(f"/invoices/{invoice.pk}/sending/", shown(invoice))

    assert [mail.to for mail in mailoutbox] == [["billing@nordfracht.example"]]


def test_a_list_of_many_asks_as_often_as_one_of_few(seller, invoice):
    client = person(seller)
    client.get("/invoices/")

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            client.get("/invoices/")
        return len(seen)

    few = queries()
    for number in range(5):
        record(make_site(seller), make_buyer(f"Fleet {number}"))
    bill_november(seller)

    assert queries() == few <= 8


def test_what_is_open_is_added_up_for_each_side_credit_notes_taken_off(seller, invoice, clock):
    assert "none overdue" in person(seller).get("/invoices/").content.decode()
    clock.move_to(LATE)
    ours, theirs = person(seller), person(invoice.customer)

    owed, owing = ours.get("/invoices/").content.decode(), theirs.get("/invoices/").content.decode()
    assert f"€{invoice.total:,.2f} of it overdue" in owed
    assert 'data-open="receivable"' in owed
    assert 'data-open="payable"' not in owed
    assert 'data-open="payable"' in owing
    assert 'data-open="receivable"' not in owing

    ours.post(f"/invoices/{invoice.pk}/credit/", {"reason": "all wrong", **shown(invoice)})
    assert "data-open" not in ours.get("/invoices/").content.decode()


def test_when_an_invoice_was_sent_is_told_by_its_issuers_clock(seller, invoice):
    Invoice.objects.filter(pk=invoice.pk).update(sent_at=ISSUED)

    page = person(seller).get(f"/invoices/{invoice.pk}/").content.decode()

    assert f"{ISSUED:%-H:%M} UTC" not in page
    assert ISSUED.astimezone(zone_of(seller)).strftime("%H:%M %Z") in page


def test_an_operators_clock_is_that_of_its_own_country(seller):
    for name, country, zone in (("A", "IRL", "Europe/Dublin"), ("B", seller.country, "Europe/Berlin")):
        make_depot(operator=seller, name=name, code=name, country=country, time_zone=zone)

    assert zone_of(seller).key == "Europe/Berlin"


def test_an_invoice_leads_both_sides_to_each_of_its_records(seller, invoice):
    [cdr] = ChargeDetailRecord.objects.all()

    for organisation in (seller, invoice.customer):
        page = person(organisation).get(f"/invoices/{invoice.pk}/").content.decode()

        assert f'href="/records/{cdr.pk}/"' in page


def test_an_accountant_starts_at_invoices(seller):
    make_depot(operator=seller, name="Venlo", code="VEN")

    assert home(make_user(seller, Membership.Role.ACCOUNTANT)) == "/invoices/"
    assert home(make_user(seller, Membership.Role.ADMIN, email="all@seller.example")) != "/invoices/"


def test_both_sides_see_what_its_reconciliation_record_says_by_their_own_records(seller, invoice):
    code = invoice.reconciliation.code
    for organisation in (seller, invoice.customer):
        page = person(organisation).get(f"/invoices/{invoice.pk}/").content.decode()
        assert f"named by reconciliation record {code}, together €30.00 before taxes" in page

    invoice.reconciliation.is_withdrawn = True
    invoice.reconciliation.save()
    assert code not in person(seller).get(f"/invoices/{invoice.pk}/").content.decode()
