"""What a record's page shows: its lines, the periods they rest on, what is odd, and all that was said and done about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bookings.actors import PEOPLE, ActorKind
from bookings.billing.disputes import version_of_record
from bookings.billing.flags import sentence
from bookings.billing.received_records import likely_booking
from bookings.models import ChargeDetailRecord, Dispute
from bookings.pages.history import TimelineEntry
from bookings.pages.money_access import RecordViewer
from bookings.pages.price_parts import PriceParts, bill_parts
from bookings.pages.received_evidence import received_evidence
from bookings.pricing.bills import Bill
from depots.models import User
from depots.templatetags.berth import money

MOST_PERIODS_SHOWN = 200
_PERIOD_WORDS = {
    "charging_s": "Charging", "parking_s": "Parking", "booked_s": "Booked", "expired_s": "Kept, nobody came",
    "overtime_s": "Overtime", "reserved_s": "Reserved",
}  # fmt: skip


@dataclass(frozen=True)
class ShownPeriod:
    starts_at: datetime
    what: str
    length: timedelta
    energy_wh: int


@dataclass(frozen=True)
class ShownDispute:
    row: Dispute
    about: str


def record_context(viewer: RecordViewer) -> dict[str, Any]:
    """For the record's page and the forms that stand on it."""
    cdr = viewer.cdr
    price = price_of(cdr)
    return {
        "viewer": viewer,
        "cdr": cdr,
        "price": price,
        "total": cdr.before_taxes + cdr.taxes,
        "periods": list(_periods(cdr))[:MOST_PERIODS_SHOWN],
        "flags": [sentence(flag) for flag in cdr.flags],
        "disputes": [ShownDispute(row, _about(row, price)) for row in cdr.disputes.all()],
        "moments": sorted(_moments(viewer), key=lambda entry: entry.at, reverse=True),
        "version": version_of_record(cdr),
        "received": received_evidence(cdr),
        "likely": likely_booking(cdr) if viewer.may_dispute else None,
        "is_settled": cdr.is_credit or hasattr(cdr, "credited_by"),
    }


def price_of(cdr: ChargeDetailRecord) -> PriceParts:
    return bill_parts(Bill.from_json(cdr.bill), is_metered=cdr.is_of_charging)


def _periods(cdr: ChargeDetailRecord) -> Iterator[ShownPeriod]:
    for period in cdr.periods:
        names = [name for name in _PERIOD_WORDS if period.get(name)]
        what = _PERIOD_WORDS[names[0]] if names else "Neither charging nor parking"
        yield ShownPeriod(
            starts_at=datetime.fromisoformat(period["starts_at"]),
            what=what,
            length=timedelta(seconds=period[names[0]] if names else 0),
            energy_wh=int(Decimal(period.get("energy_kwh") or 0) * 1000),
        )


def _about(dispute: Dispute, price: PriceParts) -> str:
    found = (part.what for part in price.parts if part.line == dispute.line)
    return "All of it" if dispute.line is None else next(found, "A line")


def _moments(viewer: RecordViewer) -> Iterator[TimelineEntry]:
    cdr, names = viewer.cdr, _Names(viewer)
    words = {True: "Credited in its place", False: "Issued"}[cdr.is_credit]
    yield TimelineEntry(
        cdr.issued_at,
        f"{words}: {cdr.code}",
        cdr.reason,
        names.of(cdr, "issued_by"),
        "circle-check",
        "success",
    )
    if cdr.credits is not None:
        yield TimelineEntry(cdr.credits.issued_at, f"{cdr.credits.code} was issued", "", icon_name="history")
    if hasattr(cdr, "credited_by"):
        credit = cdr.credited_by
        by = names.of(credit, "issued_by")
        yield TimelineEntry(credit.issued_at, f"Credited by {credit.code}", credit.reason, by, "x", "warning")
    if hasattr(cdr, "replaced_by"):
        anew = cdr.replaced_by
        words = f"Issued anew as {anew.code}: {money(anew.before_taxes + anew.taxes, anew.currency)}"
        yield TimelineEntry(anew.issued_at, words, "", names.of(anew, "issued_by"), "arrows-exchange")
    if hasattr(cdr, "invoiced"):
        invoice = cdr.invoiced.invoice
        yield TimelineEntry(invoice.made_at, f"On invoice {invoice.number}", "", icon_name="list")
    for dispute in cdr.disputes.all():
        by = names.of(dispute, "raised_by")
        yield TimelineEntry(dispute.raised_at, "Disputed", dispute.reason, by, "alert-triangle", "warning")
        if dispute.answered_at is not None:
            accepted = dispute.outcome == Dispute.Outcome.ACCEPTED
            title, level = ("Dispute accepted", "success") if accepted else ("Dispute rejected", "danger")
            by = names.of(dispute, "answered_by")
            yield TimelineEntry(
                dispute.answered_at, title, dispute.answer, by, "check" if accepted else "ban", level
            )


class _Names:
    """Of people only colleagues are named, of others the side they act for."""

    def __init__(self, viewer: RecordViewer) -> None:
        self.viewer = viewer
        colleagues = User.objects.filter(memberships__organisation__in=viewer.organisation_ids)
        self.known = {email.lower() for email in colleagues.values_list("email", flat=True)}

    def of(self, row: Any, columns: str) -> str:
        kind, name = getattr(row, f"{columns}_kind"), getattr(row, f"{columns}_name")
        if kind not in PEOPLE:
            return "Berth" if kind == ActorKind.BERTH else name
        if name.lower() in self.known:
            return str(name)
        cdr = self.viewer.cdr
        return str(cdr.operator.name if kind == ActorKind.MANAGER else cdr.customer.name)
