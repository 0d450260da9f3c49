"""A booking's records beside its quote: what is due, why it is not what was quoted, and what it has come to while it charges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bookings.billing.priced_visits import price_cancellation, price_session
from bookings.models import Booking, ChargeDetailRecord
from bookings.pages.price_parts import PriceParts, bill_parts, what_for
from bookings.pricing import currencies
from bookings.pricing.bills import Bill, BillLine
from bookings.pricing.tariff_content import Dimension, ElementUse
from bookings.rules import permissions
from depots.templatetags.berth import money

NOTHING = Decimal()


@dataclass(frozen=True)
class BookingBill:
    """One record that stands. `what` names it where a booking has several."""

    cdr: ChargeDetailRecord
    what: str
    price: PriceParts


@dataclass(frozen=True)
class BookingBills:
    """`quoted` and `total` with taxes, in `currency`; `reasons` are sentences, one for each difference."""

    bills: list[BookingBill]
    credited: list[ChargeDetailRecord]
    currency: str
    total: Decimal
    quoted: Decimal | None
    reasons: list[str]


def bills_of(booking: Booking) -> BookingBills | None:
    """None before there is a record; one query."""
    rows = list(booking.cdrs.select_related("credited_by").order_by("id"))
    if not rows:
        return None
    standing = [cdr for cdr in rows if not cdr.is_credit and not hasattr(cdr, "credited_by")]
    read = [Bill.from_json(cdr.bill) for cdr in standing]
    quote = Bill.from_json(booking.quote["bill"]) if "bill" in booking.quote else None
    currency, was_used = rows[0].currency, any(cdr.session_id is not None for cdr in standing)
    return BookingBills(
        bills=[
            BookingBill(cdr, cdr.get_kind_display(), bill_parts(bill, is_metered=cdr.session_id is not None))
            for cdr, bill in zip(standing, read, strict=True)
        ],
        credited=[cdr for cdr in rows if not cdr.is_credit and hasattr(cdr, "credited_by")],
        currency=currency,
        total=sum((cdr.before_taxes + cdr.taxes for cdr in standing), NOTHING),
        quoted=quote.total.after_taxes if quote is not None and quote.currency == currency else None,
        reasons=list(_reasons(quote, read))
        if was_used and quote is not None and quote.currency == currency
        else [],
    )


def running_cost(booking: Booking, *, now: datetime) -> PriceParts | None:
    """What the session under way would cost if it ended now, by the function that will bill it; None where none runs."""
    session = booking.session
    if not booking.is_ours or session is None or session.ended_at is not None:
        return None
    visit = price_session(session, now=now)
    return bill_parts(visit.bill, is_metered=True) if visit is not None else None


def cancellation_fee(booking: Booking, *, by: str, now: datetime) -> str:
    """What cancelling right now costs, with taxes; empty where it is free or cannot be done."""
    if not permissions.can_cancel(booking, by=by, now=now) or not booking.is_ours:
        return ""
    visit = (
        price_cancellation(booking, at=now)
        if permissions.is_late_to_cancel(booking, by=by, now=now)
        else None
    )
    total = visit.bill.total.after_taxes if visit is not None else NOTHING
    return money(total, visit.bill.currency) if visit is not None and total else ""


def _reasons(quote: Bill, bills: list[Bill]) -> Iterator[str]:
    """Heading by heading, before taxes."""
    expected, billed = _by_heading(quote.lines), _by_heading([line for bill in bills for line in bill.lines])
    for heading in dict.fromkeys([*expected, *billed]):
        before, after = expected.get(heading, _Sum()), billed.get(heading, _Sum())
        difference = currencies.rounded(after.amount - before.amount, quote.currency)
        if difference:
            sign = "more" if difference > 0 else "less"
            yield f"{_why(heading, before, after)}: {money(abs(difference), quote.currency)} {sign}."


@dataclass
class _Sum:
    amount: Decimal = NOTHING
    quantity: Decimal = NOTHING
    unit: str = ""


_Heading = tuple[ElementUse, Dimension | None]


def _by_heading(lines: list[BillLine] | tuple[BillLine, ...]) -> dict[_Heading, _Sum]:
    found: dict[_Heading, _Sum] = {}
    for line in lines:
        entry = found.setdefault((line.use, line.dimension), _Sum())
        entry.amount += line.cost.before_taxes
        entry.quantity += line.billed or NOTHING
        entry.unit = line.unit or ""
    return found


def _why(heading: _Heading, before: _Sum, after: _Sum) -> str:
    use, dimension = heading
    what = what_for(use, dimension)
    if not before.amount:
        return f"{what}, which was not expected"
    if not after.amount:
        return f"No {what[:1].lower()}{what[1:]}"
    if before.quantity == after.quantity or not after.unit:
        return f"{what} at another price"
    return (
        f"{what}: {_figure(after.quantity)} {after.unit} instead of {_figure(before.quantity)} {after.unit}"
    )


def _figure(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.1')):,f}"
