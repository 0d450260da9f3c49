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

from bookings.actors import Actor
from bookings.models import Booking, BookingOption, BookingRequest
from bookings.operations import RemoteState, adopt_remote
from roaming import deviations
from roaming.mirror import places
from roaming.models import Delivery, Partner, PartnerObject
from roaming.ocpi.v2_3_0.bookings import reading, schemas
from roaming.ocpi.v2_3_0.bookings.emsp_mapping import Posted, is_older, received_at, state_in
from roaming.ocpi.wire import UnreadableError
from roaming.switches import switch

logger = structlog.get_logger(__name__)
BOOKING, BOOKING_LOCATION = "booking", "booking_location"
MOST_UNMATCHED, MOST_OFFERS = 500, 5_000


@dataclass(frozen=True)
class Adopted:
    """`booking` is ours that it is about, None for one we never asked for; `is_new`: the partner had not told of it."""

    booking: Booking | None
    is_new: bool


@dataclass(frozen=True)
class AdoptedOffer:
    option: BookingOption
    is_new: bool


def adopt(
    partner: Partner, raw: dict[str, Any], *, reason: str = "", answers: int | None = None, now: datetime
) -> Adopted:
    """Take over a Booking as a partner told it; what is older than known is dropped. Raises UnreadableError.

    `answers` is the ask to which it was the answer, when it did not come by itself.
    """
    told_as = reading.read_booking(raw, power_unit=str(switch(partner, "timeslot_power_unit")))
    told = told_as.value
    with transaction.atomic():
        kept, is_new = keep(partner, BOOKING, told.country_code, told.party_id, told.id, raw, now=now)
        if not is_new and _is_stale(kept, told):
            return Adopted(booking_of(partner, told.id, told.request_id), is_new=False)
        booking = booking_of(partner, told.id, told.request_id)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.is_unmatched = booking is None
        kept.save()
        if booking is not None:
            _take_over(booking, told, reason, answers, now)
        elif is_new:
            _forget_unmatched(partner)
    names = list(told_as.deviations)
    if booking is None and is_new:
        names.append("booking.never_asked_for")
        logger.warning("a partner told of a booking nobody asked for", partner=partner.pk, booking=told.id)
    deviations.count(partner, names)
    return Adopted(booking, is_new)


def adopt_offer(partner: Partner, raw: dict[str, Any], *, now: datetime) -> AdoptedOffer:
    """Take over a BookingLocation, as `adopt` does a Booking. Raises UnreadableError."""
    told_as = reading.read_booking_location(raw, power_unit=str(switch(partner, "timeslot_power_unit")))
    told = told_as.value
    with transaction.atomic():
        kept, is_new = keep(
            partner, BOOKING_LOCATION, told.country_code, told.party_id, told.id, raw, now=now
        )
        if is_new:
            _check_room(partner)
        option = places.option_of(partner, told.country_code, told.party_id, told.id)
        is_older = kept.last_updated is not None and told.last_updated < kept.last_updated
        if option is not None and is_older and not option.is_withdrawn:
            return AdoptedOffer(option, is_new=False)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.save()
        option = places.keep_booking_location(partner, told, now=now)
    deviations.count(partner, told_as.deviations)
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
    partner: Partner, country_code: str, party_id: str, any_id: str, *, lock: bool = False
) -> PartnerObject | None:
    """By the partner's id of it, else by our request_id: their paths carry either (ocpi.md §4, row 3)."""
    by_id = find_kept(partner, BOOKING, country_code, party_id, any_id, lock=lock)
    if by_id is not None:
        return by_id
    rows = PartnerObject.objects.filter(partner=partner, kind=BOOKING, raw__request_id__iexact=any_id)
    rows = rows.filter(country_code__iexact=country_code, party_id__iexact=party_id)
    return (rows.select_for_update(no_key=True) if lock else rows).first()


def booking_of(partner: Partner, remote_id: str, request_id: str) -> Booking | None:
    """Our booking at a depot of this partner, by its id, or by ours before it had one."""
    rows = Booking.objects.filter(route=Booking.Route.OUTBOUND, depot__operator=partner.organisation)
    rows = rows.select_related("depot", "option", "fleet")
    return (
        rows.filter(request_id__iexact=request_id).first() or rows.filter(remote_id__iexact=remote_id).first()
    )


def _take_over(
    booking: Booking, told: schemas.Booking, reason: str, answers: int | None, now: datetime
) -> None:
    def read(locked: Booking, ask: BookingRequest | None) -> RemoteState:
        return state_in(told, locked, ask, _posted(ask, answers) if ask else None, reason=reason)

    actor = Actor.partner(told.country_code, told.party_id)
    adopt_remote(booking_id=booking.pk, state=read, actor=actor, now=now)


def _posted(ask: BookingRequest, answers: int | None) -> Posted | None:
    """What the partner may have got of an ask (our_requests.py); None while it has got nothing."""
    row = Delivery.objects.filter(kind=Delivery.Kind.REQUEST, object_id=ask.pk).only("delivered").first()
    so_far = (row.delivered or {}) if row else {}
    if not so_far.get("posts") or "sent" not in so_far:
        return None
    return Posted(so_far["sent"], tuple(so_far.get("known", ())), is_answered=ask.pk == answers)


def known_entries(partner: Partner, booking: Booking) -> list[str]:
    """When the entries were received that a partner's history of a booking has by now (emsp_mapping.received_at)."""
    rows = PartnerObject.objects.filter(partner=partner, kind=BOOKING, key__iexact=booking.remote_id)
    for kept in rows if booking.remote_id else ():
        try:
            return received_at(reading.read_booking(kept.raw).value)
        except UnreadableError:
            continue
    return []


def _forget_unmatched(partner: Partner) -> None:
    """Of bookings nobody asked for the newest are kept: a partner could tell any number of them."""
    unmatched = PartnerObject.objects.filter(partner=partner, kind=BOOKING, is_unmatched=True)
    newest = unmatched.order_by("-received_at", "-pk").values_list("pk", flat=True)
    too_many = unmatched.filter(pk__in=list(newest[MOST_UNMATCHED : MOST_UNMATCHED * 2]))
    free = too_many.select_for_update(skip_locked=True).values_list("pk", flat=True)
    PartnerObject.objects.filter(pk__in=list(free)).delete()


def _check_room(partner: Partner) -> None:
    """Raises UnreadableError: every offer is rows of ours, withdrawn or not."""
    if PartnerObject.objects.filter(partner=partner, kind=BOOKING_LOCATION).count() > MOST_OFFERS:
        raise UnreadableError("", f"a partner may tell of {MOST_OFFERS} offers")


def _is_stale(kept: PartnerObject, told: schemas.Booking) -> bool:
    try:
        return is_older(told, reading.read_booking(kept.raw).value)
    except UnreadableError:
        return False
