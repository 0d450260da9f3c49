"""A record by what people call it: its code or, where no code is that, the number of its row."""

from __future__ import annotations

from django.db.models import QuerySet

from bookings.billing.errors import RecordUnknown
from bookings.models import ChargeDetailRecord


def record_called(name: str) -> ChargeDetailRecord:
    """Raises RecordUnknown, also for a code that several operators have given."""
    records = with_all().select_related("session").prefetch_related("session__signed_values")
    found = list(records.filter(code__iexact=name).order_by("id")[:2])
    if not found and name.isascii() and name.isdigit() and len(name) < 19:
        found = list(records.filter(pk=int(name)))
    if not found:
        raise RecordUnknown(f"There is no charge detail record {name}.")
    if len(found) > 1:
        raise RecordUnknown(
            f"Several operators have a record {name}: name it by its row, {found[0].pk} or {found[1].pk} …"
        )
    return found[0]


def with_all() -> QuerySet[ChargeDetailRecord]:
    """Records with all that a document about them names."""
    return ChargeDetailRecord.objects.select_related(
        "operator", "customer", "depot", "booking", "credits", "credited_by", "replaces", "replaced_by",
        "invoiced__invoice", "charging_tariff__tariff__operator", "booking_tariff__tariff__operator",
    )  # fmt: skip
