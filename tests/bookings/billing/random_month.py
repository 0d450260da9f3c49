"""Weeks of two operators, their fleets and their books, played at random through the operations that people and chargers call."""

from __future__ import annotations

import random
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from bookings import operations, scheduler
from bookings.actors import COMMAND
from bookings.billing import corrections, disputes, reminders, settlement
from bookings.billing.months import Month
from bookings.billing.run import bill
from bookings.errors import BookingError
from bookings.models import (
    LIVE,
    Booking,
    BookingOption,
    ChargeDetailRecord,
    Dispute,
    Invoice,
    Payment,
    PaymentTerms,
    Tariff,
    Vehicle,
)
from bookings.operations.tariffs import TariffDraft, set_tariffs
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
)
from bookings.rules.tariff_bindings import Owner
from depots import operations as depots
from depots.models import Agreement, ChargerCommand, ChargingSession, Depot, Evse, Organisation
from depots.periods import Period
from tests.bookings.billing.billed import make_buyer, make_seller
from tests.bookings.billing.books import issued
from tests.factories import (
    DISPATCHER,
    MANAGER,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_vehicle,
    open_depot,
    place_hold,
)

# A month ends soon after.
BEGIN = datetime(2030, 1, 27, 5, 0, tzinfo=UTC)
MONTHS = [Month(2030, 1), Month(2030, 2)]
TERMS: dict[str, Any] = {
    "late_cancel": True, "cancel_until_min": 120, "change_until_min": 30, "no_show_min": 20, "late_stop_min": 10,
    "early_start_min": 15, "arm_lead_min": 15, "min_duration_min": 15, "max_duration_min": 480,
}  # fmt: skip
VAT = {"EUR": Decimal(21), "CHF": Decimal("8.1")}


