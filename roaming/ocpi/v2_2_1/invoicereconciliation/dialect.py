"""Invoice reconciliation records of 2.2.1, which has none: those of 2.3.0, with partners that agreed to them."""

from __future__ import annotations

from roaming.models import Partner
from roaming.ocpi.v2_3_0.invoicereconciliation import dialect as newest
from roaming.ocpi.v2_3_0.invoicereconciliation.dialect import object_url, read, write
from roaming.switches import switch

__all__ = ["list_url", "object_url", "read", "url", "write"]


def url(partner: Partner) -> str:
    return newest.url(partner) if switch(partner, "invoice_records_under_2_2_1") else ""


def list_url(partner: Partner) -> str:
    return newest.list_url(partner) if switch(partner, "invoice_records_under_2_2_1") else ""
