"""Invoices that came past Berth: one as a file, which Nordfracht's own accounting wrote and in which a line differs, and one
that was typed, for charging that Berth has billed already."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from bookings.actors import Actor
from bookings.billing.documents.cii import write_cii
from bookings.billing.documents.document import (
    BankTransfer,
    InvoiceDocument,
    InvoiceKind,
    InvoiceLine,
    LegalParty,
    Span,
)
from bookings.billing.incoming_invoices import InvoiceLineTold, InvoiceTold, enter_file, enter_typed
from bookings.billing.months import Month
from bookings.billing.parties import Party, alpha_2, vat_treatment
from bookings.models import ChargeDetailRecord
from config.demo_data.fleets import ALPENTRANS, LADEPARK, NORDFRACHT
from depots.models import Organisation

# Somebody mistyped it.
TOO_MUCH = Decimal("7.50")
# Berth could not write it, for want of an address.
BY_HAND = (NORDFRACHT, ALPENTRANS)


def receive_file(month: Month, at: datetime) -> None:
    """Nordfracht bills Alpentrans by hand; one line of it is dearer than its record."""
    seller, buyer = (Organisation.objects.get(name=firm.name) for firm in BY_HAND)
    records = standing(seller, buyer, month)
    if records:
        file = write_cii(_document(seller, buyer, records, at.date()))
        actor = Actor.dispatcher("accountant@alpentrans.example")
        enter_file(recipient=buyer, file=file, actor=actor, now=at)


def receive_letter(month: Month, at: datetime) -> None:
    """Ladepark's old system bills Nordfracht a record once more, and something nobody has heard of."""
    seller, buyer = (Organisation.objects.get(name=firm.name) for firm in (LADEPARK, NORDFRACHT))
    lines = [
        InvoiceLineTold("Charging", cdr.code, cdr.before_taxes) for cdr in standing(seller, buyer, month)[:1]
    ]
    lines.append(InvoiceLineTold("Parking, Venlo", "", Decimal("24.00")))
    net = sum((line.before_taxes for line in lines), Decimal(0))
    told = InvoiceTold(
        sender=seller, sender_name=seller.legal_name, number=f"H-{month.year}-118", issued_on=at.date(),
        due_on=at.date() + timedelta(days=14), month=month, currency="EUR", before_taxes=net,
        taxes=(net * Decimal("0.21")).quantize(Decimal("0.01")), lines=tuple(lines),
    )  # fmt: skip
    enter_typed(recipient=buyer, told=told, actor=Actor.dispatcher("accountant@nordfracht.example"), now=at)


def standing(seller: Organisation, buyer: Organisation, month: Month) -> list[ChargeDetailRecord]:
    """What the buyer's vehicles did at the seller's depots in the month, and nobody took back."""
    period = month.in_zone("Europe/Berlin")
    rows = ChargeDetailRecord.objects.filter(
        operator=seller, customer=buyer, ends_at__gte=period.starts_at, ends_at__lt=period.ends_at, credits=None,
        credited_by=None, before_taxes__gt=0, currency="EUR",
    )  # fmt: skip
    return list(rows.select_related("depot").defer("bill", "periods").order_by("ends_at"))


def _document(
    seller: Organisation, buyer: Organisation, records: list[ChargeDetailRecord], issued_on: date
) -> InvoiceDocument:
    parties = Party.of(seller), Party.of(buyer)
    lines = []
    for place, cdr in enumerate(records):
        vat = vat_treatment(*parties, cdr.depot.country)
        on = cdr.ends_at.astimezone(cdr.depot.zone).date()
        for rate, net in cdr.net_by_rate:
            added = TOO_MUCH if place == len(records) // 2 and rate == cdr.net_by_rate[0][0] else 0
            lines.append(
                InvoiceLine(
                    description=f"{cdr.get_kind_display()}, {cdr.depot.name}, {cdr.plate}", net=Decimal(net) + added,
                    vat=vat.vat_of(None if rate is None else Decimal(rate), seller_vat_id=seller.vat_id), span=Span(on, on),
                    reference=cdr.code,
                )
            )  # fmt: skip
    return InvoiceDocument(
        number=f"NF-{issued_on:%Y}-{issued_on:%m}07", kind=InvoiceKind.INVOICE, issued_on=issued_on,
        due_on=issued_on + timedelta(days=30), currency="EUR", seller=_legal(parties[0]), buyer=_legal(parties[1]),
        lines=tuple(lines), payment=BankTransfer(seller.iban, seller.legal_name),
    )  # fmt: skip


def _legal(party: Party) -> LegalParty:
    return LegalParty(
        name=party.legal_name, address=(party.address,), postal_code=party.postal_code, city=party.city,
        country=alpha_2(party.country), vat_id=party.vat_id, email=party.billing_email, reference=party.reference,
    )  # fmt: skip
