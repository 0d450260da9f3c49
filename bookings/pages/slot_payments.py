"""What the finder says of money before the promise: at a depot that it is asked for, of a slot how much, and what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bookings.models import PaymentTerms, PrepaidBalance
from bookings.pages.wording import local
from bookings.payments.providers import PREPAID, asks_before, label_of
from bookings.rules.quotes import Quote
from bookings.search.slots import SlotOffer, SlotSearch
from depots.templatetags.berth import duration, money


@dataclass(frozen=True)
class SlotPayments:
    """Of one page of slots. `available` is what the fleet's balances have, by operator and currency; they are read only where
    an agreement asks for something first."""

    available: Mapping[tuple[int, str], Decimal]
    now: datetime

    @classmethod
    def of(cls, offers: Iterable[SlotOffer], search: SlotSearch) -> SlotPayments:
        asked = [(offer, terms) for offer in offers if (terms := _terms(offer))]
        operators = {offer.option.depot.operator_id for offer, terms in asked if terms.provider == PREPAID}
        if not operators:
            return cls({}, search.now)
        rows = PrepaidBalance.objects.filter(operator__in=operators, customer=search.fleet)
        found = rows.values_list("operator", "currency", "available")
        return cls({(operator, currency): free for operator, currency, free in found}, search.now)

    def at_depot(self, offers: Iterable[SlotOffer]) -> str:
        """A sentence for the slots of one depot; empty where none of them asks for something first."""
        asked = ((offer, terms, offer.quote) for offer in offers if (terms := _terms(offer)))
        offer, terms, quote = next(asked, (None, None, None))
        if offer is None or terms is None or quote is None:
            return ""
        what = "guarantee" if terms.before == PaymentTerms.Before.GUARANTEE else "prepayment"
        wait = f"Until that is there the slot is only kept, for at most {duration(timedelta(minutes=terms.payment_min))}."
        if terms.provider != PREPAID:
            return f"A {what} is asked for first, through {label_of(terms.provider)}. {wait}"
        free = money(self._available(offer, quote), quote.currency)
        where = f"your prepaid balance with {offer.option.depot.operator.name}, which has {free}"
        return f"A {what} is reserved first, from {where}. {wait}"

    def words(self, offer: SlotOffer) -> str:
        """What booking this slot reserves and leaves, or what is missing and until when it is kept for that."""
        terms, quote = _terms(offer), offer.quote
        if terms is None or quote is None:
            return ""
        until = min(self.now + timedelta(minutes=terms.payment_min), offer.period.starts_at)
        kept = f"kept until {local(until, offer.period, offer.option.depot)}"
        if terms.provider != PREPAID:
            return f"to be paid first, {kept}"
        left, total = self._available(offer, quote) - quote.total, money(quote.total, quote.currency)
        if left >= 0:
            return f"reserves {total}, leaves {money(left, quote.currency)}"
        lacks = money(-left, quote.currency)
        if until <= self.now:
            return f"needs a top-up of {lacks} first"
        return f"needs a top-up of {lacks}, {kept}"

    def is_waited_for(self, offer: SlotOffer) -> bool:
        """Whether the slot would be asked for, and not booked at once."""
        terms, quote = _terms(offer), offer.quote
        if terms is None or quote is None:
            return False
        return terms.provider != PREPAID or self._available(offer, quote) < quote.total

    def _available(self, offer: SlotOffer, quote: Quote) -> Decimal:
        return self.available.get((offer.option.depot.operator_id, quote.currency), Decimal(0))


def _terms(offer: SlotOffer) -> PaymentTerms | None:
    """None where nothing is asked for first: also of what costs nothing, and of what is not free."""
    is_asked = offer.payment_terms is not None and offer.is_free and asks_before(offer.payment_terms)
    return offer.payment_terms if is_asked and offer.quote is not None and offer.quote.total > 0 else None
