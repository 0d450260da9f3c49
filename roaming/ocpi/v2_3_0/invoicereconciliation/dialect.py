"""Invoice reconciliation records of 2.3.0, as the core asks for them (roaming/ocpi/modules/invoice_records.py)."""

from __future__ import annotations

from typing import Any

from bookings.models import InvoiceReconciliationRecord
from roaming.mirror.values import ToldInvoiceRecord
from roaming.models import Partner
from roaming.ocpi.client import joined
from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.invoicereconciliation import schemas
from roaming.ocpi.wire_object import Notes, Read
from roaming.published_invoices import owner_of

MODULE = "invoicereconciliation"
RECORD = Shape("invoice_record", renamed={"last_update": "last_updated"}, lists=frozenset({"cdrs"}))


def url(partner: Partner) -> str:
    return partner.endpoint(MODULE, "RECEIVER").rstrip("/")


def object_url(partner: Partner, record: InvoiceReconciliationRecord) -> str:
    base = url(partner)
    return joined(base, *owner_of(record), record.code) if base else ""


def list_url(partner: Partner) -> str:
    return partner.endpoint(MODULE, "SENDER")


def write(record: InvoiceReconciliationRecord) -> dict[str, Any]:
    country_code, party_id = owner_of(record)
    return schemas.InvoiceReconciliationRecord(
        country_code=country_code,
        party_id=party_id,
        id=record.code,
        invoice_id=record.invoice_number,
        cdrs=record.cdr_codes,
        last_updated=record.last_updated,
    ).wire()


def read(raw: Any) -> Read[ToldInvoiceRecord]:
    notes = Notes()
    shaped = shaped_as(raw, RECORD, notes)
    if isinstance(shaped, dict) and isinstance(shaped.get("cdrs"), list):
        shaped["cdrs"] = [_id(one, notes) for one in shaped["cdrs"]]
    told = read_shaped(schemas.InvoiceReconciliationRecord, shaped, notes)
    record = told.value
    return Read(
        ToldInvoiceRecord(
            record.country_code, record.party_id, record.id, record.invoice_id, tuple(record.cdrs), record.last_updated
        ),
        told.deviations,
    )  # fmt: skip


def _id(told: Any, notes: Notes) -> Any:
    """The specification's own diagrams have objects, its tables ids."""
    if isinstance(told, dict) and told.keys() == {"id"}:
        notes.add("invoice_record.cdrs.objects")
        return told["id"]
    return told
