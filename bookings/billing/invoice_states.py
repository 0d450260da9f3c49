"""What became of an invoice: open, overdue, reminded of or settled."""

from __future__ import annotations

from datetime import date

from django.db import models
from django.db.models import Case, Max, Q, QuerySet, Value, When

from bookings.billing.settlement import with_paid
from bookings.models import Invoice


class InvoiceState(models.TextChoices):
    OPEN = "open", "Open"
    OVERDUE = "overdue", "Overdue"
    REMINDED = "reminded", "Reminded"
    PAID = "paid", "Paid"


def with_state(rows: QuerySet[Invoice], *, today: date) -> QuerySet[Invoice]:
    """Each with `state`, `paid`, `still_due` and `level`, the last reminder that was sent. A credit note is open until what is
    left of it was paid back, and never overdue."""
    overdue = Q(due_on__lt=today, kind=Invoice.Kind.INVOICE)
    state = Case(
        When(settled_at__isnull=False, then=Value(InvoiceState.PAID)),
        When(overdue & Q(level__isnull=False), then=Value(InvoiceState.REMINDED)),
        When(overdue, then=Value(InvoiceState.OVERDUE)),
        default=Value(InvoiceState.OPEN),
        output_field=models.CharField(),
    )
    return with_paid(rows).annotate(level=_level()).annotate(state=state)


def _level() -> models.Subquery:
    from bookings.models import Reminder

    sent = Reminder.objects.filter(invoice=models.OuterRef("pk"), sent_at__isnull=False)
    return models.Subquery(sent.order_by().values("invoice").annotate(most=Max("level")).values("most"))
