"""Files for the bank and statements, by page."""

from __future__ import annotations

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile

from bookings.billing.bank import account_version, collectable
from bookings.billing.versions import order_version
from bookings.models import BankOrder, Payment
from depots.models import Membership, Organisation
from tests.bookings.billing.billed import ISSUED
from tests.bookings.billing.test_bank import operator_with, statement
from tests.bookings.people import client_of
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def account(operator: Organisation) -> dict[str, int]:
    return {"version": account_version(operator)}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(ISSUED, tick=False) as travelling:
        yield travelling


def test_open_invoices_are_collected_and_what_the_bank_says_is_recorded():
    operator = operator_with(2)
    client = client_of(make_user(operator, Membership.Role.ACCOUNTANT))
    page = f"/organisations/{operator.pk}/bank/"

    before = client.get(page).content.decode()
    version = {"version": order_version(row for row, _ in collectable(operator))}
    made = client.post(page + "debits/", version)
    file = client.get(f"{page}orders/{BankOrder.objects.get().pk}/")
    again = client.post(page + "debits/", version)
    told = statement(("A1", "36.30", "INV-2029-000001"), ("A2", "1.00", "X"))
    read = client.post(page + "statements/", {"file": SimpleUploadedFile("s.xml", told), **account(operator)})

    assert "€72.60" in before
    assert (made.status_code, again.status_code) == (302, 409)
    assert file.content == bytes(BankOrder.objects.get().file)
    assert "1 payment recorded, 0 known already, 0 came back, 1 not matched" in read.content.decode()
    assert f'href="/invoices/{Payment.objects.get().invoice_id}/"' in read.content.decode()


def test_a_statement_of_another_account_is_said_to_be_one():
    operator = operator_with()
    client = client_of(make_user(operator, Membership.Role.ACCOUNTANT))
    told = statement(("A1", "36.30", "INV-2029-000001"), iban="DE89370400440532013000")

    read = client.post(
        f"/organisations/{operator.pk}/bank/statements/",
        {"file": SimpleUploadedFile("s.xml", told), **account(operator)},
    ).content.decode()

    assert "1 entry is of another account (DE89370400440532013000)" in read
    assert not Payment.objects.exists()


@pytest.mark.parametrize("content", [b"", b"<x/>", b"%PDF-1.7"])
def test_a_file_that_is_no_statement_is_refused_at_its_field(content):
    operator = operator_with()
    client = client_of(make_user(operator, Membership.Role.ACCOUNTANT))

    answer = client.post(
        f"/organisations/{operator.pk}/bank/statements/",
        {"file": SimpleUploadedFile("s.xml", content), **account(operator)},
    )

    assert answer.status_code == 422
    assert not Payment.objects.exists()


def test_what_the_bank_took_back_is_said_and_shown_with_the_invoice():
    operator = operator_with()
    client = client_of(make_user(operator, Membership.Role.ACCOUNTANT))
    page, told = (
        f"/organisations/{operator.pk}/bank/statements/",
        statement(("A1", "36.30", "INV-2029-000001")),
    )
    back = statement(("R1", "-36.30", "INV-2029-000001"), ("R2", "0", "INV-2029-000001"), reason="AM04")

    client.post(page, {"file": SimpleUploadedFile("s.xml", told), **account(operator)})
    read = client.post(
        page, {"file": SimpleUploadedFile("s.xml", back), **account(operator)}
    ).content.decode()
    invoice = client.get(f"/invoices/{Payment.objects.get().invoice_id}/").content.decode()

    assert "1 came back, 0 not matched, 1 set aside" in read
    assert "taken back on 18 Dec 2029 (AM04, insufficient funds)" in read
    assert "taken back on 18 Dec 2029 (AM04, insufficient funds)" in invoice
    assert "<b>€36.30</b> open" in invoice
