"""InvoiceReconciliationRecord (OCPI 2.3.0 edition 2, mod_invoice_reconciliation)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from roaming.ocpi.field_types import CountryCode, Id36, Id39, Id255, PartyId
from roaming.ocpi.times import Moment
from roaming.ocpi.wire_object import WireObject

MOST_CDRS = 30_000


class InvoiceReconciliationRecord(WireObject):
    """Every part counts: with one CDR less an invoice is about something else. The ids of CDRs have 36 characters here and
    39 in their own module, for credits."""

    is_ask: ClassVar[bool] = True

    country_code: CountryCode
    party_id: PartyId
    id: Id36
    invoice_id: Id255
    cdrs: Annotated[list[Id39], Field(min_length=1, max_length=MOST_CDRS)]
    last_updated: Moment
