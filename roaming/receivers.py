"""What partners must hear of. Receivers run in the transaction of the change: they write rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.dispatch import receiver

from bookings.models import Booking, BookingStatus
from bookings.signals import booking_changed, calendars_raised
from roaming.models import Delivery, Partner
from roaming.outbound import fan_out
from roaming.registration import wake_sender

NEVER_SENT = {BookingStatus.HELD, BookingStatus.EXPIRED}


@receiver(booking_changed, dispatch_uid="roaming.booking_changed")
def deliver_booking(booking: Booking, at: datetime, **_: Any) -> None:
    """Its own partner, and nobody else, is to have the booking as it is now."""
    if booking.route != Booking.Route.INBOUND or booking.status in NEVER_SENT:
        return
    partner = Partner.objects.filter(organisation=booking.fleet_id).only("pk").first()
    if partner is None:
        return
    wish = Delivery.objects.filter(partner=partner, kind=Delivery.Kind.BOOKING, object_id=booking.pk)
    behind = Q(wanted_version__lt=booking.version)
    raised = wish.filter(behind).update(
        wanted_version=Greatest(F("wanted_version"), booking.version), next_try_at=at
    )
    if not raised:
        Delivery.objects.bulk_create(
            [
                Delivery(
                    partner=partner,
                    kind=Delivery.Kind.BOOKING,
                    object_id=booking.pk,
                    wanted_version=booking.version,
                    next_try_at=at,
                )
            ],
            ignore_conflicts=True,
        )
    wake_sender()


@receiver(calendars_raised, dispatch_uid="roaming.calendars_raised")
def deliver_calendars(option_ids: list[int], at: datetime, **_: Any) -> None:
    """In the tick that raised them, never in a booking: it must not wait for three hundred partners' rows."""
    fan_out.want(option_ids, now=at)
