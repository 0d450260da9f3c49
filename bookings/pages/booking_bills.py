"""A booking's records beside its quote: what is due, why it is not what was quoted, and what it has come to while it charges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bookings.billing.flags import sentence
from bookings.billing.priced_visits import price_cancellation, price_session, price_stay
from bookings.models import Booking, ChargeDetailRecord
from bookings.pages.price_parts import PriceParts, bill_parts, what_for
from bookings.pricing.bills import Bill, BillLine
from bookings.pricing.tariff_content import Dimension, ElementUse
from bookings.rules import permissions, power_shortage
from depots import currencies
from depots.models import ChargingSession
from depots.operations import FLAGS as SESSION_FLAGS
from depots.templatetags.berth import money

NOTHING = Decimal()


@dataclass(frozen=True)
class BookingBill:
    """One record that stands. `what` names it where a booking has several."""

    cdr: ChargeDetailRecord
    what: str
    price: PriceParts

    @property
    def notes(self) -> list[str]:
        """What is odd about the record beyond its session, which the page says beside what was charged."""
        return [sentence(flag) for flag in self.cdr.flags if flag not in SESSION_FLAGS]


@dataclass(frozen=True)
class Comparison:
    """A heading, the taxes or the total, as it was quoted and as it is billed; whole cents."""

    what: str
    quoted: Decimal
    billed: Decimal

    @property
    def difference(self) -> Decimal:
        return self.billed - self.quoted


@dataclass(frozen=True)
class BookingBills:
    """`quoted` and `total` with taxes, in `currency`; `reasons` are sentences, one for each difference.

    `compared` are the headings before taxes, then taxes; without a quote in this currency it is empty."""

    bills: list[BookingBill]
    credited: list[ChargeDetailRecord]
    currency: str
    total: Decimal
    quoted: Decimal | None
    reasons: list[str]
    compared: list[Comparison]

    @property
    def whole(self) -> Comparison:
        return Comparison("Total", self.quoted or NOTHING, self.total)


def bills_of(booking: Booking) -> BookingBills | None:
    """None before there is a record; one query."""
    rows = list(booking.cdrs.select_related("credited_by").order_by("id"))
    if not rows:
        return None
    standing = [cdr for cdr in rows if not cdr.is_credit and not hasattr(cdr, "credited_by")]
    read = [Bill.from_json(cdr.bill) for cdr in standing]
    currency = rows[0].currency
    quote = Bill.from_json(booking.quote["bill"]) if "bill" in booking.quote else None
    if quote is not None and quote.currency != currency:
        quote = None
    is_explained = quote is not None and bool(standing)
    return BookingBills(
        bills=[
            BookingBill(cdr, cdr.kind_words, bill_parts(bill, is_metered=cdr.is_of_charging))
            for cdr, bill in zip(standing, read, strict=True)
        ],
        credited=[cdr for cdr in rows if not cdr.is_credit and hasattr(cdr, "credited_by")],
        currency=currency,
        total=sum((cdr.before_taxes + cdr.taxes for cdr in standing), NOTHING),
        quoted=quote.total.after_taxes if quote is not None else None,
        reasons=list(_reasons(quote, read, _not_used(standing))) if quote and is_explained else [],
        compared=list(_compared(quote, read)) if quote and is_explained else [],
    )


def running_cost(booking: Booking, session: ChargingSession | None, *, now: datetime) -> PriceParts | None:
    """What the booking would cost if the session that uses it ended now, by the functions that will bill it; None where none
    runs. Of a session that began in the booking before only the slot is this one's."""
    if session is None:
        return None
    is_own = session.pk == booking.session_id
    visit = price_session(session, now=now) if is_own else price_stay(booking, session, now=now)
    return bill_parts(visit.bill, is_metered=is_own) if visit is not None else None


