"""What a partner tells of a booking, wherever it comes from: a push, the answer to our ask, or a list we fetched.

All of it ends here, so that order and repetition do not matter: an older state is dropped, the same one
changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from bookings.models import Booking, BookingOption, BookingRequest
from bookings.operations import adopt_remote
from roaming import deviations
from roaming.models import Partner, PartnerObject
from roaming.ocpi.v2_3_0 import mirroring, schemas
from roaming.ocpi.v2_3_0.fleet_mapping import is_older, state_in
from roaming.ocpi.v2_3_0.schemas import UnreadableError
from roaming.switches import switch

logger = structlog.get_logger(__name__)
BOOKING, BOOKING_LOCATION = "booking", "booking_location"


@dataclass(frozen=True)
class Adopted:
    """`booking` is ours that it is about, None for one we never asked for; `is_new`: the partner had not told of it."""

    booking: Booking | None
    is_new: bool


@dataclass(frozen=True)
class AdoptedOffer:
    option: BookingOption
    is_new: bool


def adopt(partner: Partner, raw: dict[str, Any], *, reason: str = "", now: datetime) -> Adopted:
    """Take over a Booking as a partner told it; what is older than known is dropped. Raises UnreadableError."""
    reading = schemas.read_booking(raw, power_unit=str(switch(partner, "timeslot_power_unit")))
    told = reading.value
    with transaction.atomic():
        kept, is_new = keep(partner, BOOKING, told.country_code, told.party_id, told.id, raw, now=now)
        if not is_new and _is_stale(kept, told):
            return Adopted(booking_of(partner, told.id, told.request_id), is_new=False)
        booking = booking_of(partner, told.id, told.request_id)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.is_unmatched = booking is None
        kept.save()
        if booking is not None:
            _take_over(booking, told, reason, now)
    names = list(reading.deviations)
    if booking is None and is_new:
        names.append("booking.never_asked_for")
        logger.warning("a partner told of a booking nobody asked for", partner=partner.pk, booking=told.id)
    deviations.count(partner, names)
    return Adopted(booking, is_new)


def adopt_offer(partner: Partner, raw: dict[str, Any], *, now: datetime) -> AdoptedOffer:
    """Take over a BookingLocation, as `adopt` does a Booking. Raises UnreadableError."""
    reading = schemas.read_booking_location(raw, power_unit=str(switch(partner, "timeslot_power_unit")))
    told = reading.value
    with transaction.atomic():
        kept, is_new = keep(
            partner, BOOKING_LOCATION, told.country_code, told.party_id, told.id, raw, now=now
        )
        option = mirroring.option_of(partner, told.country_code, told.party_id, told.id)
        is_older = kept.last_updated is not None and told.last_updated < kept.last_updated
        if option is not None and is_older and not option.is_withdrawn:
            return AdoptedOffer(option, is_new=False)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.save()
        option = mirroring.keep_booking_location(partner, told, raw, now=now)
    at_stub = ["booking_location.location_not_told"] if mirroring.is_stub(option.depot) else []
    deviations.count(partner, [*reading.deviations, *at_stub])
    return AdoptedOffer(option, is_new)


def keep(
    partner: Partner,
    kind: str,
    country_code: str,
    party_id: str,
    key: str,
    raw: dict[str, Any],
    *,
    now: datetime,
) -> tuple[PartnerObject, bool]:
    """The kept copy of a partner's object, locked, and whether it was made just now. Needs a transaction."""
    found = find_kept(partner, kind, country_code, party_id, key, lock=True)
    if found is not None:
        return found, False
    made = PartnerObject(
        partner=partner,
        kind=kind,
        country_code=country_code,
        party_id=party_id,
        key=key,
        raw=raw,
        received_at=now,
    )
    PartnerObject.objects.bulk_create([made], ignore_conflicts=True)
    found = find_kept(partner, kind, country_code, party_id, key, lock=True)
    assert found is not None  # made by us or by whoever was quicker
    return found, found.received_at == now and found.last_updated is None


def find_kept(
    partner: Partner, kind: str, country_code: str, party_id: str, key: str, *, lock: bool = False
) -> PartnerObject | None:
    rows = PartnerObject.objects.filter(
        partner=partner,
        kind=kind,
        country_code__iexact=country_code,
        party_id__iexact=party_id,
        key__iexact=key,
    )
    return (rows.select_for_update(no_key=True) if lock else rows).first()


def find_kept_booking(
    partner: Partner, country_code: str, party_id: str, any_id: str
) -> PartnerObject | None:
    """By the partner's id of it, else by our request_id: their paths carry either (ocpi.md §4, row 3)."""
    by_id = find_kept(partner, BOOKING, country_code, party_id, any_id)
    if by_id is not None:
        return by_id
    return (
        PartnerObject.objects.filter(partner=partner, kind=BOOKING, raw__request_id__iexact=any_id)
        .filter(country_code__iexact=country_code, party_id__iexact=party_id)
        .first()
    )


def booking_of(partner: Partner, remote_id: str, request_id: str) -> Booking | None:
    """Our booking at a depot of this partner, by its id, or by ours before it had one."""
    rows = Booking.objects.filter(route=Booking.Route.OUTBOUND, depot__operator=partner.organisation)
    rows = rows.select_related("depot", "option", "fleet")
    return (
        rows.filter(request_id__iexact=request_id).first() or rows.filter(remote_id__iexact=remote_id).first()
    )


def pending_ask(booking: Booking) -> BookingRequest | None:
    return booking.requests.filter(decision=BookingRequest.Decision.PENDING).first()


def _take_over(booking: Booking, told: schemas.Booking, reason: str, now: datetime) -> None:
    state = state_in(told, booking, pending_ask(booking), reason=reason)
    actor = f"partner {told.country_code.upper()}*{told.party_id.upper()}"
    adopt_remote(booking_id=booking.pk, state=state, actor=actor, now=now)


def _is_stale(kept: PartnerObject, told: schemas.Booking) -> bool:
    try:
        return is_older(told, schemas.read_booking(kept.raw).value)
    except UnreadableError:
        return False
