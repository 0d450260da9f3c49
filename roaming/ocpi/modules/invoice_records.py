"""Invoice reconciliation records: which CDRs an invoice is about."""

from __future__ import annotations

from typing import Any, Protocol

from bookings.models import InvoiceReconciliationRecord
from roaming.mirror.values import ToldInvoiceRecord
from roaming.models import Partner
from roaming.ocpi.wire_object import Read


class InvoiceRecords(Protocol):
    # Of our invoices

    def url(self, partner: Partner, /) -> str:
        """Where a partner takes new records; empty when it takes none."""

    def object_url(self, partner: Partner, record: InvoiceReconciliationRecord, /) -> str:
        """Where a partner keeps this one; empty when it takes none."""

    def write(self, record: InvoiceReconciliationRecord, /) -> dict[str, Any]:
        """With its owner at hand."""

    # Of a partner's

    def list_url(self, partner: Partner, /) -> str:
        """Where a partner's Sender lists them; empty when it has no such list."""

    def read(self, raw: Any, /) -> Read[ToldInvoiceRecord]:
        """Raises UnreadableError."""
