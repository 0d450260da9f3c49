"""The records of an invoice for a spreadsheet, one a line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

from bookings.billing.invoice_lines import records_of
from bookings.billing.spreadsheets import cell
from bookings.models import ChargeDetailRecord, Invoice
from depots.periods import utc_text

COLUMNS = (
    "invoice", "record", "kind", "depot", "vehicle", "booking", "start", "end", "kwh", "charging_min", "parking_min", "currency",
    "before_taxes", "taxes", "total", "credits", "remark",
)  # fmt: skip


def csv_lines(invoice: Invoice) -> Iterator[str]:
    """With a head; times in UTC. Read in pieces, so that a hundred thousand records fit through."""
    yield _line(COLUMNS)
    for cdr in records_of(invoice):
        yield _line(_row(invoice, cdr))


def _row(invoice: Invoice, cdr: ChargeDetailRecord) -> tuple[object, ...]:
    booking = cdr.booking.reference if cdr.booking else ""
    credited = cdr.code.removesuffix("-C") if cdr.is_credit else ""
    return (
        invoice.number, cdr.code, cdr.kind, cdr.depot.name, cdr.plate, booking, utc_text(cdr.starts_at), utc_text(cdr.ends_at),
        f"{cdr.energy_wh / 1000:.3f}", cdr.charging_s // 60, cdr.parking_s // 60, cdr.currency, f"{cdr.before_taxes:.2f}",
        f"{cdr.taxes:.2f}", f"{cdr.before_taxes + cdr.taxes:.2f}", credited, cdr.remark or cdr.reason,
    )  # fmt: skip


def _line(values: tuple[object, ...]) -> str:
    out = StringIO()
    csv.writer(out).writerow([cell(value) for value in values])
    return out.getvalue()
