"""How who comes under an agreement pays: set by who keeps the operator's accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from bookings.core.locking import lock_depot
from bookings.errors import ChangedMeanwhile
from bookings.models import PaymentTerms
from bookings.rules.content_version import version_of
from depots.models import Agreement

# What a person sets; the columns of bookings.models.PaymentTerms.
SET = (
    "before", "provider", "payment_min", "credit_limit", "currency", "beyond", "is_reverse", "due_days", "mandate_reference",
    "mandate_signed_on",
)  # fmt: skip


def payment_terms_of(agreement: Agreement) -> PaymentTerms:
    """Not saved where nothing was agreed."""
    return PaymentTerms.objects.filter(agreement=agreement).first() or PaymentTerms(agreement=agreement)


def payment_terms_version(terms: PaymentTerms) -> int:
    return version_of({name: getattr(terms, name) for name in SET})


def set_payment_terms(
    *, agreement: Agreement, terms: Mapping[str, Any], seen_version: int | None = None
) -> PaymentTerms:
    """They hold for bookings and invoices made from now on. Raises ChangedMeanwhile."""
    with transaction.atomic():
        lock_depot(agreement.depot_id)
        kept = payment_terms_of(agreement)
        if seen_version not in {None, payment_terms_version(kept)}:
            raise ChangedMeanwhile("Somebody has changed these terms meanwhile.")
        for name in SET:
            setattr(kept, name, terms[name])
        kept.save()
    return kept
