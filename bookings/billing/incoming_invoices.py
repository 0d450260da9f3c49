"""Invoices of others: entered from a file or typed, changed, agreed to, disputed, paid, withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Upper

from bookings.actors import Actor
from bookings.billing.documents.reading import read_document
from bookings.billing.documents.received import ReceivedDocument, ReceivedParty
from bookings.billing.errors import IncomingInvoiceInvalid, InvoiceKnown, ReasonMissing
from bookings.billing.months import Month
from bookings.core.constraints import violation_raises
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import IncomingInvoice, Invoice
from depots.models import Organisation

State = IncomingInvoice.State
Kind = IncomingInvoice.Kind
MOST = Decimal("999999999999.9999")
# What may become of one in each state.
NEXT = {
    State.OPEN: {State.AGREED, State.DISPUTED, State.PAID, State.WITHDRAWN},
    State.DISPUTED: {State.OPEN, State.AGREED, State.WITHDRAWN},
    State.AGREED: {State.OPEN, State.DISPUTED, State.PAID},
    State.PAID: {State.OPEN},
    State.WITHDRAWN: set(),
}


@dataclass(frozen=True)
class InvoiceLineTold:
    """`cdr` is the record it bills, "" where it names none; `before_taxes` below zero where it takes back."""

    text: str
    cdr: str
    before_taxes: Decimal

    def to_json(self) -> dict[str, str]:
        return {"text": self.text[:300], "cdr": self.cdr[:64], "before_taxes": f"{self.before_taxes:f}"}


@dataclass(frozen=True)
class InvoiceTold:
    """What an incoming invoice says, however it came."""

    sender: Organisation | None
    sender_name: str
    number: str
    issued_on: date
    month: Month
    currency: str
    before_taxes: Decimal
    taxes: Decimal
    lines: tuple[InvoiceLineTold, ...]
    due_on: date | None = None
    sender_vat_id: str = ""
    iban: str = ""
    kind: Kind = Kind.INVOICE
    is_self_billed: bool = False

    def columns(self) -> dict[str, Any]:
        codes = dict.fromkeys(line.cdr.upper() for line in self.lines if line.cdr)
        return {
            "sender": self.sender, "sender_name": self.sender_name[:100], "sender_vat_id": self.sender_vat_id[:20],
            "iban": self.iban[:34], "kind": self.kind, "is_self_billed": self.is_self_billed, "number": self.number[:255],
            "issued_on": self.issued_on, "due_on": self.due_on, "month": self.month.first_day, "currency": self.currency,
            "before_taxes": self.before_taxes, "taxes": self.taxes, "lines": [line.to_json() for line in self.lines],
            "cdr_codes": list(codes),
        }  # fmt: skip


def enter_file(*, recipient: Organisation, file: bytes, actor: Actor, now: datetime) -> IncomingInvoice:
    """Keep what an EN 16931 file says. Raises DocumentUnreadable, IncomingInvoiceInvalid, InvoiceKnown."""
    document = read_document(file)
    told = told_by(document)
    row = IncomingInvoice(
        recipient=recipient, source=IncomingInvoice.Source.FILE, file=file, entered_at=now, **told.columns(),
        told={
            "seller": _party_json(document.seller), "buyer": _party_json(document.buyer),
            "differences": list(document.differences()),
        },
        **actor.columns("entered_by"),
    )  # fmt: skip
    return _keep(row)


def enter_typed(
    *, recipient: Organisation, told: InvoiceTold, actor: Actor, now: datetime
) -> IncomingInvoice:
    """Raises IncomingInvoiceInvalid, InvoiceKnown."""
    row = IncomingInvoice(
        recipient=recipient, source=IncomingInvoice.Source.TYPED, entered_at=now, **told.columns(),
        **actor.columns("entered_by"),
    )  # fmt: skip
    return _keep(row)


def change_typed(
    *, incoming_id: int, told: InvoiceTold, seen_version: int, actor: Actor, now: datetime
) -> IncomingInvoice:
    """What was typed is corrected; a file stays what it is. Raises IncomingInvoiceInvalid, InvoiceKnown, ChangedMeanwhile."""
    row = IncomingInvoice.objects.get(pk=incoming_id)
    known = _known_as(row.recipient_id, told.sender_name[:100], told.number[:255], but=row.pk)
    with violation_raises({"incoming_invoice_once": known}), transaction.atomic():
        row = _locked(incoming_id, seen_version)
        if row.source != IncomingInvoice.Source.TYPED or row.state not in {State.OPEN, State.DISPUTED}:
            raise IncomingInvoiceInvalid(
                "Only what was typed, and is neither agreed nor paid, can be changed."
            )
        for name, value in told.columns().items():
            setattr(row, name, value)
        _check(row)
        _save(row, actor, now)
    return row


def settle(
    *,
    incoming_id: int,
    to: State,
    said: str = "",
    paid_on: date | None = None,
    seen_version: int,
    actor: Actor,
    now: datetime,
) -> IncomingInvoice:
    """Agree to it, dispute it with a reason, say that it was paid, take it up again, or withdraw what was entered by mistake.

    Raises ReasonMissing, IncomingInvoiceInvalid, ChangedMeanwhile.
    """
    if to == State.DISPUTED and not said.strip():
        raise ReasonMissing("Say what is wrong with it.")
    with transaction.atomic():
        row = _locked(incoming_id, seen_version)
        if to not in NEXT[State(row.state)]:
            raise IncomingInvoiceInvalid(f"It is {row.get_state_display().lower()}: that cannot be done now.")
        row.state, row.said = to, said.strip()[:300]
        row.paid_on = (paid_on or now.date()) if to == State.PAID else None
        _save(row, actor, now)
    return row


def told_by(document: ReceivedDocument) -> InvoiceTold:
    """Raises IncomingInvoiceInvalid. Who sent it is found by VAT id, else by name."""
    sender = document.buyer if document.is_self_billed else document.seller
    spans = [line.span for line in document.lines if line.span]
    _check_days([document.issued_on, document.due_on, *(span.last for span in spans)])
    # Without the days of its lines it bills the month before its own.
    billed = Month.of(max(span.last for span in spans)) if spans else Month.of(document.issued_on).previous
    return InvoiceTold(
        sender=organisation_of(sender.vat_id, sender.name), sender_name=sender.name, sender_vat_id=sender.vat_id,
        iban=document.iban, kind=Kind.CREDIT_NOTE if document.is_credit else Kind.INVOICE,
        is_self_billed=document.is_self_billed, number=document.number, issued_on=document.issued_on, due_on=document.due_on,
        month=billed, currency=document.currency, before_taxes=document.net_total, taxes=document.tax_total,
        lines=tuple(InvoiceLineTold(line.description, line.reference.strip(), line.net) for line in document.lines),
    )  # fmt: skip


def organisation_of(vat_id: str, name: str) -> Organisation | None:
    """The one organisation here with this VAT id, else with this name; None where none or several are."""
    if vat_id:
        found = list(Organisation.objects.filter(vat_id__iexact="".join(vat_id.split()))[:2])
        if found:
            return found[0] if len(found) == 1 else None
    found = list(Organisation.objects.filter(Q(legal_name_key=name) | Q(name_key=name))[:2])
    return found[0] if len(found) == 1 else None


def _party_json(party: ReceivedParty) -> dict[str, str]:
    return {"name": party.name, "vat_id": "".join(party.vat_id.split()).upper()}


def _keep(row: IncomingInvoice) -> IncomingInvoice:
    _check(row)
    _check_foreign(row)
    known = _known_as(row.recipient_id, row.sender_name, row.number)
    with violation_raises({"incoming_invoice_once": known}), transaction.atomic():
        row.save(force_insert=True)
    return row


def _check(row: IncomingInvoice) -> None:
    figures = [row.before_taxes, row.taxes, *(Decimal(line["before_taxes"]) for line in row.lines)]
    if any(abs(figure) > MOST or figure != round(figure, 4) for figure in figures):
        raise IncomingInvoiceInvalid("An amount is too large, or has more than four decimals.")
    if row.before_taxes < 0 or row.taxes < 0:
        raise IncomingInvoiceInvalid("Its total is below zero: what is given back stands on a credit note.")
    _check_days([row.issued_on, row.due_on, row.month])
    if "\0" in f"{row.number}{row.sender_name}{row.lines}":
        raise IncomingInvoiceInvalid("A name or number holds a sign that none has.")


def _check_days(days: Iterable[date | None]) -> None:
    """Those of a Month, which is of this century."""
    for day in days:
        if day is not None and not 2000 <= day.year <= 2099:
            raise IncomingInvoiceInvalid(f"{day.isoformat()} is no day of an invoice.")


def _check_foreign(row: IncomingInvoice) -> None:
    """One that Berth wrote is here anyway. Raises InvoiceKnown."""
    own = Invoice.objects.annotate(known_as=Upper("number")).filter(
        Q(supplier=row.recipient_id) | Q(customer=row.recipient_id),
        known_as=row.number.upper(),
        issuer=row.sender_id,
    )
    if row.sender_id is not None and (found := own.first()) is not None:
        raise InvoiceKnown(
            f"{found.number} is an invoice that Berth wrote: it is matched already.", invoice_id=found.pk
        )


def _known_as(recipient_id: int, sender_name: str, number: str, *, but: int | None = None) -> BookingError:
    rows = IncomingInvoice.objects.exclude(state=State.WITHDRAWN).exclude(pk=but or 0)
    first = rows.filter(recipient=recipient_id, sender_key=sender_name, number_key=number).first()
    return InvoiceKnown(
        f"{number} of {sender_name} is here already.", incoming_id=first.pk if first is not None else None
    )


def _locked(incoming_id: int, seen_version: int) -> IncomingInvoice:
    row = IncomingInvoice.objects.select_for_update(no_key=True).defer("file").get(pk=incoming_id)
    if row.version != seen_version:
        raise ChangedMeanwhile("Somebody has changed this invoice meanwhile.")
    return row


def _save(row: IncomingInvoice, actor: Actor, now: datetime) -> None:
    row.version += 1
    row.changed_at = now
    for name, value in actor.columns("changed_by").items():
        setattr(row, name, value)
    row.save()  # all but the file, which was not read
