"""Invoices of others against one's own records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bookings.actors import Actor
from bookings.billing.documents.cii import write_cii
from bookings.billing.documents.document import Span
from bookings.billing.documents.reading import read_document
from bookings.billing.errors import IncomingInvoiceInvalid, InvoiceKnown, ReasonMissing
from bookings.billing.incoming_invoices import (
    InvoiceLineTold,
    InvoiceTold,
    change_typed,
    enter_file,
    enter_typed,
    settle,
    told_by,
)
from bookings.billing.invoice_lines import document_of
from bookings.billing.reconciliation.acceptance import accept, reopen
from bookings.billing.reconciliation.announced import read_records
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import Finding, FindingKind
from bookings.billing.reconciliation.report import Reconciliation, reconcile
from bookings.errors import ChangedMeanwhile
from bookings.models import ChargeDetailRecord, IncomingInvoice, Invoice
from depots.models import Organisation
from tests.bookings.billing.billed import (
    ISSUED,
    NOVEMBER,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.money_factories import new_reconciliation_record

pytestmark = pytest.mark.django_db

Kind = FindingKind
SOMEBODY = Actor.dispatcher("accountant@nordfracht.example")
LATER = datetime(2030, 3, 1, tzinfo=UTC)
State = IncomingInvoice.State


@pytest.fixture
def buyer() -> Organisation:
    return make_buyer()


@pytest.fixture
def cdr(buyer) -> ChargeDetailRecord:
    return record(make_site(), buyer)


def told(cdr: ChargeDetailRecord, net: str = "30.00", taxes: str = "6.30", **fields: Any) -> InvoiceTold:
    """One line about one record."""
    line = InvoiceLineTold("Charging", cdr.code, Decimal(net))
    made = InvoiceTold(
        sender=cdr.operator, sender_name=cdr.operator.legal_name, number="R-1", issued_on=date(2029, 12, 3), month=NOVEMBER,
        currency="EUR", before_taxes=Decimal(net), taxes=Decimal(taxes), lines=(line,),
    )  # fmt: skip
    return replace(made, **fields)


def enter(recipient: Organisation, invoice: InvoiceTold) -> IncomingInvoice:
    return enter_typed(recipient=recipient, told=invoice, actor=SOMEBODY, now=LATER)


def report(organisation: Organisation, side: Side = Side.PAYABLE) -> Reconciliation:
    return reconcile(Books(organisation.pk, side, NOVEMBER), now=LATER)


def kinds(organisation: Organisation, side: Side = Side.PAYABLE) -> list[FindingKind]:
    return [finding.kind for finding in report(organisation, side).findings]


def only(organisation: Organisation) -> Finding:
    [finding] = report(organisation).findings
    return finding


def test_an_invoice_that_says_what_the_records_say_is_matched_in_any_capitals(buyer, cdr) -> None:
    line = InvoiceLineTold("Charging", cdr.code.lower(), Decimal("30.00"))
    enter(buyer, told(cdr, lines=(line,)))

    assert kinds(buyer) == []


def test_a_line_that_differs_is_found_until_a_credit_note_sets_it_right(buyer, cdr) -> None:
    enter(buyer, told(cdr, "35.00", "7.35"))

    finding = only(buyer)
    assert (finding.kind, finding.expected, finding.found) == (Kind.LINE_DIFFERS, Decimal(30), Decimal(35))

    enter(buyer, told(cdr, "5.00", "1.05", number="C-1", kind=IncomingInvoice.Kind.CREDIT_NOTE))
    assert kinds(buyer) == []


def test_a_line_agrees_with_what_stands_in_place_of_a_credited_record(buyer, cdr) -> None:
    enter(buyer, told(cdr, "25.00", "5.25"))
    assert only(buyer).kind is Kind.LINE_DIFFERS

    credit_of(cdr)
    record(cdr.depot, buyer, "25.00", replaces=cdr)

    assert kinds(buyer) == []


def test_a_record_on_two_invoices_is_found_on_the_later(buyer, cdr) -> None:
    enter(buyer, told(cdr))
    second = enter(buyer, told(cdr, number="R-2"))

    finding = only(buyer)
    assert (finding.kind, finding.about.incoming_id, finding.difference) == (
        Kind.INVOICED_TWICE, second.pk, Decimal(30),
    )  # fmt: skip


def test_a_record_that_berth_billed_is_not_owed_again(buyer, cdr) -> None:
    bill_november(cdr.operator)
    enter(buyer, told(cdr))

    finding = only(buyer)
    assert finding.kind is Kind.INVOICED_TWICE
    assert Invoice.objects.get().number in finding.words


def test_a_record_named_twice_in_one_invoice_differs(buyer, cdr) -> None:
    line = InvoiceLineTold("Charging", cdr.code, Decimal("30.00"))
    enter(buyer, told(cdr, "60.00", "12.60", lines=(line, line)))

    assert only(buyer).difference == 30


def test_what_an_invoice_names_that_we_do_not_have_and_what_names_nothing(buyer, cdr) -> None:
    lines = (
        InvoiceLineTold("Charging", cdr.code, Decimal("30.00")),
        InvoiceLineTold("Charging", "NOBODYS-7", Decimal("8.00")),
        InvoiceLineTold("Service", "", Decimal("2.00")),
    )
    enter(buyer, told(cdr, "40.00", "8.40", lines=lines))

    assert kinds(buyer) == [Kind.RECORD_UNKNOWN, Kind.LINE_UNRECORDED]


def test_anothers_record_is_one_we_do_not_have(buyer, cdr) -> None:
    other = record(cdr.depot, make_buyer("Alpentrans"))
    enter(buyer, told(other, "30.00"))

    assert Kind.RECORD_UNKNOWN in kinds(buyer)


def test_records_of_two_operators_may_have_one_code(buyer, cdr) -> None:
    """An invoice is about its own sender's: the other one is still to be invoiced."""
    other = record(make_site(make_seller("Ladehof")), buyer, "44.00", code=cdr.code)
    enter(buyer, told(other, "44.00", "9.24"))

    (missing,) = report(buyer).findings
    assert (missing.kind, missing.counterparty) == (Kind.INVOICE_MISSING, str(cdr.operator))
    enter(buyer, told(cdr, number="R-2"))
    assert kinds(buyer) == []