def cancellation_fee(booking: Booking, *, by: str, now: datetime) -> str:
    """What cancelling right now costs, with taxes; empty where it is free, also by a waiver, or cannot be done."""
    if not permissions.can_cancel(booking, by=by, now=now) or not booking.is_ours:
        return ""
    visit = (
        price_cancellation(booking, at=now)
        if permissions.is_late_to_cancel(booking, by=by, now=now)
        else None
    )
    total = visit.bill.total.after_taxes if visit is not None else NOTHING
    if visit is None or not total or any(power_shortage.announced(booking, booking.period)):
        return ""
    return money(total, visit.bill.currency)


def _not_used(standing: list[ChargeDetailRecord]) -> str:
    """Why what was quoted did not take place; empty where it did."""
    if any(cdr.is_of_charging for cdr in standing):
        return ""
    if any(cdr.kind == ChargeDetailRecord.Kind.STAY for cdr in standing):
        return "what was charged is in the record of the booking before"
    if any(cdr.is_of_reservation_alone for cdr in standing):
        return "no session followed on the reservation"
    is_no_show = any(cdr.kind == ChargeDetailRecord.Kind.NO_SHOW for cdr in standing)
    return "the vehicle did not come" if is_no_show else "it was cancelled after its deadline"


def _reasons(quote: Bill, bills: list[Bill], not_used: str) -> Iterator[str]:
    """Heading by heading, before taxes."""
    for (heading, before, after), quoted, billed in _written(quote, bills):
        if difference := billed - quoted:
            sign = "more" if difference > 0 else "less"
            why = _why(heading, before, after, not_used)
            yield f"{why}: {money(abs(difference), quote.currency)} {sign}."


def _compared(quote: Bill, bills: list[Bill]) -> Iterator[Comparison]:
    for (heading, _, _), quoted, billed in _written(quote, bills):
        if quoted or billed:
            yield Comparison(what_for(*heading), quoted, billed)
    quoted, billed = _taxes(quote), sum((_taxes(bill) for bill in bills), NOTHING)
    if quoted or billed:
        yield Comparison("Taxes", quoted, billed)


def _taxes(bill: Bill) -> Decimal:
    return bill.total.after_taxes - bill.total.before_taxes


def _written(
    quote: Bill, bills: list[Bill]
) -> Iterator[tuple[tuple[_Heading, _Sum, _Sum], Decimal, Decimal]]:
    """Each heading with its amounts as they are written: they add up to what was quoted and what is billed."""
    headings = list(_headings(quote, bills))
    net = sum((bill.total.before_taxes for bill in bills), NOTHING)
    quoted = currencies.rounded_to(
        quote.total.before_taxes, [before.amount for _, before, _ in headings], quote.currency
    )
    billed = currencies.rounded_to(net, [after.amount for _, _, after in headings], quote.currency)
    yield from zip(headings, quoted, billed, strict=True)


def _headings(quote: Bill, bills: list[Bill]) -> Iterator[tuple[_Heading, _Sum, _Sum]]:
    """With what was quoted under it and what is billed."""
    expected, billed = _by_heading(quote.lines), _by_heading([line for bill in bills for line in bill.lines])
    for heading in dict.fromkeys([*expected, *billed]):
        yield heading, expected.get(heading, _Sum()), billed.get(heading, _Sum())


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


def _why(heading: _Heading, before: _Sum, after: _Sum, not_used: str) -> str:
    use, dimension = heading
    what = what_for(use, dimension)
    if not before.amount:
        return f"{what}, as {not_used}" if not_used else f"{what}, which was not expected"
    if not after.amount:
        no_such = f"No {what[:1].lower()}{what[1:]}"
        return f"{no_such}, as {not_used}" if not_used else no_such
    if before.quantity == after.quantity or not after.unit:
        return f"{what} at another price"
    return (
        f"{what}: {_figure(after.quantity)} {after.unit} instead of {_figure(before.quantity)} {after.unit}"
    )


def _figure(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.1')):,f}"
