"""A finding that somebody lets rest, with the reason: it does not come up again unless what it rests on changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.billing.errors import FindingGone, ReasonMissing
from bookings.billing.reconciliation.findings import Finding
from bookings.core.constraints import violation_raises
from bookings.models import AcceptedFinding


def accept(
    findings: Iterable[Finding], *, organisation_id: int, reason: str, actor: Actor, now: datetime
) -> list[AcceptedFinding]:
    """Raises ReasonMissing, and FindingGone where there is none of them, or somebody was faster."""
    reason = reason.strip()[:300]
    chosen = list(findings)
    if not chosen:
        raise FindingGone("Nothing is chosen that is still found.")
    if not reason:
        raise ReasonMissing("Say why it can stay as it is: whoever looks next reads it.")
    rows = [
        AcceptedFinding(
            organisation_id=organisation_id, key=finding.key, facts=finding.facts[:300], reason=reason, accepted_at=now,
            **actor.columns("accepted_by"),
        )
        for finding in chosen
    ]  # fmt: skip
    with (
        violation_raises(
            {"accepted_finding_once": FindingGone("Somebody has accepted one of them meanwhile.")}
        ),
        transaction.atomic(),
    ):
        # Accepted before on other facts.
        for finding in chosen:
            AcceptedFinding.objects.filter(
                organisation=organisation_id, key=finding.key, reopened_at__isnull=True
            ).exclude(facts=finding.facts[:300]).update(reopened_at=now)
        return AcceptedFinding.objects.bulk_create(rows)


def reopen(*, accepted_id: int, now: datetime) -> None:
    """It comes up again, as long as it is found. Raises FindingGone where it was reopened already."""
    if not AcceptedFinding.objects.filter(pk=accepted_id, reopened_at__isnull=True).update(reopened_at=now):
        raise FindingGone("It is reopened already.")


def accepted_of(organisation_id: int) -> dict[tuple[str, str], AcceptedFinding]:
    """By key and facts."""
    rows = AcceptedFinding.objects.filter(organisation=organisation_id, reopened_at__isnull=True)
    return {(row.key, row.facts): row for row in rows}
