"""Pricing a partner's record again, by the tariffs and charging periods that it tells itself. A total may be another one, and is
never altered; a person is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bookings.models import ChargeDetailRecord, PriceCheck
from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import TariffContent
from bookings.pricing.visits import BookedSlot, BookingOutcome, SessionUse, Visit

Kind = ChargeDetailRecord.Kind
OUTCOMES = {
    Kind.SESSION: BookingOutcome.USED,
    Kind.NO_SHOW: BookingOutcome.NO_SHOW,
    Kind.CANCELLATION: BookingOutcome.CANCELLED,
}


def check_received(
    cdr: ChargeDetailRecord, tariffs: Sequence[TariffContent], use: SessionUse | None, *, now: datetime
) -> None:
    """Keep what its own tariffs make of it. Where they do not say all of it nothing is kept: that is no finding."""
    if cdr.is_credit:
        return
    try:
        bill = price_again(cdr, tariffs, use)
    except (ValueError, ArithmeticError):
        return
    if bill is not None and bill.currency == cdr.currency:
        total = bill.total
        PriceCheck.objects.create(cdr=cdr, before_taxes=total.before_taxes, taxes=total.tax, checked_at=now)


def price_again(
    cdr: ChargeDetailRecord, tariffs: Sequence[TariffContent], use: SessionUse | None
) -> Bill | None:
    """None where none is told, or several for the same part, or one for a booking that is not known here. Raises ValueError."""
    charging = [one for one in tariffs if not _is_of_bookings(one)]
    booked = [one for one in tariffs if _is_of_bookings(one)]
    slot = _slot(cdr) if booked else None
    if len(charging) > 1 or len(booked) > 1 or not tariffs or (booked and slot is None):
        return None
    if cdr.kind == Kind.SESSION and use is None:
        return None
    visit = Visit(use if cdr.kind == Kind.SESSION else None, slot)
    return price(visit, cdr.depot.zone, charging=next(iter(charging), None), booking=next(iter(booked), None))


def _is_of_bookings(content: TariffContent) -> bool:
    return any(element.use.is_of_bookings for element in content.elements)


def _slot(cdr: ChargeDetailRecord) -> BookedSlot | None:
    """The booked time is ours to know."""
    if cdr.booking is None or cdr.kind not in OUTCOMES:
        return None
    ended_at = cdr.ends_at if cdr.kind == Kind.SESSION else None
    late_stop = timedelta(minutes=cdr.booking.terms.late_stop_min)
    return BookedSlot(cdr.booking.period, OUTCOMES[Kind(cdr.kind)], ended_at, late_stop)