def test_sums_vat_currency_and_parties_are_looked_at(buyer, cdr) -> None:
    def of(**fields: Any) -> set[FindingKind]:
        IncomingInvoice.objects.all().delete()
        enter(buyer, told(cdr, **fields))
        return set(kinds(buyer))

    assert of(before_taxes=Decimal(31)) == {Kind.SUM_DIFFERS}
    assert of(taxes=Decimal("5.70")) == {Kind.VAT_DIFFERS}
    assert of(currency="SEK") == {Kind.WRONG_CURRENCY}
    assert of(sender=make_buyer("Somebody else")) == {Kind.WRONG_PARTY}


def test_a_file_is_read_with_its_lines_its_sender_and_whom_it_is_for(buyer, cdr) -> None:
    bill_november(cdr.operator)
    document = document_of(Invoice.objects.get())
    mine = replace(document, number="X-1", lines=(replace(document.lines[0], net=Decimal("33.00")),))

    row = enter_file(recipient=buyer, file=write_cii(mine), actor=SOMEBODY, now=LATER)

    assert (row.sender, row.month, row.cdr_codes) == (cdr.operator, date(2029, 11, 1), [cdr.code.upper()])
    assert Kind.INVOICED_TWICE in kinds(buyer)

    stranger = make_buyer("Alpentrans", vat_id="ATU12345675")
    enter_file(recipient=stranger, file=write_cii(mine), actor=SOMEBODY, now=LATER)
    assert Kind.WRONG_PARTY in kinds(stranger)


@pytest.mark.parametrize("year", ["0001", "1999", "2100", "9999"])
def test_a_day_that_no_invoice_has_is_refused_wherever_it_stands(buyer, cdr, year) -> None:
    bill_november(cdr.operator)
    read = read_document(write_cii(document_of(Invoice.objects.get())))
    day = date(int(year), 1, 15)
    [line] = read.lines
    days: list[dict[str, Any]] = [
        {"issued_on": day},
        {"due_on": day},
        {"issued_on": day, "lines": ()},
        {"lines": (replace(line, span=Span(day, day)),)},
    ]

    for wrong in days:
        with pytest.raises(IncomingInvoiceInvalid, match="is no day of an invoice"):
            told_by(replace(read, **wrong))


