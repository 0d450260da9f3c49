"""Opening a depot to others: under which agreement a fleet or partner may book there."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from bookings.core.calendars import mark_changed
from bookings.core.locking import lock_depot
from depots.models import Agreement, Depot, Organisation
from depots.parties import EVERYBODY, organisation_called


def guest_called(text: str) -> Organisation | None:
    """Whom a depot is opened to; None for everybody ("all"). Raises UnknownOrganisationError."""
    return None if text.strip().lower() == EVERYBODY else organisation_called(text)


def guests_admit(depot: Depot, organisation_ids: Collection[int], *, now: datetime) -> bool:
    """May one of these organisations book at the depot as a guest? An agreement without a guest admits everybody."""
    if not organisation_ids:
        return False
    in_force = Q(ends_at__isnull=True) | Q(ends_at__gt=now)
    guest = Q(guest__in=organisation_ids) | Q(guest__isnull=True)
    return Agreement.objects.filter(in_force, guest, depot=depot, starts_at__lte=now).exists()


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
            mark_changed(list(depot.evses.values_list("pk", flat=True)), at=now)
    return agreement, is_new
