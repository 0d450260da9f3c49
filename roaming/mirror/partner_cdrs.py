"""What a partner bills for charging of our fleets at its depots: posted, or read of its list. All of it ends here.

A record is what it is: told again it is the same one, and told otherwise it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction

from bookings.actors import Actor
from bookings.billing.errors import RecordSettled, RecordUnknown
from bookings.billing.received_records import ReceivedRecord, keep_received
from bookings.models import BookingStatus, ChargeDetailRecord
from bookings.pricing.visits import ChargingPeriod, SessionUse
from depots.models import Depot
from depots.periods import utc_text
from roaming import deviations
from roaming.mirror import partner_invoice_records, partner_places
from roaming.mirror.charging_customers import ChargingCustomer, customer_by
from roaming.mirror.kept_objects import CDR, forget_unmatched, keep
from roaming.mirror.received_bills import bill_of, nets_of
from roaming.mirror.session_values import ToldCdr, ToldPeriod
from roaming.models import Partner
from roaming.ocpi.wire_object import Read, UnreadableError

logger = structlog.get_logger(__name__)
Kind = ChargeDetailRecord.Kind
# Said later, or anew with every answer: no other record for that.
NOT_OF_THE_RECORD = frozenset({"last_updated", "invoice_reference_id"})
HOURS = {
    "charging_s": "charging_h", "parking_s": "parking_h", "booked_s": "booked_h", "expired_s": "expired_h",
    "overtime_s": "overtime_h",
}  # fmt: skip


@dataclass(frozen=True)
class AdoptedCdr:
    """`record` is None for one of nobody here, and of one that was known."""

    record: ChargeDetailRecord | None
    is_new: bool


def adopt_cdr(partner: Partner, read: Read[ToldCdr], raw: dict[str, Any], *, now: datetime) -> AdoptedCdr:
    """Take over a record as a partner told it, with the message itself; one of nobody here is matched anew when it is told
    again. Raises UnreadableError for what breaks the rules of
    records, and for another one under a known id."""
    told = read.value
    owner = told.country_code, told.party_id
    _check_sign(told)
    with transaction.atomic():
        kept, is_new = keep(partner, CDR, owner, told.id, raw, now=now)
        if not is_new:
            if _content(kept.raw) != _content(raw):
                raise UnreadableError(
                    "id", "is the one of another record: take that one back and issue it anew"
                )
            if not kept.is_unmatched:
                return AdoptedCdr(None, is_new=False)
        customer = customer_by(
            partner, owner, told.token, booking_id=told.booking_id, reference=told.authorization_reference,
            session_id=told.session_id, at=told.starts_at,
        )  # fmt: skip
        kept.last_updated, kept.is_unmatched = told.last_updated, customer is None
        kept.save()
        if customer is None:
            forget_unmatched(partner, CDR)
        record = _keep(partner, told, raw, customer, now) if customer is not None else None
        if record is not None:
            partner_invoice_records.match_waiting(partner, owner, told.id)
    names = [*read.deviations, *(["cdr.of_nobody_here"] if customer is None and is_new else [])]
    deviations.count(partner, names)
    return AdoptedCdr(record, is_new=is_new)


def _check_sign(told: ToldCdr) -> None:
    total = told.costs.total
    if not told.is_credit and (total.before_taxes < 0 or total.tax < 0):
        raise UnreadableError("total_cost", "must not be negative unless credit is true")
    if told.is_credit and (total.before_taxes > 0 or total.tax > 0):
        raise UnreadableError("total_cost", "of a credit must not be above zero")
    if told.is_credit and not told.credits:
        raise UnreadableError("credit_reference_id", "is required where credit is true")


def _content(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in NOT_OF_THE_RECORD and value is not None}


def _keep(
    partner: Partner, told: ToldCdr, raw: dict[str, Any], customer: ChargingCustomer, now: datetime
) -> ChargeDetailRecord:
    depot = partner_places.locked_depot(partner, told.country_code, told.party_id, told.plug.location_id)
    cdr = _record(partner, told, raw, customer, depot)
    actor = Actor.partner(told.country_code, told.party_id)
    party = f"{told.country_code}*{told.party_id}".upper()
    received = ReceivedRecord(
        cdr, party, told.credits if told.is_credit else "", told.session_id, told.tariffs, _use(told)
    )
    try:
        return keep_received(received, actor=actor, now=now)
    except (RecordUnknown, RecordSettled) as refusal:
        raise UnreadableError("credit_reference_id", str(refusal)) from None


def _record(
    partner: Partner, told: ToldCdr, raw: dict[str, Any], customer: ChargingCustomer, depot: Depot
) -> ChargeDetailRecord:
    """Not saved. Its bill is what it says of itself, in a credit without the sign."""
    kind, booking, total = _kind(told, customer), customer.booking, told.costs.total
    bill = bill_of(told, kind)
    return ChargeDetailRecord(
        operator=partner.organisation, customer=customer.fleet, depot=depot, code=told.id, kind=kind, booking=booking,
        vehicle=customer.vehicle, plate=(booking.plate if booking is not None else "") or _plate(customer),
        token=_token(told), place=_place(partner, told, depot), starts_at=told.starts_at, ends_at=told.ends_at,
        periods=[_period(each) for each in told.periods], energy_wh=int(told.energy_kwh * 1000),
        charging_s=_seconds(max(told.hours - told.parking_h, Decimal())), parking_s=_seconds(told.parking_h),
        currency=told.currency, bill=bill.to_json(), before_taxes=total.before_taxes, taxes=total.tax,
        net_by_rate=nets_of(bill, is_credit=told.is_credit), remark=told.remark[:255], received=raw,
    )  # fmt: skip


def _kind(told: ToldCdr, customer: ChargingCustomer) -> Kind:
    """Without a session it is about the booking alone: nobody came, or it was given up too late."""
    if told.session_id or told.energy_kwh > 0:
        return Kind.SESSION
    status = customer.booking.status if customer.booking is not None else ""
    if any(period.expired_h for period in told.periods) or status == BookingStatus.NO_SHOW:
        return Kind.NO_SHOW
    is_moment = told.starts_at == told.ends_at
    is_given_up = status == BookingStatus.CANCELLED or "cancel" in told.remark.lower()
    return Kind.CANCELLATION if is_moment or is_given_up else Kind.NO_SHOW


def _plate(customer: ChargingCustomer) -> str:
    return customer.vehicle.plate if customer.vehicle is not None else ""


def _token(told: ToldCdr) -> dict[str, Any]:
    return {
        **vars(told.token),
        "authorization_reference": told.authorization_reference,
        "let_in": told.let_in,
    }


def _place(partner: Partner, told: ToldCdr, depot: Depot) -> dict[str, Any]:
    plug = told.plug
    return {
        "depot": depot.code, "location_id": plug.location_id, "name": plug.name or depot.name, "address": plug.address,
        "city": plug.city, "postal_code": plug.postal_code, "country": plug.country, "latitude": plug.latitude or None,
        "longitude": plug.longitude or None, "time_zone": depot.time_zone, "operator": partner.organisation.name,
        "country_code": told.country_code, "party_id": told.party_id, "evse_uid": plug.evse_uid,
        "connector": plug.connector_id, "standard": plug.standard, "format": plug.format, "power_type": plug.power_type,
    }  # fmt: skip


def _period(told: ToldPeriod) -> dict[str, Any]:
    found: dict[str, Any] = {"starts_at": utc_text(told.starts_at)}
    if told.energy_kwh is not None:
        found["energy_kwh"] = str(told.energy_kwh)
    for name, hours in HOURS.items():
        if (length := getattr(told, hours)) is not None:
            found[name] = _seconds(length)
    return found


def _use(told: ToldCdr) -> SessionUse | None:
    """What was charged, without what was reserved or booked before or after it."""
    charged = [
        each
        for each in told.periods
        if each.energy_kwh is not None or each.charging_h is not None or each.parking_h is not None
    ]
    periods = tuple(
        ChargingPeriod(
            each.starts_at, energy_kwh=each.energy_kwh or Decimal(), charging_s=_seconds_of(each.charging_h),
            parking_s=_seconds_of(each.parking_h), power_kw=each.power_kw, min_power_kw=each.min_power_kw,
            max_power_kw=each.max_power_kw, current_a=each.current_a, min_current_a=each.min_current_a,
            max_current_a=each.max_current_a,
        )
        for each in charged
    )  # fmt: skip
    return SessionUse(periods, told.ends_at) if periods and periods[-1].starts_at <= told.ends_at else None


def _seconds_of(hours: Decimal | None) -> int | None:
    return _seconds(hours) if hours is not None else None


def _seconds(hours: Decimal) -> int:
    return int((hours * 3600).to_integral_value())
