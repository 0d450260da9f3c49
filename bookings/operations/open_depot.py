from __future__ import annotations

from datetime import datetime

from django.db import transaction

from bookings.core import calendars
from bookings.core.locking import lock_depot
from depots.models import Agreement, Depot, Organisation


def open_depot(*, depot: Depot, guest: Organisation | None, now: datetime) -> tuple[Agreement, bool]:
    """The agreement in force and whether it is new. A guest of None opens to every fleet and registered partner.

    One that had ended is taken up again from now on, with its terms and tariff.
    """
    with transaction.atomic():
        lock_depot(depot.pk)
        agreement, is_new = Agreement.objects.get_or_create(
            depot=depot, guest=guest, defaults={"starts_at": now}
        )
        if not is_new and agreement.ends_at is not None and agreement.ends_at <= now:
            agreement.starts_at, agreement.ends_at, is_new = now, None, True
            agreement.save(update_fields=["starts_at", "ends_at"])
        if is_new:
            calendars.mark_depot_changed(depot.pk, at=now)
    return agreement, is_new
