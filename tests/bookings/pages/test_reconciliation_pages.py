"""Reconciliation and invoices of others on pages, of both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.billing.documents.cii import write_cii
from bookings.billing.invoice_lines import document_of
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.report import reconcile
from bookings.models import AcceptedFinding, ChargeDetailRecord, IncomingInvoice, Invoice
from bookings.pages.views.reconciliation import _choice
from depots.models import Membership, Organisation
from tests.billing_factories import charge, priced_booking
from tests.bookings.billing.billed import NOVEMBER, bill_november, make_buyer, make_seller, make_site, record
from tests.bookings.billing.reconciliation.test_incoming import LATER, enter, told
from tests.bookings.billing.reconciliation.test_records import forget_records
from tests.bookings.people import client_of
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(LATER, tick=False) as travelling:
        yield travelling


@pytest.fixture
def buyer() -> Organisation:
    return make_buyer()


@pytest.fixture
def cdr(buyer) -> ChargeDetailRecord:
    return record(make_site(), buyer)


def person(organisation: Organisation, role: str = Membership.Role.ACCOUNTANT) -> Client:
    return client_of(make_user(organisation, role))


def body(answer: Any) -> str:
    return answer.content.decode()


def typed(
    cdr: ChargeDetailRecord, recipient: Organisation, net: str = "30.00", **fields: str
) -> dict[str, str]:
    return {
        "recipient": str(recipient.pk), "sender_name": cdr.operator.name, "number": "R-1", "kind": "invoice",
        "issued_on": "2029-12-03", "month": "2029-11", "currency": "EUR", "before_taxes": net, "taxes": "6.30",
        "line-TOTAL_FORMS": "2", "line-INITIAL_FORMS": "0", "line-0-cdr": cdr.code, "line-0-text": "Charging",
        "line-0-before_taxes": net, **fields,
    }  # fmt: skip


PAGE = "/reconciliation/?month=2029-11"


@pytest.mark.parametrize("role", ["accountant", "admin", "dispatcher", "viewer"])
def test_a_fleets_people_see_what_is_wrong_and_its_accountants_settle_it(buyer, cdr, role) -> None:
    answer = person(buyer, role).get(PAGE)

    assert "No invoice" in body(answer)
    assert ('name="reason"' in body(answer)) == (role in {"accountant", "admin"})


@pytest.mark.parametrize("role", ["accountant", "admin", "depot_manager"])
def test_an_operators_people_see_it_from_their_side(cdr, role) -> None:
    answer = person(cdr.operator, role).get(PAGE)

    assert 'data-side="receivable"' in body(answer)
    assert ("Bill November" in body(answer)) == (role != "depot_manager")


def test_others_see_nothing_of_it(buyer, cdr) -> None:
    row = enter(buyer, told(cdr, "31.00"))
    stranger = person(make_buyer("Alpentrans"))

    assert cdr.code not in body(stranger.get(PAGE))
    assert stranger.get(f"{PAGE}&organisation={buyer.pk}").status_code == 404
    for path in ("", "change/", "file/"):
        assert stranger.get(f"/invoices/incoming/{row.pk}/{path}").status_code == 404
    for role in ("dispatcher", "viewer"):
        looker = person(buyer, role)
        assert looker.get(f"/invoices/incoming/{row.pk}/").status_code == 200
        assert (
            looker.post(f"/invoices/incoming/{row.pk}/state/", {"to": "agreed", "version": 1}).status_code
            == 404
        )
        assert looker.get("/invoices/incoming/new/").status_code == 404
    assert person(cdr.operator).get(f"/invoices/incoming/{row.pk}/").status_code == 404


def test_an_invoice_is_typed_line_by_line_and_corrected(buyer, cdr) -> None:
    client = person(buyer)
    answer = client.post("/invoices/incoming/new/", typed(cdr, buyer, "31.00"))
    row = IncomingInvoice.objects.get()
    assert answer["Location"] == f"/invoices/incoming/{row.pk}/"
    assert (row.sender, row.cdr_codes) == (cdr.operator, [cdr.code])
    assert "Line and record differ" in body(client.get(answer["Location"]))

    change = f"/invoices/incoming/{row.pk}/change/"
    assert cdr.code in body(client.get(change))
    assert client.post(change, typed(cdr, buyer)).status_code == 409
    assert client.post(change, typed(cdr, buyer) | {"version": "1"}).status_code == 302
    assert "It says what the records say" in body(client.get(f"/invoices/incoming/{row.pk}/"))


def test_the_same_number_is_refused_with_a_way_to_the_first(buyer, cdr) -> None:
    first = enter(buyer, told(cdr, sender_name=cdr.operator.name))
    answer = person(buyer).post("/invoices/incoming/new/", typed(cdr, buyer, number="r-1"))

    assert answer.status_code == 409
    assert f"/invoices/incoming/{first.pk}/" in body(answer)


def uploaded(content: bytes, buyer: Organisation) -> dict[str, Any]:
    return {"recipient": str(buyer.pk), "file": SimpleUploadedFile("invoice.xml", content)}


def test_a_file_is_read_kept_as_it_came_and_never_shown_by_a_browser(buyer, cdr) -> None:
    bill_november(cdr.operator)
    xml = write_cii(replace(document_of(Invoice.objects.get()), number="X-1"))
    client = person(buyer)

    answer = client.post("/invoices/incoming/files/", uploaded(xml, buyer))

    row = IncomingInvoice.objects.get()
    assert answer["Location"] == f"/invoices/incoming/{row.pk}/"
    file = client.get(f"{answer['Location']}file/")
    assert file.content == xml
    assert file["Content-Disposition"].startswith("attachment")
    assert file["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        b"%PDF-1.7 and nothing",
    ],
)
def test_a_hostile_file_is_refused_with_a_sentence(buyer, content) -> None:
    answer = person(buyer).post("/invoices/incoming/files/", uploaded(content, buyer))

    assert answer.status_code == 422
    assert "field-error" in body(answer)
    assert not IncomingInvoice.objects.exists()


def test_it_is_agreed_and_paid_from_its_page(buyer, cdr) -> None:
    row, client = enter(buyer, told(cdr)), person(buyer)
    url = f"/invoices/incoming/{row.pk}/state/"

    assert client.post(url, {"to": "disputed", "version": 1}).status_code == 422
    assert client.post(url, {"to": "agreed", "version": 1}).status_code == 302
    assert client.post(url, {"to": "paid", "version": 1}).status_code == 409
    assert client.post(url, {"to": "paid", "version": 2}).status_code == 302
    assert "Paid" in body(client.get(f"/invoices/incoming/{row.pk}/"))


def findings(organisation: Organisation, side: Side = Side.PAYABLE) -> list[str]:
    return [_choice(each) for each in reconcile(Books(organisation.pk, side, NOVEMBER), now=LATER).findings]


def asked(organisation: Organisation, side: Side = Side.PAYABLE, **fields: Any) -> dict[str, Any]:
    return {"organisation": organisation.pk, "side": side.value, "month": "2029-11", **fields}


def test_chosen_findings_are_accepted_with_a_reason_and_taken_up_again(buyer, cdr) -> None:
    enter(buyer, told(cdr, "31.00"))
    client, chosen = person(buyer), findings(buyer)
    url = "/reconciliation/acceptances/"

    assert client.post(url, asked(buyer, finding=chosen)).status_code == 422
    assert client.post(url, asked(buyer, finding=["1:gone"], reason="X")).status_code == 409
    assert client.post(url, asked(buyer, finding=chosen, reason="By phone")).status_code == 302
    assert "By phone" in body(client.get(PAGE))
    assert findings(buyer) == []
    assert 'data-findings="0"' in body(client.get(PAGE))

    accepted = AcceptedFinding.objects.get()
    again = f"/reconciliation/acceptances/{accepted.pk}/reopening/"
    assert person(make_buyer("Alpentrans")).post(again, asked(buyer)).status_code == 404
    assert client.post(again, asked(buyer)).status_code == 302
    assert 'data-findings="1"' in body(client.get(PAGE))


def test_a_missing_record_is_issued_from_the_page_by_its_depot_alone() -> None:
    booking = priced_booking()
    session = charge(booking)
    forget_records()
    url, said = "/reconciliation/records/", {"session": session.pk, "booking": booking.pk, "month": "2030-01"}
    operator = booking.depot.operator

    assert person(booking.fleet).post(url, asked(booking.fleet) | said).status_code == 404
    other = make_site(make_seller("Other")).operator
    assert person(other).post(url, asked(other, Side.RECEIVABLE) | said).status_code == 404
    client = person(operator)
    assert "Issue the record" in body(client.get("/reconciliation/?month=2030-01"))
    assert client.post(url, asked(operator, Side.RECEIVABLE) | said).status_code == 302
    assert ChargeDetailRecord.objects.get().before_taxes == 55
    assert client.post(url, asked(operator, Side.RECEIVABLE) | said).status_code == 409


def test_the_months_records_are_priced_again_from_the_page() -> None:
    booking = priced_booking()
    charge(booking)
    client, where = person(booking.fleet), {"month": "2030-01"}

    assert "Price it now" in body(client.get("/reconciliation/", where))
    assert client.post("/reconciliation/price-checks/", asked(booking.fleet) | where).status_code == 302
    assert "Price it now" not in body(client.get("/reconciliation/", where))


def test_a_line_that_an_invoice_leaves_out_is_disputed_with_its_words_filled_in() -> None:
    booking = priced_booking()
    charge(booking)
    cdr = ChargeDetailRecord.objects.get()
    line = replace(told(cdr, "50.00"), month=NOVEMBER.next.next)
    enter(booking.fleet, line)
    client = person(booking.fleet)

    page = body(client.get("/reconciliation/?month=2030-01"))
    link = page[page.index(f"/records/{cdr.pk}/disputes/") :].split('"')[0].replace("&amp;", "&")
    form = body(client.get(link))

    assert "R-1: " in form
    fee = next(n for n, each in enumerate(cdr.bill["lines"]) if each["use"] == "booking")
    assert f'value="{fee}" selected' in form


def test_findings_leave_as_csv_and_a_formula_is_text_there(buyer, cdr) -> None:
    enter(buyer, told(cdr, "31.00", number="=1+1"))

    lines = b"".join(
        person(buyer).get("/reconciliation/findings.csv?month=2029-11").streaming_content
    ).decode()

    assert "Line and record differ" in lines
    assert ",31.00,1.00," in lines
    assert ",\"'=1+1" in lines


@pytest.mark.parametrize("side", list(Side))
def test_a_month_of_many_findings_is_paged_and_costs_as_many_statements(buyer, side) -> None:
    site = make_site()
    client = person(buyer if side is Side.PAYABLE else site.operator)
    client.get(PAGE)
    counts = []
    for number in (2, 60):
        for _ in range(number):
            record(site, buyer, kind="session")
        with CaptureQueriesContext(connection) as queries:
            page = body(client.get(PAGE))
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 26
    assert "Page 1 of 2" in page


def test_more_lines_are_given_room_and_nothing_typed_is_lost(buyer, cdr) -> None:
    answer = person(buyer).post("/invoices/incoming/new/", typed(cdr, buyer, more="1"))

    assert 'name="line-10-cdr"' in body(answer)
    assert cdr.code in body(answer)
    assert not IncomingInvoice.objects.exists()


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "²", ""])
def test_more_lines_are_given_room_however_many_a_form_says_it_has(buyer, cdr, number) -> None:
    told = typed(cdr, buyer, more="1") | {"line-TOTAL_FORMS": number}

    assert person(buyer).post("/invoices/incoming/new/", told).status_code == 200


def test_who_is_named_as_sender_tells_no_address_to_whom_it_never_dealt_with(buyer, cdr) -> None:
    Organisation.objects.filter(pk=cdr.operator_id).update(billing_email="billing@sonnenhof.example")
    stranger = make_seller("Fremdhof")
    Organisation.objects.filter(pk=stranger.pk).update(billing_email="secret@fremdhof.example")
    for number, sender in enumerate((cdr.operator, stranger)):
        enter(
            buyer, replace(told(cdr, "35.00"), number=f"R-{number}", sender=sender, sender_name=sender.name)
        )

    page = body(person(buyer).get(PAGE))

    assert "Fremdhof" in page
    assert "billing@sonnenhof.example" in page
    assert "secret@fremdhof.example" not in page
