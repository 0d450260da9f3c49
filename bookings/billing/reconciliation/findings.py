"""What is wrong, in words and amounts. Who looks at it, and what can be done about it, is for the pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class FindingGroup(StrEnum):
    MISSING = "missing"
    DOUBLE = "double"
    DIFFERENT = "different"
    UNBOOKED = "unbooked"

    @property
    def label(self) -> str:
        return _TITLES[self]


class FindingKind(StrEnum):
    SESSION_UNRECORDED = "session_unrecorded"
    BOOKING_UNRECORDED = "booking_unrecorded"
    INVOICE_MISSING = "invoice_missing"
    RECORD_UNINVOICED = "record_uninvoiced"
    RECORD_UNKNOWN = "record_unknown"
    RECORDED_TWICE = "recorded_twice"
    INVOICED_TWICE = "invoiced_twice"
    QUOTE_DIFFERS = "quote_differs"
    TARIFF_DIFFERS = "tariff_differs"
    LINE_DIFFERS = "line_differs"
    SUM_DIFFERS = "sum_differs"
    VAT_DIFFERS = "vat_differs"
    WRONG_CURRENCY = "wrong_currency"
    WRONG_PARTY = "wrong_party"
    RECORD_UNBOOKED = "record_unbooked"
    SESSION_UNOWNED = "session_unowned"
    LINE_UNRECORDED = "line_unrecorded"

    @property
    def group(self) -> FindingGroup:
        return _KINDS[self][0]

    @property
    def label(self) -> str:
        return _KINDS[self][1]


_TITLES = {
    FindingGroup.MISSING: "Missing",
    FindingGroup.DOUBLE: "Double",
    FindingGroup.DIFFERENT: "Different",
    FindingGroup.UNBOOKED: "Never booked",
}
_KINDS = {
    FindingKind.SESSION_UNRECORDED: (FindingGroup.MISSING, "Session without a record"),
    FindingKind.BOOKING_UNRECORDED: (FindingGroup.MISSING, "Booking without a record"),
    FindingKind.INVOICE_MISSING: (FindingGroup.MISSING, "No invoice"),
    FindingKind.RECORD_UNINVOICED: (FindingGroup.MISSING, "Left out of the invoice"),
    FindingKind.RECORD_UNKNOWN: (FindingGroup.MISSING, "Unknown record billed"),
    FindingKind.RECORDED_TWICE: (FindingGroup.DOUBLE, "Recorded twice"),
    FindingKind.INVOICED_TWICE: (FindingGroup.DOUBLE, "Invoiced twice"),
    FindingKind.QUOTE_DIFFERS: (FindingGroup.DIFFERENT, "Not as quoted"),
    FindingKind.TARIFF_DIFFERS: (FindingGroup.DIFFERENT, "Not by its tariff"),
    FindingKind.LINE_DIFFERS: (FindingGroup.DIFFERENT, "Line and record differ"),
    FindingKind.SUM_DIFFERS: (FindingGroup.DIFFERENT, "Invoice does not add up"),
    FindingKind.VAT_DIFFERS: (FindingGroup.DIFFERENT, "VAT not by the rules"),
    FindingKind.WRONG_CURRENCY: (FindingGroup.DIFFERENT, "Wrong currency"),
    FindingKind.WRONG_PARTY: (FindingGroup.DIFFERENT, "Wrong party"),
    FindingKind.RECORD_UNBOOKED: (FindingGroup.UNBOOKED, "Charged without a booking"),
    FindingKind.SESSION_UNOWNED: (FindingGroup.UNBOOKED, "Charged by nobody known"),
    FindingKind.LINE_UNRECORDED: (FindingGroup.UNBOOKED, "Line without a record"),
}


@dataclass(frozen=True)
class Subject:
    """What a finding is about: whichever of them there are, by id."""

    cdr_id: int | None = None
    booking_id: int | None = None
    session_id: int | None = None
    invoice_id: int | None = None
    incoming_id: int | None = None
    dispute_id: int | None = None
    depot_code: str = ""
    # A partner told of it: it bills outside Berth.
    is_received: bool = False


@dataclass(frozen=True)
class Finding:
    """`key` is the same whenever it is found, `facts` what it rests on. `expected` and `found` are before taxes, in `currency`;
    `found` is what somebody claims."""

    kind: FindingKind
    key: str
    facts: str
    words: str
    counterparty: str
    currency: str = ""
    expected: Decimal | None = None
    found: Decimal | None = None
    at: datetime | None = None
    time_zone: str = "UTC"
    counterparty_id: int | None = None
    about: Subject = field(default_factory=Subject)

    @property
    def difference(self) -> Decimal | None:
        """How much too much is claimed; below zero too little."""
        if self.expected is None and self.found is None:
            return None
        return (self.found or Decimal()) - (self.expected or Decimal())


def finding_key(kind: FindingKind, *of: object) -> str:
    return ":".join([kind.value, *(str(part) for part in of)])[:300]


def amounts(*found: Decimal | None) -> str:
    """As `Finding.facts`."""
    return "|".join("" if amount is None else f"{amount.normalize():f}" for amount in found)
