"""What a change of a booking will cost, said before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bookings import operations
from bookings.actors import Actor
from bookings.errors import BookingError
from bookings.models import Booking
from bookings.pages import wording
from bookings.pages.forms.bookings import ChangeForm
from bookings.pages.forms.fields import ShownPriceField
from bookings.pages.price_parts import PriceParts, estimated_parts
from depots.templatetags.berth import money


@dataclass(frozen=True)
class ChangePrice:
    """`shown` goes back with the form, and for which of its fields that was; empty where no new price is said. `parts` are of a
    new price."""

    words: str
    shown: str = ""
    shown_for: str = ""
    parts: PriceParts | None = None


def kept_price(booking: Booking) -> ChangePrice:
    """What it costs as it is."""
    if not booking.quote:
        return ChangePrice("")
    return ChangePrice(f"Now about {money(booking.quote['total'], booking.quote['currency'])}.")


def change_price(booking: Booking, form: ChangeForm, *, actor: Actor, now: datetime) -> ChangePrice:
    """Of a valid form; why it cannot be so where it cannot."""
    wishes = form.wishes()
    if not wishes:
        return kept_price(booking)
    try:
        quote = operations.price_of_change(booking, operations.ChangeRequest(**wishes), actor=actor, now=now)
    except BookingError as refusal:
        return ChangePrice(str(refusal))
    words = wording.price_change(booking.quote, quote)
    if not words and quote:
        words = f"{'The price stays about' if booking.quote else 'About'} {money(quote['total'], quote['currency'])}."
    elif not words:
        words = "No price is set then." if booking.quote else ""
    is_new = quote != booking.quote and "bill" in quote
    parts = estimated_parts(quote, booking.depot.zone) if is_new else None
    return ChangePrice(words, ShownPriceField.written(quote), form.priced_for, parts)
