"""What came with a partner's record: on what it rests, and the message itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bookings.models import ChargeDetailRecord, PriceCheck

LONGEST_SHOWN = 60_000


@dataclass(frozen=True)
class ReceivedEvidence:
    """`priced` is what the record's own tariffs make of it, with taxes; None where that could not be reckoned."""

    told: dict[str, Any]
    priced: Decimal | None

    @property
    def session(self) -> str:
        return str(self.told.get("session_id") or "")

    @property
    def invoice(self) -> str:
        return str(self.told.get("invoice_reference_id") or "")

    @property
    def _signed_data(self) -> dict[str, Any]:
        found = self.told.get("signed_data")
        return found if isinstance(found, dict) else {}

    @property
    def signed(self) -> int:
        values = self._signed_data.get("signed_values")
        return len(values) if isinstance(values, list) else 0

    @property
    def encoding(self) -> str:
        return str(self._signed_data.get("encoding_method") or "")

    @property
    def text(self) -> str:
        return json.dumps(self.told, indent=2, ensure_ascii=False)[:LONGEST_SHOWN]


def received_evidence(cdr: ChargeDetailRecord) -> ReceivedEvidence | None:
    """None of a record of ours."""
    if cdr.received is None:
        return None
    check: PriceCheck | None = getattr(cdr, "price_check", None)
    if check is None or check.before_taxes is None or check.taxes is None:
        return ReceivedEvidence(cdr.received, None)
    return ReceivedEvidence(cdr.received, check.before_taxes + check.taxes)
