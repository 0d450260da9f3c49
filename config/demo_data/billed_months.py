"""Two months that are over: what was odd about some of their bookings, and what accountants made of it.

Told once, when the demo is made: each event at the moment it would have happened, by the operation that a person calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import NamedTuple

from bookings.actors import Actor
from bookings.billing import delivery, disputes, reminders
from bookings.billing.months import Month
from bookings.billing.run import bill
from bookings.billing.settlement import record_payment, still_due
from bookings.models import ChargeDetailRecord, Invoice, Payment, Reminder
from config.demo_data import incoming_invoices
from config.demo_data.diary import DEPOTS, Planned, Story, request_id
from config.demo_data.fleets import ALPENTRANS, BALTCARGO, LADEPARK, NORDFRACHT, PARTICULARS, Firm
from config.demo_data.replay import Happening, History
from depots.models import Evse, Organisation
from depots.periods import Period
from depots.wall_clock import in_zone

OPERATORS = (NORDFRACHT, LADEPARK)
# By the fifteenth invoices of the month before are due; some days past that, two weeks and four customers are reminded.
REMINDED_ON = (19, 30, 44)
# After the stops of the diary, when nobody else is there.
EVENING = time(20, 30)


class Tale(NamedTuple):
    """A booking of note: in which month back (2 or 1), on which of its days, and how it went."""

    months_back: int
    day: int
    firm: Firm
    plate: str
    depot_code: str
    option: str
    story: Story


FEE_DISPUTED = Tale(2, 9, BALTCARGO, "BLC 501", "LP-VEN", "VEN-01-1", Story.NO_SHOW)
OVERTIME_DISPUTED = Tale(2, 12, ALPENTRANS, "L-AT 110", "LP-VEN", "VEN-02-2", Story.OVERSTAYED)
FEE_LET_GO = Tale(1, 6, ALPENTRANS, "L-AT 120", "NF-HAM", "HAM-1-2", Story.NO_SHOW)
PARKING_DISPUTED = Tale(1, 17, BALTCARGO, "BLC 502", "LP-VEN", "VEN-03-1", Story.PARKED)
TALES = (
    FEE_DISPUTED,
    OVERTIME_DISPUTED,
    Tale(2, 16, NORDFRACHT, "HH-NF 310", "LP-VNO", "VNO-1-1", Story.UNMETERED),
    Tale(2, 20, NORDFRACHT, "HH-NF 320", "LP-VEN", "VEN-01-2", Story.PARKED),
    FEE_LET_GO,
    Tale(1, 10, BALTCARGO, "BLC 503", "NF-HAM", "HAM-2-2", Story.DEAD_CHARGER),
    Tale(1, 12, NORDFRACHT, "HH-NF 310", "LP-LIS", "LIS-1-1", Story.OVERSTAYED),
    PARKING_DISPUTED,
    Tale(1, 19, ALPENTRANS, "L-AT 110", "NF-HAM", "HAM-1-1", Story.UNMETERED),
)


class WalkIn(NamedTuple):
    """A card that came without a booking."""

    months_back: int
    day: int
    uid: str
    evse_uid: str


WALK_INS = (
    WalkIn(2, 14, "04C0FFEE0130", "VEN-02-1"),
    WalkIn(2, 24, "04BA17C00503", "LIS-2-1"),
    WalkIn(1, 8, "04BA17C00501", "HAM-1-1"),
    WalkIn(1, 22, "04A1B2C3D330", "VNO-2-1"),
)


def tales(today: date) -> list[Planned]:
    return [_planned(tale, today) for tale in TALES]


def tell_of_months(history: History, today: date) -> None:
    """What else happened in them, and what was billed, paid and disputed."""
    ledger = _Ledger(history.now, today)
    for at, act in sorted(ledger.events(), key=lambda event: event[0]):
        history.plan(at, _nothing_follows(act))
    for walk_in in WALK_INS:
        _plan_walk_in(history, walk_in, today)


def _planned(tale: Tale, today: date) -> Planned:
    depot = next(depot for depot in DEPOTS if depot.code == tale.depot_code)
    on = _month_back(today, tale.months_back).first_day + timedelta(days=tale.day - 1)
    start = in_zone(datetime.combine(on, EVENING), depot.zone)
    minutes = 150 if tale.story == Story.PARKED else 90
    period = Period(start, start + timedelta(minutes=minutes))
    made_at = start - timedelta(hours=20)
    return Planned(_key(tale), tale.firm, tale.plate, depot, tale.option, period, made_at, tale.story, 0.4)


def _key(tale: Tale) -> str:
    return request_id(f"{tale.plate}, {tale.story}, {tale.months_back} months back")


def _plan_walk_in(history: History, walk_in: WalkIn, today: date) -> None:
    evse = Evse.objects.get(uid=walk_in.evse_uid)
    on = _month_back(today, walk_in.months_back).first_day + timedelta(days=walk_in.day - 1)
    start = datetime.combine(on, time(21, 20), UTC)

    def begin(at: datetime) -> list[tuple[datetime, Happening]]:
        return history.let_charge(evse, walk_in.uid, at, for_time=timedelta(minutes=45))

    history.plan(start, begin)


@dataclass(frozen=True)
class _Ledger:
    """What accountants and managers did about the two months before a day, each at its moment."""

    now: datetime
    today: date

    def events(self) -> Iterator[tuple[datetime, Callable[[datetime], None]]]:
        """A month is billed in the morning after it; all of it is over by now, whatever day it is."""
        last, current = self._month(1), self._month(0)
        yield self._on(last, 1), self._bill(self._month(2))
        yield (
            self._on(last, 3),
            self._dispute(FEE_DISPUTED, "Our driver stood at the gate, which did not open."),
        )
        yield (
            self._on(last, 4),
            self._dispute(OVERTIME_DISPUTED, "He could not leave: the way out was blocked.", line=-1),
        )
        yield self._on(last, 5), self._answer(FEE_DISPUTED, "The gate's log says so too.", accepts=True)
        yield (
            self._on(last, 6),
            self._answer(
                OVERTIME_DISPUTED, "The gate's log shows that others left at that time.", accepts=False
            ),
        )
        yield self._on(last, 7), self._bill(self._month(2))
        yield self._on(last, 8), self._let_go
        yield self._on(last, 11), self._pay
        for month in (last, current):
            for day in REMINDED_ON:
                yield self._on(month, day), self._remind
        yield self._on(last, 20), self._dispute(PARKING_DISPUTED, "It asked for power all the time.", line=-1)
        yield min(self._on(current, 1), self.now), self._bill(last, but=incoming_invoices.BY_HAND)
        yield min(self._on(current, 2), self.now), partial(incoming_invoices.receive_file, last)
        yield min(self._on(current, 3), self.now), partial(incoming_invoices.receive_letter, last)

    def _bill(self, month: Month, *, but: tuple[Firm, ...] = ()) -> Callable[[datetime], None]:
        """Everybody; `but` is an operator and a customer whose address was not entered when it billed."""

        def act(at: datetime) -> None:
            for firm in OPERATORS:
                with _without_address(but[1:] if firm in but[:1] else ()):
                    run = bill(operator=_organisation(firm), month=month, actor=_accountant(firm), now=at)
                for document in run.documents:
                    delivery.send_invoice(invoice_id=document.invoice.pk, now=at)

        return act

    def _dispute(self, tale: Tale, reason: str, line: int | None = None) -> Callable[[datetime], None]:
        """`line` counts from the end where it is below zero."""

        def act(at: datetime) -> None:
            cdr = _record(tale)
            number = len(cdr.bill["lines"]) + line if line is not None else None
            disputes.raise_dispute(
                cdr_id=cdr.pk, line=number, reason=reason, actor=_dispatcher(tale.firm), now=at
            )

        return act

    def _answer(self, tale: Tale, answer: str, *, accepts: bool) -> Callable[[datetime], None]:
        def act(at: datetime) -> None:
            dispute = _record(tale).disputes.get()
            disputes.answer_dispute(
                dispute_id=dispute.pk, accepts=accepts, answer=answer, actor=_manager(tale), now=at
            )

        return act

    def _let_go(self, at: datetime) -> None:
        reason = "The motorway was closed; we know them well."
        disputes.waive(cdr_id=_record(FEE_LET_GO).pk, reason=reason, actor=_manager(FEE_LET_GO), now=at)

    def _pay(self, at: datetime) -> None:
        """Everybody but one customer of one operator, who is late."""
        late = {"supplier__name": LADEPARK.name, "customer__name": ALPENTRANS.name}
        for invoice in Invoice.objects.filter(kind=Invoice.Kind.INVOICE).exclude(**late):
            due = still_due(invoice)
            if due > 0:
                record_payment(
                    invoice_id=invoice.pk, amount=due, paid_on=at.date(), means=Payment.Means.TRANSFER,
                    reference=f"{invoice.customer} {invoice.number}",
                    actor=_accountant(invoice.supplier), now=at,
                )  # fmt: skip

    def _remind(self, at: datetime) -> None:
        reminders.remind_overdue(now=at)
        for pk in Reminder.objects.filter(sent_at=None).values_list("pk", flat=True):
            reminders.send_reminder(reminder_id=pk, now=at)

    def _month(self, back: int) -> Month:
        return _month_back(self.today, back)

    def _on(self, month: Month, day: int) -> datetime:
        return datetime.combine(month.first_day + timedelta(days=day - 1), time(6), UTC)


def _month_back(today: date, back: int) -> Month:
    month = Month.of(today)
    for _ in range(back):
        month = month.previous
    return month


def _record(tale: Tale) -> ChargeDetailRecord:
    """The first one of the tale's booking."""
    cdr = ChargeDetailRecord.objects.filter(booking__request_id=_key(tale)).order_by("id").first()
    assert cdr is not None  # its day is over
    return cdr


def _nothing_follows(act: Callable[[datetime], None]) -> Happening:
    def happens(at: datetime) -> tuple[()]:
        act(at)
        return ()

    return happens


@contextmanager
def _without_address(firms: tuple[Firm, ...]) -> Iterator[None]:
    """No invoice can name them meanwhile."""
    names = [firm.name for firm in firms]
    Organisation.objects.filter(name__in=names).update(address="")
    yield
    for name in names:
        Organisation.objects.filter(name=name).update(address=PARTICULARS[name]["address"])


def _organisation(firm: Firm) -> Organisation:
    return Organisation.objects.get(name=firm.name)


def _accountant(firm: Firm | Organisation) -> Actor:
    return Actor.manager(f"accountant@{firm.name.lower()}.example")


def _dispatcher(firm: Firm) -> Actor:
    return Actor.dispatcher(f"dispatcher@{firm.name.lower()}.example")


def _manager(tale: Tale) -> Actor:
    operator = NORDFRACHT if tale.depot_code.startswith("NF") else LADEPARK
    return Actor.manager(f"manager@{operator.name.lower()}.example")