def test_berths_own_invoice_is_not_entered_again_and_no_number_twice(buyer, cdr) -> None:
    bill_november(cdr.operator)
    own = Invoice.objects.get()
    with pytest.raises(InvoiceKnown) as known:
        enter_file(recipient=buyer, file=write_cii(document_of(own)), actor=SOMEBODY, now=LATER)
    assert known.value.invoice_id == own.pk

    first = enter(buyer, told(cdr))
    with pytest.raises(InvoiceKnown) as known:
        enter(buyer, told(cdr, number="r-1"))
    assert known.value.incoming_id == first.pk

    act(first, State.WITHDRAWN)
    assert enter(buyer, told(cdr)).pk != first.pk


def act(row: IncomingInvoice, to: State, **fields: Any) -> IncomingInvoice:
    row.refresh_from_db(fields=["version"])
    return settle(incoming_id=row.pk, to=to, seen_version=row.version, actor=SOMEBODY, now=LATER, **fields)


def test_it_is_agreed_and_paid_or_disputed_with_a_reason_and_a_stale_form_changes_nothing(buyer, cdr) -> None:
    row = enter(buyer, told(cdr))
    with pytest.raises(ReasonMissing):
        act(row, State.DISPUTED)
    with pytest.raises(ChangedMeanwhile):
        settle(incoming_id=row.pk, to=State.AGREED, seen_version=7, actor=SOMEBODY, now=LATER)

    assert act(row, State.DISPUTED, said="Not ours").said == "Not ours"
    act(row, State.AGREED)
    assert act(row, State.PAID).paid_on == LATER.date()
    with pytest.raises(IncomingInvoiceInvalid):
        act(row, State.WITHDRAWN)


def test_what_was_typed_is_corrected_until_it_is_agreed(buyer, cdr) -> None:
    row = enter(buyer, told(cdr, "31.00"))
    assert kinds(buyer)
    change_typed(incoming_id=row.pk, told=told(cdr), seen_version=1, actor=SOMEBODY, now=LATER)
    assert kinds(buyer) == []

    act(row, State.AGREED)
    with pytest.raises(IncomingInvoiceInvalid):
        change_typed(incoming_id=row.pk, told=told(cdr), seen_version=3, actor=SOMEBODY, now=LATER)


def test_what_is_accepted_with_a_reason_rests_until_its_facts_change(buyer, cdr) -> None:
    row = enter(buyer, told(cdr, "31.00"))
    with pytest.raises(ReasonMissing):
        accept([only(buyer)], organisation_id=buyer.pk, reason=" ", actor=SOMEBODY, now=LATER)
    accept([only(buyer)], organisation_id=buyer.pk, reason="Not worth it", actor=SOMEBODY, now=LATER)
    [(_, accepted)] = report(buyer).accepted
    assert (accepted.reason, kinds(buyer)) == ("Not worth it", [])

    change_typed(incoming_id=row.pk, told=told(cdr, "45.00"), seen_version=1, actor=SOMEBODY, now=LATER)
    assert only(buyer).found == 45
    accept([only(buyer)], organisation_id=buyer.pk, reason="Agreed by phone", actor=SOMEBODY, now=LATER)

    [(_, accepted)] = report(buyer).accepted
    reopen(accepted_id=accepted.pk, now=LATER)
    assert kinds(buyer) == [Kind.LINE_DIFFERS]


def test_a_self_billed_credit_note_of_a_customer_is_matched_in_the_operators_books(buyer, cdr) -> None:
    said = told(cdr, sender=buyer, sender_name=buyer.legal_name, is_self_billed=True)
    enter(cdr.operator, said)
    assert kinds(cdr.operator, Side.RECEIVABLE) == []

    IncomingInvoice.objects.all().delete()
    enter(
        cdr.operator,
        replace(said, before_taxes=Decimal(20), lines=(InvoiceLineTold("", cdr.code, Decimal(20)),)),
    )
    [finding] = report(cdr.operator, Side.RECEIVABLE).findings
    assert (finding.kind, finding.difference) == (Kind.LINE_DIFFERS, Decimal(-10))