@dataclass
class RandomMonth:
    """`done` counts what was tried and how it went; `hashes` has every row that was issued, as it was then. `without` are names
    of what is not tried."""

    seed: int
    done: Counter[str] = field(default_factory=Counter)
    hashes: dict[str, str] = field(default_factory=dict)
    now: datetime = BEGIN
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._operators: list[Organisation] = []
        self._make_world()

    def play(self, steps: int) -> None:
        weights: dict[Callable[[], Any], int] = {
            self._book: 12, self._hold: 2, self._confirm: 2, self._change: 3, self._cancel: 4, self._tick: 8,
            self._answer_charger: 8, self._plug_in: 12, self._walk_in: 2, self._meter: 6, self._demand: 3, self._unplug: 10,
            self._correct: 2, self._fault: 2, self._set_tariff: 2, self._waive: 1, self._dispute: 3, self._answer: 2,
            self._bill: 2, self._credit: 1, self._pay: 3, self._remind: 1, self._price: 1,
        }  # fmt: skip
        weights = {do: weight for do, weight in weights.items() if do.__name__.strip("_") not in self.without}
        for _ in range(steps):
            (do,) = self._random.choices(list(weights), list(weights.values()))
            self.now += timedelta(minutes=self._random.randrange(14))
            self._try(do)

    def alone(self, seed: int) -> RandomMonth:
        """The same world for another process, which goes its own way in it."""
        self._random = random.Random(seed)
        return self

    def finish(self) -> None:
        """Everything comes to its end, and the months are billed."""
        while running := ChargingSession.objects.filter(ended_at=None).first():
            self.now += timedelta(minutes=5)
            self._stop(running, running.meter_last_wh)
        self.now = max(
            self.now + timedelta(days=4), MONTHS[-1].next.in_zone("UTC").starts_at + timedelta(days=2)
        )
        for _ in range(3):
            self._try(self._tick)
        for _ in range(2):
            for operator in self._operators:
                for month in MONTHS:
                    bill(operator=operator, month=month, actor=COMMAND, now=self.now)
        self._note_issued()

    def _try(self, do: Callable[[], Any]) -> None:
        name = do.__name__.strip("_")
        try:
            did = do()
        except BookingError as refusal:
            self.done[f"{name}: {refusal.code}"] += 1
        else:
            self.done[f"{name}: {'nothing' if did is None else 'done'}"] += 1
        self._note_issued()

    def _note_issued(self) -> None:
        for name, digest in issued().items():
            self.hashes.setdefault(name, digest)

    # What there is

    def _make_world(self) -> None:
        ladepark = make_seller()
        mixed = make_buyer("Nordfracht", cpo_party_id="NFR")
        self._operators = [ladepark, mixed]
        places = [
            (ladepark, "NLD", "Europe/Amsterdam", "EUR"), (ladepark, "DEU", "Europe/Berlin", "EUR"),
            (mixed, "DEU", "Europe/Berlin", "EUR"), (mixed, "CHE", "Europe/Zurich", "CHF"),
        ]  # fmt: skip
        self._currency: dict[int, str] = {}
        for operator, country, zone, currency in places:
            depot = make_depot(operator, country=country, time_zone=zone, terms=TERMS)
            self._currency[depot.pk] = currency
            online = {"lease_holder": "gw", "lease_until": BEGIN + timedelta(days=90), "connected_at": BEGIN}
            for _ in range(2):
                make_evse(charger=make_charger(depot, **online), status=Evse.Status.AVAILABLE)
            for kind in Tariff.Kind:
                self._say(depot, kind, bind=True)
        fleets = [
            mixed,
            make_buyer("Balt", vat_id="", country="LTU"),
            make_buyer("Alpen", vat_id="ATU13585627", country="AUT"),
            make_buyer("Nobody", legal_name=""),
        ]
        for fleet in fleets:
            for _ in range(3):
                make_vehicle(fleet, battery_wh=self._random.choice([None, 300_000]))
        self._agree(ladepark, fleets)

    def _agree(self, operator: Organisation, fleets: list[Organisation]) -> None:
        for depot in Depot.objects.filter(operator=operator):
            guest = open_depot(depot, fleets[2])
            PaymentTerms.objects.create(agreement=guest, is_reverse=True, due_days=7)
            everybody = Agreement.objects.get(depot=depot, guest=None)
            PaymentTerms.objects.create(agreement=everybody, credit_limit=Decimal(2000), due_days=3)

    def _say(self, depot: Depot, kind: str, *, bind: bool) -> Any:
        owner = (Owner("depot", depot.pk),) if bind else None
        currency = self._currency[depot.pk]
        elements = self._charging(currency) if kind == Tariff.Kind.CHARGING else self._booking(currency)
        limits: dict[str, Any] = {}
        if kind == Tariff.Kind.CHARGING and self._random.random() < 0.3:
            limits = {"min_price": PriceLimit(Decimal(3)), "max_price": PriceLimit(Decimal(80))}
        draft = TariffDraft(
            operator=depot.operator,
            code=f"{depot.code}-{kind}",
            content=TariffContent(currency, elements, **limits),
            bind_to=owner,
        )
        return set_tariffs([draft], actor=MANAGER, now=self.now)

    def _charging(self, currency: str) -> tuple[TariffElement, ...]:
        night = Restrictions(start_time=time(22), end_time=time(6))
        return (
            self._element(ElementUse.CHARGING, currency, night, energy=40, time=3),
            self._element(ElementUse.CHARGING, currency, Restrictions(min_kwh=Decimal(50)), energy=35),
            self._element(ElementUse.CHARGING, currency, Restrictions(), flat=2, energy=60, parking_time=10),
        )

    def _booking(self, currency: str) -> tuple[TariffElement, ...]:
        uses = [
            (ElementUse.BOOKING, {"flat": 8, "time": 4}), (ElementUse.NO_SHOW, {"flat": 30}),
            (ElementUse.LATE_CANCELLATION, {"flat": 20}), (ElementUse.OVERTIME, {"flat": 5, "time": 40}),
        ]  # fmt: skip
        return tuple(
            self._element(use, currency, Restrictions(), **prices)
            for use, prices in uses
            if use is ElementUse.BOOKING or self._random.random() < 0.8
        )

    def _element(
        self, use: ElementUse, currency: str, restrictions: Restrictions, **around: int
    ) -> TariffElement:
        """Prices in whole hundredths of a per cent around these, energy in cents."""
        components = []
        for name, about in around.items():
            price = Decimal(self._random.randrange(about * 100)) / (10_000 if name == "energy" else 100)
            vat = self._random.choice([VAT[currency], VAT[currency], VAT[currency], Decimal(9), None])
            step = self._random.choice([1, 1, 60, 300, 1000])
            components.append(PriceComponent(Dimension(name), price, vat, step))
        return TariffElement(tuple(components), restrictions, use)

    # What fleets and depots do

    def _book(self) -> Any:
        truck, option = self._pick(Vehicle.objects.all()), self._pick(BookingOption.objects.all())
        return book_slot(
            fleet=truck.fleet,
            option=option,
            vehicle=truck,
            period=self._period(),
            actor=DISPATCHER,
            now=self.now,
        )

    def _hold(self) -> Any:
        truck, option = self._pick(Vehicle.objects.all()), self._pick(BookingOption.objects.all())
        return place_hold(
            fleet=truck.fleet,
            option=option,
            vehicle=truck,
            period=self._period(),
            actor=DISPATCHER,
            now=self.now,
        )

    def _confirm(self) -> Any:
        held = self._pick(Booking.objects.filter(status="held"))
        return held and operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=self.now)

    def _change(self) -> Any:
        booking = self._pick(Booking.objects.filter(status__in=LIVE))
        by = self._random.choice(["fleet", "fleet", "depot"])
        return booking and change_slot(
            booking_id=booking.pk, period=self._period(), by=by, actor=DISPATCHER, now=self.now
        )

    def _cancel(self) -> Any:
        booking = self._pick(Booking.objects.filter(status__in=LIVE))
        by = self._random.choice(["fleet", "fleet", "fleet", "depot"])
        return booking and operations.cancel_booking(
            booking_id=booking.pk, reason="BLOCKED", by=by, actor=DISPATCHER, now=self.now
        )

    def _set_tariff(self) -> Any:
        return self._say(self._pick(Depot.objects.all()), self._random.choice(list(Tariff.Kind)), bind=False)

    # What time and chargers do

    def _tick(self) -> str:
        # It logs what failed and goes on; here that is a failure.
        with patch.object(scheduler.logger, "exception", side_effect=_raise_what_is_handled):
            scheduler.run_tick(self.now)
        return "ticked"

    def _answer_charger(self) -> Any:
        command = self._pick(ChargerCommand.objects.filter(state="queued"))
        answer = self._random.choice(["accepted"] * 6 + ["occupied", "faulted", "rejected"])
        return command and depots.settle_command(command_id=command.pk, answer=answer, now=self.now)

    def _plug_in(self) -> Any:
        due = Booking.objects.filter(
            status__in=["confirmed", "charging"],
            starts_at__lte=self.now + timedelta(minutes=20),
            ends_at__gt=self.now,
        )
        booking = self._pick(due)
        if booking is None:
            return None
        return self._start(booking.evse, booking.tokens.get().uid)

    def _walk_in(self) -> Any:
        truck = self._pick(Vehicle.objects.all())
        return self._start(self._pick(Evse.objects.all()), truck.tokens.get().uid)

    def _start(self, evse: Evse, uid: str) -> Any:
        begun = depots.Start(
            evse_number=evse.number, token_uid=uid, key=f"{self._random.random()}", at=self.now,
            meter_wh=self._random.choice([1000, 1000, 1000, None]),
        )  # fmt: skip
        return depots.start_session(charger_id=evse.charger_id, start=begun, now=self.now)

    def _meter(self) -> Any:
        session = self._pick(ChargingSession.objects.filter(ended_at=None))
        if session is None:
            return None
        wh = self._register(session)
        return depots.add_readings(
            charger_id=session.charger_id, evse_number=None, transaction_id=session.transaction,
            readings=[depots.Reading(self.now, wh)], now=self.now,
        )  # fmt: skip

    def _demand(self) -> Any:
        session = self._pick(ChargingSession.objects.filter(ended_at=None))
        if session is None or session.evse is None:
            return None
        state = self._random.choice(["charging", "no_demand", "no_demand", "no_offer"])
        status = "charging" if state == "charging" else "occupied"
        evse = session.evse
        return depots.report_status(
            charger_id=evse.charger_id,
            evse_number=evse.number,
            status=status,
            charging_state=state,
            at=self.now,
            now=self.now,
        )

    def _unplug(self) -> Any:
        session = self._pick(ChargingSession.objects.filter(ended_at=None))
        if session is None:
            return None
        wh = self._random.choice([self._register(session)] * 6 + [None, 1000, 0])
        return self._stop(session, wh)

    def _correct(self) -> Any:
        """A stop that comes after all, or again."""
        session = self._pick(ChargingSession.objects.filter(ended_at__gt=self.now - timedelta(days=2)))
        return session and self._stop(session, self._register(session), at=session.ended_at)

    def _stop(self, session: ChargingSession, wh: int | None, at: datetime | None = None) -> Any:
        at = at or self.now
        end = depots.Stop(transaction=session.transaction, at=at, meter_wh=wh, reason="Local")
        done = depots.stop_session(charger_id=session.charger_id, stop=end, now=self.now)
        if session.evse is not None:
            depots.report_status(
                charger_id=session.charger_id,
                evse_number=session.evse.number,
                status="available",
                at=self.now,
                now=self.now,
            )
        return done

    def _register(self, session: ChargingSession) -> int:
        hours = (self.now - session.started_at).total_seconds() / 3600
        most = int(250_000 * max(hours, 0))
        if self._random.random() < 0.1:
            return 1000 + self._random.randrange(3 * most + 1)
        return max(session.meter_last_wh or 0, 1000 + self._random.randrange(most // 2, most + 1))

    def _fault(self) -> Any:
        evse = self._pick(Evse.objects.all())
        for status in self._random.choice([["faulted"], ["available"], ["faulted", "available"]]):
            depots.report_status(
                charger_id=evse.charger_id, evse_number=evse.number, status=status, at=self.now, now=self.now
            )
        return evse

    # What is said about money

    def _waive(self) -> Any:
        cdr = self._record()
        return cdr and disputes.waive(cdr_id=cdr.pk, reason="Goodwill", actor=MANAGER, now=self.now)

    def _dispute(self) -> Any:
        cdr = self._record()
        if cdr is None:
            return None
        line = self._random.choice([None, *range(len(cdr.bill["lines"]))])
        return disputes.raise_dispute(
            cdr_id=cdr.pk, line=line, reason="Not ours", actor=DISPATCHER, now=self.now
        )

    def _answer(self) -> Any:
        dispute = self._pick(Dispute.objects.filter(outcome="open"))
        return dispute and disputes.answer_dispute(
            dispute_id=dispute.pk,
            accepts=self._random.random() < 0.6,
            answer="So be it",
            actor=MANAGER,
            now=self.now,
        )

    def _bill(self) -> Any:
        operator, month = self._random.choice(self._operators), self._random.choice(MONTHS)
        is_dry = self._random.random() < 0.3
        return bill(operator=operator, month=month, dry_run=is_dry, actor=COMMAND, now=self.now)

    def _credit(self) -> Any:
        invoice = self._pick(Invoice.objects.all())
        return invoice and corrections.credit_invoice(
            invoice_id=invoice.pk, reason="Wrong", actor=MANAGER, now=self.now
        )

    def _pay(self) -> Any:
        invoice = self._pick(Invoice.objects.all())
        if invoice is None:
            return None
        part = self._random.choice([1, 1, 2, 3]) * max(settlement.still_due(invoice), Decimal(6)) / 2
        return settlement.record_payment(
            invoice_id=invoice.pk, amount=part.quantize(Decimal("0.01")), paid_on=self.now.date(),
            means=Payment.Means.TRANSFER, reference=f"R{self._random.randrange(200)}", actor=MANAGER, now=self.now,
        )  # fmt: skip

    def _remind(self) -> Any:
        reminders.remind_overdue(now=self.now)
        invoice = self._pick(Invoice.objects.all())
        return invoice and reminders.remind(invoice_id=invoice.pk, now=self.now)

    def _price(self) -> str | None:
        """Who looks at what it costs so far changes nothing."""
        from bookings.billing.priced_visits import price_session

        session = self._pick(ChargingSession.objects.filter(ended_at=None))
        with suppress(BookingError):
            return session and "priced" if session and price_session(session, now=self.now) else None
        return None

    def _record(self) -> ChargeDetailRecord | None:
        found: ChargeDetailRecord | None = self._pick(ChargeDetailRecord.objects.filter(credits=None))
        return found

    def _period(self) -> Period:
        soon = self.now.replace(minute=self.now.minute // 15 * 15, second=0) + timedelta(minutes=15)
        start = soon + timedelta(minutes=15 * self._random.choice([0, 0, 1, 2, 3, 4, 6, 10, 20]))
        return Period(start, start + timedelta(minutes=15 * self._random.randrange(1, 7)))

    def _pick(self, rows: Any) -> Any:
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        return rows.model.objects.filter(pk=self._random.choice(ids)).first() if ids else None


def _raise_what_is_handled(*_: object) -> None:
    raise AssertionError(traceback.format_exc())
