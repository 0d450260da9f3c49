"""Asking a partner for a booking at its depot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bookings.actors import Actor
from bookings.core import lifecycle
from bookings.errors import DoesNotFit, NotOpenToYou
from bookings.models import Booking, BookingRequest, BookingStatus, BookingToken, OfferedSlot
from bookings.models.bookings import BEST_EFFORT
from bookings.operations import best_effort, request_log
from bookings.operations.booking_draft import filled, unsaved
from bookings.operations.slot_request import SlotRequest
from bookings.rules import fit, periods, quotes
from bookings.rules.energy_slots import partners_slot
from bookings.rules.entitlement import entitled, own_trailer, own_vehicle, refuse_groups
from bookings.rules.partner_prices import partners_power_w, partners_quote
from bookings.search.bookable import bookable_options, terms_for
from bookings.signals import partner_asked
from depots.models import Evse


@dataclass(frozen=True)
class PartnersDraft:
    """What a partner would be asked for: the request with all it says, the tokens, and the booking, unsaved."""

    asked: SlotRequest
    tokens: list[BookingToken]
    booking: Booking


def ask_partner(request: SlotRequest, *, actor: Actor, now: datetime) -> Booking:
    """A booking at a partner's depot occupies nothing here; it stays requested until the partner has answered.

    Raises a BookingError; its caller holds the transaction.
    """
    draft = drafted_ask(request, now=now)
    if request.option.is_best_effort:
        best_effort.take_elsewhere(request.option.pk, draft.asked.period)
    asked = draft.asked.asked(draft.tokens).to_json()
    ask = request_log.entry(BookingRequest.Kind.CREATE, asked, accepted=False, actor=actor, now=now)
    status = BookingStatus.REQUESTED
    booking = lifecycle.begin(draft.booking, status, tokens=draft.tokens, ask=ask, actor=actor, at=now)
    partner_asked.send(sender=BookingRequest, request=ask, at=now)
    return booking


def drafted_ask(request: SlotRequest, *, now: datetime) -> PartnersDraft:
    """Raises a BookingError for what would not even be asked."""
    option, fleet = request.option, request.fleet
    terms = replace(terms_for(option, fleet, now=now), approval=True)
    vehicle, trailer = own_vehicle(request.vehicle, fleet), own_trailer(request.trailer, fleet)
    asked = filled(replace(request, vehicle=vehicle, trailer=trailer))
    if not bookable_options(fleet, now=now).filter(pk=option.pk).exists():
        raise NotOpenToYou("This depot is not open to you.")
    tokens = entitled(request.tokens, asked.vehicle, fleet, request.party)
    refuse_groups(tokens)
    evse = request.evse or next(iter(option.evses.all()), None)
    slot = asked.energy_slot(terms, option.depot)
    if slot is not None:
        told = OfferedSlot.objects.filter(option=option, period__overlap=slot.longest)
        period, _ = partners_slot(slot, asked.must_fit, evse, told, wish_w=request.power_w)
        asked = replace(asked, period=period)
    periods.check_period(terms, option.depot, asked.period, now=now)
    if evse is not None and (misfits := fit.misfits(asked.must_fit, evse)):
        raise DoesNotFit(fit.sentence(misfits))
    booking = unsaved(asked, terms)
    if option.is_best_effort:
        booking.terms_json[BEST_EFFORT] = True
        booking.evse = evse
    booking.promised_power_w = request.power_w or _partners_power_w(asked, evse)
    quote = partners_quote(
        option, evse, asked.period,
        power_w=booking.promised_power_w, vehicle=request.vehicle, energy_wh=request.energy_wh, at=now,
    )  # fmt: skip
    quotes.keep(booking, quote)
    quotes.check_shown(request.shown_price, booking.quote)
    return PartnersDraft(asked, tokens, booking)


def _partners_power_w(asked: SlotRequest, evse: Evse | None) -> int:
    told = OfferedSlot.objects.filter(option=asked.option, period__overlap=asked.period)
    return partners_power_w(asked.must_fit, evse, told.values_list("max_power_w", flat=True))
