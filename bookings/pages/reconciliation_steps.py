"""What can be done about a finding: links and buttons, the one that mends it first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import quote, urlencode

from django.urls import reverse

from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import Finding, FindingKind
from bookings.models import ChargeDetailRecord
from depots.models import Organisation

Kind = FindingKind
OF_RECORD = {Kind.RECORDED_TWICE, Kind.QUOTE_DIFFERS, Kind.TARIFF_DIFFERS, Kind.RECORD_UNBOOKED}
NOT_BILLED = {Kind.INVOICE_MISSING, Kind.RECORD_UNINVOICED}
OF_INVOICE = {
    Kind.LINE_DIFFERS, Kind.INVOICED_TWICE, Kind.RECORD_UNKNOWN, Kind.SUM_DIFFERS, Kind.VAT_DIFFERS, Kind.WRONG_CURRENCY,
    Kind.WRONG_PARTY, Kind.LINE_UNRECORDED,
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A link, or with `fields` a button that sends them; a `is_dialog` link opens a form over the page."""

    words: str
    url: str
    icon: str = "arrow-right"
    fields: dict[str, str] = field(default_factory=dict)
    is_dialog: bool = False
    is_mail: bool = False

    @property
    def is_button(self) -> bool:
        return bool(self.fields)


@dataclass(frozen=True)
class StepsOf:
    """For one viewer of one side of books. `mails` are billing addresses by organisation's id, `lines` by record
    the line that makes the difference, `billing_version` what the
    form that bills shows (bookings.billing.versions), `self_billed` the same of those for whom one writes the invoice."""

    books: Books
    organisation: Organisation
    is_kept: bool
    may_dispute: bool
    mails: dict[int, str]
    lines: dict[int, int]
    billing_version: int = 0
    self_billed: Mapping[int, int] = field(default_factory=dict)

    def of(self, finding: Finding) -> list[Step]:
        return list(self._steps(finding))

    def _steps(self, finding: Finding) -> Iterator[Step]:
        about, is_payable = finding.about, self.books.is_payable
        if about.dispute_id is not None and not is_payable:
            yield Step(
                "Answer the dispute", _url("dispute_answer", about.dispute_id), "check", is_dialog=True
            )
        if is_payable:
            yield from self._of_who_owes(finding)
        elif self.is_kept:
            yield from self._of_who_is_owed(finding)
        if about.incoming_id is not None:
            yield Step("Open the invoice", _url("incoming_invoice", about.incoming_id), "eye")
        elif about.invoice_id is not None:
            yield Step("Open the invoice", _url("invoice", about.invoice_id), "eye")
        if about.cdr_id is not None:
            yield Step("Open the record", _url("record", about.cdr_id), "eye")
        elif about.booking_id is not None:
            yield Step("Open the booking", _url("booking", about.booking_id), "eye")
        yield from self._mail(finding)

    def _of_who_owes(self, finding: Finding) -> Iterator[Step]:
        about = finding.about
        if about.incoming_id is not None and finding.kind in OF_INVOICE and not self._is_of_record(finding):
            if self.is_kept:
                url = f"{_url('incoming_invoice', about.incoming_id)}?{urlencode({'said': finding.words[:300]})}#said"
                yield Step("Dispute the invoice", url, "alert-triangle")
        elif self._is_of_record(finding) and about.dispute_id is None and self.may_dispute:
            asked = {"reason": finding.words[:300]}
            if (line := self.lines.get(about.cdr_id or 0)) is not None:
                asked["line"] = str(line)
            words = "Dispute the line" if finding.kind is Kind.LINE_DIFFERS else "Dispute it"
            url = f"{_url('dispute', about.cdr_id or 0)}?{urlencode(asked)}"
            yield Step(words, url, "alert-triangle", is_dialog=True)
        seen = self.self_billed.get(finding.counterparty_id or 0)
        if seen is not None and finding.kind in NOT_BILLED and self.is_kept:
            fields = {
                "customer": str(self.organisation.pk), "supplier": str(finding.counterparty_id),
                "month": str(self.books.month), "version": str(seen),
            }  # fmt: skip
            yield Step("Write the invoice", reverse("bookings:self_billing"), "check", fields)
        elif finding.kind is Kind.INVOICE_MISSING and self.is_kept:
            asked = {
                "recipient": str(self.organisation.pk),
                "sender": finding.counterparty,
                "month": str(self.books.month),
            }
            yield Step(
                "Enter the invoice", f"{reverse('bookings:incoming_invoice_add')}?{urlencode(asked)}", "plus"
            )

    def _is_of_record(self, finding: Finding) -> bool:
        """It is the record that claims too much: by itself, or more than the invoice that names it."""
        if finding.about.cdr_id is None:
            return False
        return finding.kind in OF_RECORD or (
            finding.kind is Kind.LINE_DIFFERS and (finding.difference or 0) < 0
        )

    def _of_who_is_owed(self, finding: Finding) -> Iterator[Step]:
        about = finding.about
        if finding.kind is Kind.SESSION_UNRECORDED or finding.kind is Kind.BOOKING_UNRECORDED:
            fields = {
                "organisation": str(self.organisation.pk), "side": self.books.side.value, "month": str(self.books.month),
                "booking": str(about.booking_id or ""), "session": str(about.session_id or ""),
            }  # fmt: skip
            yield Step("Issue the record", reverse("bookings:missing_records"), "check", fields)
        if finding.kind in NOT_BILLED and not about.is_received:
            fields = {"operator": str(self.organisation.pk), "month": str(self.books.month)}
            fields["version"] = str(self.billing_version)
            yield Step(
                f"Bill {self.books.month.first_day:%B}", reverse("bookings:invoice_run"), "check", fields
            )
        if finding.kind in OF_RECORD - {Kind.RECORD_UNBOOKED} and about.cdr_id is not None:
            yield Step("Waive it", _url("waiver", about.cdr_id), "x", is_dialog=True)
        if finding.kind is Kind.SESSION_UNOWNED:
            yield Step("Look at the depot", reverse("bookings:yard", args=[about.depot_code]), "eye")

    def _mail(self, finding: Finding) -> Iterator[Step]:
        address = self.mails.get(finding.counterparty_id or 0)
        if address and self.is_kept:
            subject = quote(
                f"{self.organisation.name}, {self.books.month.first_day:%B %Y}: {finding.kind.label}"
            )
            body = quote(f"{finding.words}\n")
            url = f"mailto:{quote(address, safe='@.+-')}?subject={subject}&body={body}"
            yield Step("Write to them", url, "external-link", is_mail=True)


def differing_lines(findings: list[Finding]) -> dict[int, int]:
    """By record the one line, counted from 0, that is as much as an invoice leaves out; one query."""
    sought = {
        pk: -finding.difference
        for finding in findings
        if finding.kind is Kind.LINE_DIFFERS
        and (pk := finding.about.cdr_id) is not None
        and finding.difference
    }
    found = {}
    for pk, bill in ChargeDetailRecord.objects.filter(pk__in=sought).values_list("pk", "bill"):
        amounts = [Decimal(line["before_taxes"]) for line in bill.get("lines", [])]
        if amounts.count(sought[pk]) == 1:
            found[pk] = amounts.index(sought[pk])
    return found


def _url(name: str, pk: int) -> str:
    return reverse(f"bookings:{name}", args=[pk])


def books_url(books: Books, **more: str) -> str:
    """The page of these books."""
    asked = {"organisation": str(books.organisation_id), "side": books.side.value, "month": str(books.month)}
    if books.counterparty_id is not None:
        asked["with"] = str(books.counterparty_id)
    return f"{reverse('bookings:reconciliation')}?{urlencode(asked | more)}"


SIDES = {Side.PAYABLE: "What we owe", Side.RECEIVABLE: "What we are owed"}
