"""An accountant of a fleet reads in an invoice, sees what differs from the record, and disputes it until both agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from bookings.billing.documents.cii import write_cii
from bookings.billing.documents.document import (
    BankTransfer,
    InvoiceDocument,
    InvoiceKind,
    InvoiceLine,
    LegalParty,
    Span,
)
from bookings.billing.vat import Vat, VatCategory
from bookings.models import ChargeDetailRecord
from depots.models import Membership, Organisation
from tests.billing_factories import charge, priced_booking, records
from tests.bookings.billing.billed import BUYER, SELLER
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
DAY = date(2030, 1, 15)


def invoice_file(cdr: ChargeDetailRecord) -> bytes:
    """Of the supplier's own accounting, which knows no booking fee: the record says 55.00."""
    seller, buyer = (
        LegalParty(
            name=told["legal_name"], address=(told["address"],), postal_code=told["postal_code"], city=told["city"],
            country=told["country"][:2], vat_id=told["vat_id"],
        )
        for told in (SELLER, BUYER)
    )  # fmt: skip
    line = InvoiceLine(
        "Charging",
        Decimal("50.00"),
        Vat(VatCategory.STANDARD, Decimal(19)),
        span=Span(DAY, DAY),
        reference=cdr.code,
    )
    return write_cii(
        InvoiceDocument(
            number="R-77", kind=InvoiceKind.INVOICE, issued_on=date(2030, 2, 2), due_on=date(2030, 2, 16), currency="EUR",
            seller=seller, buyer=buyer, lines=(line,), payment=BankTransfer(SELLER["iban"], "Ladepark"),
        )
    )  # fmt: skip


def test_a_line_that_differs_is_disputed_credited_and_agrees(opened: Callable[..., Page]) -> None:
    booking = priced_booking()
    charge(booking)
    [cdr] = records()
    Organisation.objects.filter(pk=booking.depot.operator_id).update(vat_id=SELLER["vat_id"])
    accountant = make_user(booking.fleet, Membership.Role.ACCOUNTANT, email="accountant@fleet.example")
    manager = make_user(booking.depot.operator, Membership.Role.DEPOT_MANAGER, email="manager@depot.example")
    books = "/reconciliation/?month=2030-01"

    ours = opened(accountant, books)
    ours.get_by_role("link", name="Enter an invoice").click()
    file = {"name": "R-77.xml", "mimeType": "application/xml", "buffer": invoice_file(cdr)}
    ours.get_by_label("Invoice as a file").set_input_files(file)
    ours.get_by_role("button", name="Read it").click()
    expect(ours.locator("#incoming [data-finding=line_differs]")).to_contain_text("€55.00")

    ours.locator(".page-head-back").click()
    finding = ours.locator("[data-finding=line_differs]")
    expect(finding).to_contain_text("−€5.00")
    finding.get_by_role("link", name="Dispute the line").click()
    form = ours.locator("#dispute")
    expect(form.locator("option:checked")).to_contain_text("ooking fee")
    form.locator("button[type=submit]").click()
    expect(ours.locator("[data-dispute=open]")).to_contain_text("R-77")

    theirs = opened(manager, books)
    theirs.goto(theirs.url.split("/reconciliation/")[0] + f"/records/{cdr.pk}/")
    theirs.get_by_role("link", name="Answer").click()
    theirs.locator("#answer").get_by_role("button", name="Accept and credit").click()
    expect(theirs.locator("[data-dispute=accepted]")).to_be_visible()

    ours.goto(ours.url.split("/records/")[0] + books)
    expect(ours.locator("#books")).to_have_attribute("data-findings", "0")
    expect(ours.get_by_text("Everything matches")).to_be_visible()
    ours.get_by_role("link", name="R-77").click()
    ours.get_by_role("button", name="Agree").click()
    expect(ours.locator("#incoming[data-state=agreed]")).to_be_visible()
