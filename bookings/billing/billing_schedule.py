"""Months billed by the clock: an operator's day comes, and a job bills the month before and what is open of earlier ones.

The tick leaves a row and a job in one transaction; the job may die and may run twice, since what is billed is billed. One that
has not come to its end within an hour is asked for again.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from bookings.actors import SCHEDULER
from bookings.billing.errors import ParticularsMissing
from bookings.billing.months import Month
from bookings.billing.open_months import open_months
from bookings.billing.run import bill
from bookings.billing.unbilled import MonthOfOperator
from bookings.models import ScheduledBilling
from bookings.signals import billing_due
from depots.models import Organisation

logger = logging.getLogger(__name__)
ASKED_AGAIN_AFTER = timedelta(hours=1)


def ask_due(*, now: datetime) -> int:
    """Ask for the billing of every operator whose day has come; gives of how many. Days are those of UTC, and wait until the
    month is over at every depot."""
    today = now.date()
    month = Month.of(today).previous
    asked = ScheduledBilling.objects.filter(
        Q(finished_at__isnull=False) | Q(asked_at__gt=now - ASKED_AGAIN_AFTER),
        operator=OuterRef("pk"),
        month=month.first_day,
    )
    due = Organisation.objects.filter(~Exists(asked), billing_day__lte=today.day).order_by("pk")
    over = [operator for operator in due if MonthOfOperator(operator.pk, month).ends_at <= now]
    for operator in over:
        _ask(operator, month, now)
    return len(over)


def _ask(operator: Organisation, month: Month, now: datetime) -> None:
    with transaction.atomic():
        row, _ = ScheduledBilling.objects.update_or_create(
            operator=operator, month=month.first_day, defaults={"asked_at": now}
        )
        billing_due.send(sender=ScheduledBilling, billing=row, at=now)


def bill_scheduled(*, billing_id: int, now: datetime) -> None:
    """The month, and earlier ones of which something is open, each a run of its own. What is missing of the operator is said on
    its page, as who was left out is; both are billed with the next month, or by hand."""
    row = ScheduledBilling.objects.select_related("operator").get(pk=billing_id)
    if row.finished_at is not None:
        return
    last = Month.of(row.month)
    months = {one.month for one in open_months([row.operator_id], now=now) if one.month <= last}
    for month in sorted(months):
        try:
            bill(operator=row.operator, month=month, actor=SCHEDULER, now=now)
        except ParticularsMissing as refusal:
            logger.warning("%s was not billed for %s: %s", row.operator, month, refusal)
            break
    ScheduledBilling.objects.filter(pk=row.pk).update(finished_at=now)
