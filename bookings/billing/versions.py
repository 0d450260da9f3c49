"""What a form of money showed, as a number: of an invoice, of an operator's invoices, of what a file for the bank would hold.

Whoever acts says which they saw. Under the lock that orders them with others it must still hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Max

from bookings.errors import ChangedMeanwhile
from bookings.models import Invoice
from bookings.rules.content_version import version_of

CHANGED = "This invoice was paid, sent, reminded of or credited meanwhile."
BILLED = "Somebody has billed or credited something of this operator meanwhile."
ORDERED = "What is open has changed meanwhile, or stands in a file already."


def invoice_version(invoice: Invoice) -> int:
    """Of what was paid, taken back, sent, reminded of and credited; four queries."""
    told: dict[str, Any] = {"sent_at": Invoice.objects.values_list("sent_at", flat=True).get(pk=invoice.pk)}
    for name in ("payments", "payment_returns", "reminders", "corrected_by"):
        told[name] = getattr(invoice, name).aggregate(last=Max("pk"))["last"]
    return version_of(told)


def billing_version(operator_id: int) -> int:
    """Of the invoices and credit notes there are; it rises with each run that issues some."""
    return billing_versions([operator_id])[operator_id]


def billing_versions(operator_ids: Iterable[int]) -> dict[int, int]:
    versions = dict.fromkeys(operator_ids, 1)
    rows = Invoice.objects.filter(supplier__in=versions).order_by().values("supplier")
    return versions | {row["supplier"]: row["newest"] + 1 for row in rows.annotate(newest=Max("pk"))}


def order_version(rows: Iterable[Any]) -> int:
    """Of invoices with `still_due`, as a file for the bank would hold them."""
    return version_of([[row.pk, row.still_due] for row in rows])


def check_seen(seen: int | None, version: int, words: str) -> None:
    """Raises ChangedMeanwhile; None, of a command or a job, has seen the latest."""
    if seen not in {None, version}:
        raise ChangedMeanwhile(words)
