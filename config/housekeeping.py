"""What piles up and nobody asks for any more, cleared once a day."""

from datetime import UTC, datetime, time, timedelta

from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.db import transaction

# Long after the lock-out they serve has ended.
ATTEMPTS_KEPT = timedelta(days=1)
AT_ONCE = 1_000


def keep_house_if_ours(now: datetime) -> bool:
    """Have a job clear what people and systems were told long ago; True when this worker's turn was today's, which then also
    clears what `clear_some` does."""
    from bookings.models import SchedulerTick
    from bookings.tasks import forget_old_news

    today = datetime.combine(now.astimezone(UTC).date(), time(), tzinfo=UTC)
    SchedulerTick.objects.bulk_create(
        [SchedulerTick(name="housekeeping", at=today - timedelta(days=1))], ignore_conflicts=True
    )
    with transaction.atomic():
        if not SchedulerTick.objects.filter(name="housekeeping", at__lt=today).update(at=today):
            return False
        forget_old_news.send()
    return True


def clear_some(now: datetime) -> bool:
    """As many sessions that ran out, and tries to sign in that count no more, as are gone in a moment; whether more are left."""
    over = (
        Session.objects.filter(expire_date__lte=now),
        AccessAttempt.objects.filter(attempt_time__lte=now - ATTEMPTS_KEPT),
    )
    found = [list(rows.values_list("pk", flat=True)[:AT_ONCE]) for rows in over]
    for rows, keys in zip(over, found, strict=True):
        rows.filter(pk__in=keys).delete()
    return any(len(keys) == AT_ONCE for keys in found)
