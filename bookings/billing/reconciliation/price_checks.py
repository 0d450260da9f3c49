"""Pricing records again from their own periods, by the tariffs they name. What comes out is kept, since neither ever changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from bookings.actors import ActorKind
from bookings.models import ChargeDetailRecord, PriceCheck
from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import ElementUse, TariffContent, TariffElement
from bookings.pricing.visits import BookedSlot, BookingOutcome, ChargingPeriod, SessionUse, Visit
from bookings.rules.tariff_contents import contents
from depots.periods import Period

Kind = ChargeDetailRecord.Kind
BATCH = 500
_READ = (
    "id", "kind", "bill", "periods", "starts_at", "ends_at", "charging_tariff_id", "booking_tariff_id", "depot__time_zone",
    "booking__starts_at", "booking__ends_at",
)  # fmt: skip


def checkable(rows: QuerySet[ChargeDetailRecord]) -> QuerySet[ChargeDetailRecord]:
    """Of these, ours that Berth priced: what a person issued anew after a dispute has other amounts on purpose."""
    return rows.filter(credits__isnull=True, received__isnull=True, issued_by_kind=ActorKind.BERTH)


def check_prices(rows: QuerySet[ChargeDetailRecord], *, most: int | None = None, now: datetime) -> int:
    """Price those of them again that were not yet, in order of their rows; gives how many."""
    waiting = checkable(rows).filter(price_check__isnull=True).order_by("id")
    checked, last = 0, 0
    while most is None or checked < most:
        size = BATCH if most is None else min(BATCH, most - checked)
        batch = list(waiting.filter(id__gt=last).select_related("depot", "booking").only(*_READ)[:size])
        if not batch:
            break
        ids = {
            pk for cdr in batch for pk in (cdr.charging_tariff_id, cdr.booking_tariff_id) if pk is not None
        }
        said = contents(ids)
        PriceCheck.objects.bulk_create([_check(cdr, said, now) for cdr in batch], ignore_conflicts=True)
        checked, last = checked + len(batch), batch[-1].pk
    return checked


def _check(cdr: ChargeDetailRecord, said: dict[int, TariffContent], now: datetime) -> PriceCheck:
    try:
        bill = reprice(cdr, said)
    except (ValueError, KeyError, TypeError, ArithmeticError):
        # What it keeps cannot be priced: that is what the check is to find out.
        return PriceCheck(cdr=cdr, checked_at=now)
    return PriceCheck(cdr=cdr, before_taxes=bill.total.before_taxes, taxes=bill.total.tax, checked_at=now)


def reprice(cdr: ChargeDetailRecord, said: dict[int, TariffContent]) -> Bill:
    """What its tariffs, by version in `said`, make of its periods. Raises ValueError or KeyError where they make nothing."""
    charging, booked = said.get(cdr.charging_tariff_id or 0), said.get(cdr.booking_tariff_id or 0)
    if booked is not None and not _bills(cdr, ElementUse.BOOKING):
        booked = _without_fee(booked)
    slot = _slot(cdr) if booked is not None else None
    return price(Visit(_use(cdr), slot), cdr.depot.zone, charging=charging, booking=booked)


def _bills(cdr: ChargeDetailRecord, use: ElementUse) -> bool:
    """Of several sessions one carries what the booking itself costs; which, is not in its periods."""
    return any(line["use"] == use for line in cdr.bill["lines"])


def _without_fee(content: TariffContent) -> TariffContent:
    silent = (
        TariffElement((), each.restrictions, each.use) if each.use == ElementUse.BOOKING else each
        for each in content.elements
    )
    return TariffContent(
        content.currency, tuple(silent), content.min_price, content.max_price, content.tax_included
    )


def _use(cdr: ChargeDetailRecord) -> SessionUse | None:
    is_priced = cdr.charging_tariff_id is not None
    told = [
        period for period in cdr.periods if "energy_kwh" in period or (is_priced and _is_reserved(period))
    ]
    if not told or (cdr.kind != Kind.SESSION and not is_priced):
        return None
    return SessionUse(tuple(_period(period) for period in told), cdr.ends_at)


def _period(told: dict[str, Any]) -> ChargingPeriod:
    return ChargingPeriod(
        starts_at=_moment(told), energy_kwh=Decimal(told.get("energy_kwh") or 0), charging_s=told.get("charging_s"),
        parking_s=told.get("parking_s"), reserved_s=told.get("reserved_s"), expired_s=told.get("expired_s"),
    )  # fmt: skip


def _is_reserved(period: dict[str, Any]) -> bool:
    return "reserved_s" in period or "expired_s" in period


def _slot(cdr: ChargeDetailRecord) -> BookedSlot:
    """As its own periods have it: what was booked, what expired, and what ran over the end and the late stop."""
    if cdr.kind == Kind.CANCELLATION:
        if cdr.booking is None:
            raise ValueError("a cancellation is one of a booking")
        return BookedSlot(cdr.booking.period, BookingOutcome.CANCELLED)
    name = "expired_s" if cdr.kind == Kind.NO_SHOW else "booked_s"
    [slot] = [period for period in cdr.periods if name in period]
    period = Period(_moment(slot), _moment(slot) + timedelta(seconds=slot[name]))
    if cdr.kind == Kind.NO_SHOW:
        return BookedSlot(period, BookingOutcome.NO_SHOW)
    over = next((each for each in cdr.periods if "overtime_s" in each), None)
    if over is None:
        return BookedSlot(period, BookingOutcome.USED, ended_at=min(cdr.ends_at, period.ends_at))
    ended_at = _moment(over) + timedelta(seconds=over["overtime_s"])
    return BookedSlot(
        period, BookingOutcome.USED, ended_at=ended_at, late_stop=_moment(over) - period.ends_at
    )


def _moment(told: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(str(told["starts_at"]))
