"""What a partner tells of its offers and of our bookings, wherever it comes from: a push, an answer, or a list we fetched.

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
from roaming.hubs.clients import hub_party
from roaming.mirror import partner_offers
from roaming.mirror.kept_objects import BOOKING, BOOKING_LOCATION, forget_unmatched, keep
from roaming.mirror.partner_places import depot_code, owner_of_mirror
from roaming.mirror.request_answers import Posted, is_older, received_at, state_of
from roaming.mirror.values import ToldBooking, ToldOffer
from roaming.models import Delivery, Partner, PartnerObject
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import Read, UnreadableError

logger = structlog.get_logger(__name__)
MOST_OFFERS = 5_000


@dataclass(frozen=True)
class Adopted:
    """`booking` is ours that it is about, None for one we never asked for; `is_new`: the partner had not told of it."""

    booking: Booking | None
    is_new: bool


@dataclass(frozen=True)
class AdoptedOffer:
    option: BookingOption
    is_new: bool


def adopt_booking(
    partner: Partner,
    read: Read[ToldBooking],
    raw: dict[str, Any],
    *,
    reason: str = "",
    answers: int | None = None,
    now: datetime,
) -> Adopted:
    """Take over a booking as a partner told it, with the message itself; what is older than known is dropped.

    `answers` is the request to which it was the answer, when it did not come by itself.
    """
    told = read.value
    with transaction.atomic():
        kept, is_new = keep(partner, BOOKING, (told.country_code, told.party_id), told.id, raw, now=now)
        booking = booking_of(partner, told)
        if not is_new and _is_stale(partner, kept, told):
            return Adopted(booking, is_new=False)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.is_unmatched = booking is None
        kept.save()
        if booking is not None:
            _take_over(partner, booking, told, reason, answers, now)
        elif is_new:
            forget_unmatched(partner, BOOKING)
    names = list(read.deviations)
    if booking is None and is_new:
        names.append("booking.never_asked_for")
        logger.warning("a partner told of a booking nobody asked for", partner=partner.pk, booking=told.id)
    deviations.count(partner, names)
    return Adopted(booking, is_new)


def adopt_offer(
    partner: Partner, read: Read[ToldOffer], raw: dict[str, Any], *, now: datetime
) -> AdoptedOffer:
    """Take over an offer, as `adopt_booking` does a booking. Raises UnreadableError."""
    told = read.value
    owner = (told.country_code, told.party_id)
    with transaction.atomic():
        kept, is_new = keep(partner, BOOKING_LOCATION, owner, told.code, raw, now=now)
        if is_new:
            _check_room(partner)
        option = partner_offers.option_of(partner, *owner, told.code)
        is_old = kept.last_updated is not None and told.last_updated < kept.last_updated
        if option is not None and is_old and not (option.is_withdrawn and _is_offered(partner, kept)):
            return AdoptedOffer(option, is_new=False)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.save()
        option = partner_offers.keep_offer(partner, told, now=now)
    deviations.count(partner, read.deviations)
    return AdoptedOffer(option, is_new)


def booking_of(partner: Partner, told: ToldBooking) -> Booking | None:
    """Our booking at a depot of this partner, by our id of it, else by that of the party that tells of it; behind a hub a party
    tells of those at its own depots alone."""
    rows = Booking.objects.filter(route=Booking.Route.OUTBOUND, depot__operator=partner.organisation)
    rows = rows.select_related("depot", "option", "fleet")
    of_party = rows.filter(depot__code__istartswith=depot_code(told.country_code, told.party_id, ""))
    asked = of_party if hub_party(partner) else rows
    return (
        asked.filter(request_id__iexact=told.request_id).first()
        or of_party.filter(remote_id__iexact=told.id).first()
    )


def known_entries(partner: Partner, booking: Booking) -> list[str]:
    """When the entries were received that a partner's history of a booking has by now (answers.received_at)."""
    country_code, party_id = owner_of_mirror(booking.depot)
    rows = PartnerObject.objects.filter(
        partner=partner, kind=BOOKING, country_code__iexact=country_code, party_id__iexact=party_id,
        key__iexact=booking.remote_id,
    )  # fmt: skip
    for kept in rows if booking.remote_id else ():
        try:
            return received_at(dialect_of(partner).bookings.read(partner, kept.raw).value)
        except UnreadableError:
            continue
    return []


def _take_over(
    partner: Partner,
    booking: Booking,
    told: ToldBooking,
    reason: str,
    answers: int | None,
    now: datetime,
) -> None:
    def read(locked: Booking, request: BookingRequest | None) -> RemoteState:
        posted = _posted(partner, request, answers) if request else None
        return state_of(told, locked, request, posted, reason=reason)

    actor = Actor.partner(told.country_code, told.party_id)
    adopt_remote(booking_id=booking.pk, state=read, actor=actor, now=now)


def _posted(partner: Partner, request: BookingRequest, answers: int | None) -> Posted | None:
    """What the partner may have got of a request (our_requests.py); None while it has got nothing."""
    row = Delivery.objects.filter(kind=Delivery.Kind.REQUEST, object_id=request.pk).only("delivered").first()
    so_far = (row.delivered or {}) if row else {}
    if row is None or not row.may_have_arrived or "sent" not in so_far:
        return None
    sent = dialect_of(partner).bookings.read_request(so_far["sent"])
    return Posted(sent, tuple(so_far.get("known", ())), is_answered=request.pk == answers)


def was_left_out(partner: Partner, kept: PartnerObject) -> bool:
    """Whether a complete read of the partner's list did not find an offer that is kept for what comes late."""
    option = partner_offers.option_of(partner, kept.country_code, kept.party_id, kept.key)
    return option is not None and option.is_withdrawn and _is_offered(partner, kept)


def _is_offered(partner: Partner, kept: PartnerObject) -> bool:
    """Whether the partner's last word of an offer was that it is one: withdrawn, it was missing in a list of theirs."""
    try:
        return not dialect_of(partner).bookings.read_offer(partner, kept.raw).value.is_removed
    except UnreadableError:
        return True


def _check_room(partner: Partner) -> None:
    """Raises UnreadableError: every offer is rows of ours, withdrawn or not."""
    if PartnerObject.objects.filter(partner=partner, kind=BOOKING_LOCATION).count() > MOST_OFFERS:
        raise UnreadableError("", f"a partner may tell of {MOST_OFFERS} offers")


def _is_stale(partner: Partner, kept: PartnerObject, told: ToldBooking) -> bool:
    try:
        return is_older(told, dialect_of(partner).bookings.read(partner, kept.raw).value)
    except UnreadableError:
        return False