def announce(cdr: ChargeDetailRecord, buyer: Organisation, *more: str, **fields: Any) -> Any:
    fields = {
        "invoice_number": "R-1",
        "last_updated": ISSUED,
        "cdr_codes": [cdr.code.lower(), *more],
        **fields,
    }
    row = new_reconciliation_record(cdr.operator, buyer, **fields)
    row.save()
    return row


def test_an_announced_invoice_is_missed_with_what_it_names_until_it_is_here(buyer, cdr) -> None:
    row = announce(cdr, buyer, "NOBODYS-7")
    missed = report(buyer).findings
    assert {each.kind for each in missed} == {Kind.INVOICE_MISSING, Kind.RECORD_UNKNOWN}
    reading = read_records([row], organisation_id=buyer.pk, is_payable=True)
    assert (reading.count, reading.sums, reading.unknown) == (2, {"EUR": Decimal("30.00")}, ["NOBODYS-7"])

    enter(buyer, told(cdr))
    assert kinds(buyer) == [Kind.RECORD_UNKNOWN]

    row.is_withdrawn = True
    row.save()
    assert kinds(buyer) == []


def test_an_invoice_about_more_than_a_message_holds_is_announced_by_several(buyer, cdr) -> None:
    second = record(cdr.depot, buyer, "12.00")
    rows = [announce(cdr, buyer), announce(second, buyer)]

    enter(buyer, told(cdr, "42.00", "8.82", lines=()))

    assert kinds(buyer) == []
    reading = read_records(rows, organisation_id=buyer.pk, is_payable=True)
    assert (reading.count, reading.sums, reading.repeated) == (2, {"EUR": Decimal(42)}, [])


def test_a_record_announced_twice_or_on_another_invoice_already_is_found_with_what_is_claimed(
    buyer, cdr
) -> None:
    announce(cdr, buyer, cdr.code)
    again = record(cdr.depot, buyer, "12.00")
    announce(again, buyer, invoice_number="R-2")
    announce(again, buyer, invoice_number="R-3")

    doubled = [each for each in report(buyer).findings if each.kind is Kind.INVOICED_TWICE]

    assert [(each.words, each.difference) for each in doubled] == [
        (f"R-1, announced: it names {cdr.code} 2 times.", Decimal(30)),
        (f"R-3, announced: {again.code} is on R-2 already.", Decimal(12)),
    ]
    assert [each.about.cdr_id for each in doubled] == [cdr.pk, again.pk]


def test_an_invoice_that_its_sender_writes_against_itself_is_in_the_books_of_who_is_owed(buyer, cdr) -> None:
    new_reconciliation_record(
        buyer, cdr.operator, cdr_codes=[cdr.code], is_reverse=True, last_updated=ISSUED
    ).save()

    assert kinds(cdr.operator, Side.RECEIVABLE) == [Kind.INVOICE_MISSING]
    assert kinds(cdr.operator) == []


def test_an_invoice_without_lines_is_held_against_the_records_it_was_announced_for(buyer, cdr) -> None:
    announce(cdr, buyer)
    enter(buyer, told(cdr, "29.00", lines=()))

    assert Kind.SUM_DIFFERS in kinds(buyer)


def test_an_invoice_that_names_no_record_at_all_was_never_booked(buyer, cdr) -> None:
    enter(buyer, told(cdr, lines=()))

    assert Kind.LINE_UNRECORDED in kinds(buyer)


def test_records_in_another_currency_add_up_to_nothing_of_an_invoice(buyer, cdr) -> None:
    other = record(cdr.depot, buyer, "5.00", currency="CHF")
    announce(cdr, buyer, other.code)
    enter(buyer, told(cdr, "35.00", "7.35", lines=()))

    found = {finding.kind: finding for finding in report(buyer).findings}

    assert Kind.WRONG_CURRENCY in found
    assert found[Kind.SUM_DIFFERS].expected == Decimal(30)


def test_a_credit_note_in_another_currency_sets_no_line_right(buyer, cdr) -> None:
    enter(buyer, told(cdr, "35.00", "7.35"))
    enter(
        buyer, told(cdr, "5.00", "1.05", number="C-1", currency="CHF", kind=IncomingInvoice.Kind.CREDIT_NOTE)
    )

    assert {Kind.LINE_DIFFERS, Kind.WRONG_CURRENCY} <= set(kinds(buyer))
