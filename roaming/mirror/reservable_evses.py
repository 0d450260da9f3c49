"""EVSEs of a partner that keeps no bookings, as options of ours by best effort: RESERVE_NOW keeps a charger from now on only, so
it is sent shortly before (roaming/outbound/best_effort.py)."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.models import BookingOption, OfferedSlot, PartnerCommand, TermsOverride
from depots.models import Depot, Evse
from depots.periods import Period
from roaming.mirror.values import ToldPlace
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import folded
from roaming.switches import switch

# So far ahead can be asked; the partner's list of depots is read again every night.
AHEAD = timedelta(days=7)
TERMS = {
    "approval": True, "lead_min": 0, "horizon_days": 8, "turnaround_min": 0, "slot_step_min": 1, "min_duration_min": 1,
    "max_duration_min": 24 * 60, "early_start_min": 15, "late_stop_min": 0, "no_show_min": 15, "change_until_min": 0,
    "cancel_until_min": 0,
}  # fmt: skip


def is_best_effort(partner: Partner) -> bool:
    """Agreed by somebody here, and there is nothing better: it takes commands and keeps no bookings."""
    return (
        bool(switch(partner, "reserve_now"))
        and not partner.endpoint("Booking", "SENDER")
        and bool(dialect_of(partner).commands.url(partner, PartnerCommand.Kind.RESERVE))
    )


def keep_reservable(partner: Partner, depot: Depot, told: ToldPlace, *, now: datetime) -> None:
    """Each EVSE that the partner says can be reserved is an option; one that cannot any more is withdrawn. In the transaction
    that keeps the (locked) depot."""
    reservable = set(
        folded(*(evse.uid for evse in told.evses if evse.is_reservable and not evse.is_removed))
        if is_best_effort(partner)
        else ()
    )
    for evse in depot.evses.all():
        if evse.uid.upper() in reservable:
            _offer(depot, evse, now)
    known = BookingOption.objects.filter(depot=depot, is_best_effort=True, is_withdrawn=False)
    gone = [option.pk for option in known if option.code.upper() not in reservable]
    if not told.is_partial:
        BookingOption.objects.filter(pk__in=gone).update(is_withdrawn=True)


def withdraw(partner: Partner) -> None:
    """Nothing is asked of it by best effort any more; what is booked goes its way."""
    BookingOption.objects.filter(depot__operator=partner.organisation_id, is_best_effort=True).update(
        is_withdrawn=True
    )


def _offer(depot: Depot, evse: Evse, now: datetime) -> None:
    """An offer of the partner's own of that name stays the partner's."""
    option, _ = BookingOption.objects.get_or_create(
        depot=depot, code=evse.uid, defaults={"is_mirror": True, "is_best_effort": True}
    )
    if not option.is_best_effort:
        return
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    span = Period(today, today + AHEAD + timedelta(days=1))
    if not option.is_withdrawn and option.offered_slots.filter(period=span).exists():
        return
    option.is_withdrawn, option.calendar_at = False, now
    option.calendar_version += 1
    option.save()
    option.evses.set([evse])
    TermsOverride.objects.update_or_create(option=option, defaults=TERMS)
    option.offered_slots.all().delete()
    OfferedSlot.objects.create(
        option=option, calendar_id="RESERVE_NOW", period=span, max_power_w=evse.max_power_w
    )
