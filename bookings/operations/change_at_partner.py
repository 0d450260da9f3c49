"""Asking a partner for a change of a booking at its depot."""

from __future__ import annotations

from typing import Any

from bookings.core import lifecycle
from bookings.core.versions import Aspect, groups_of
from bookings.errors import PartnerSilent
from bookings.models import Booking, BookingRequest
from bookings.operations import best_effort, change_plan, request_log
from bookings.operations.apply_change import Asker
from bookings.operations.change_plan import PlannedChange
from bookings.operations.change_request import ChangeRequest
from bookings.rules import energy_slots, quotes
from bookings.rules.partner_prices import partners_quote
from bookings.signals import partner_asked


def ask_partner_to_change(
    booking: Booking,
    request: ChangeRequest,
    change: PlannedChange,
    waiting: BookingRequest | None,
    asker: Asker,
) -> Booking:
    """It stays as it is until the partner has answered. Raises a BookingError; its caller holds the booking's lock."""
    change_plan.check(booking, change, asker.by, at=booking.depot, now=asker.now)
    if booking.is_best_effort:
        best_effort.take_elsewhere(booking.option_id, change.period, but=booking.pk)
    quote = quote_of_change(booking, change, asker)
    quotes.check_shown(request.shown_price, quote)
    return _ask(booking, request.asked(booking, change.tokens).to_json(), quote, waiting, asker)


def quote_of_change(booking: Booking, change: PlannedChange, asker: Asker) -> dict[str, Any]:
    """As `bid_for` at a depot of ours: another time, EVSE or power has a new price, of all of it."""
    if Aspect.PLACE not in change.aspects(booking, change.evse):
        return booking.quote
    watts = change.power_w if change.power_w is not None else booking.promised_power_w
    wh = energy_slots.energy_wh(change.energy_then(booking), change.vehicle)
    return partners_quote(
        booking.option, change.evse, change.period, power_w=watts, vehicle=change.vehicle, energy_wh=wh, at=asker.now,
    )  # fmt: skip


def _ask(
    booking: Booking,
    asked: dict[str, Any],
    quote: dict[str, Any],
    waiting: BookingRequest | None,
    asker: Asker,
) -> Booking:
    if waiting is not None and waiting.kind == BookingRequest.Kind.CANCEL:
        raise PartnerSilent("The partner has been asked to cancel it and has not answered yet.")
    actor, now = asker.actor, asker.now
    request_log.decline(booking, waiting, "Replaced by a later change.", actor=actor, now=now)
    detail = {"by": Booking.Side.FLEET, "groups": sorted(groups_of(asked)), "after": asked}
    if quote != booking.quote:
        detail["after"] = {**asked, "price": quotes.brief(quote)}
        asked |= {"quote": quote, "price": quotes.brief(quote)}
    request = request_log.log(
        booking, BookingRequest.Kind.CHANGE, asked, accepted=False, actor=actor, now=now
    )
    lifecycle.record(booking, kind="change_requested", actor=actor, at=now, detail=detail)
    partner_asked.send(sender=BookingRequest, request=request, at=now)
    return booking
