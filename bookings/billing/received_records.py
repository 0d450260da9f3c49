"""Records that partners issue for charging at their depots: kept as they came, never changed, credited by the partner alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from bookings.actors import Actor
from bookings.billing import open_disputes
from bookings.billing.cdrs import check_open, lock
from bookings.billing.disputes import version_of_record
from bookings.billing.errors import RecordSettled, RecordUnknown
from bookings.billing.reconciliation.received_prices import check_received
from bookings.core import lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import ChangedMeanwhile, WrongStatus
from bookings.models import Booking, BookingStatus, ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from bookings.pricing.visits import SessionUse
from bookings.signals import cdr_issued
from depots.token_numbers import is_same

# So far from the booked time may charging be, for the booking to be the likely one.
AROUND = timedelta(hours=1)
CHARGED = (
    BookingStatus.CONFIRMED,
    BookingStatus.CHARGING,
    BookingStatus.COMPLETED,
    BookingStatus.NO_SHOW,
    BookingStatus.CANCELLED,
)


@dataclass(frozen=True)
class ReceivedRecord:
    """`cdr` is what the partner told, not saved, and `party` which party of it ("FR*CPO"). `credits` is the code of the record
    that it takes back; `session` the party's id of the session it bills. `tariffs` and `use` are what the partner says that its
    price comes from."""

    cdr: ChargeDetailRecord
    party: str
    credits: str = ""
    session: str = ""
    tariffs: tuple[TariffContent, ...] = ()
    use: SessionUse | None = None


def keep_received(told: ReceivedRecord, *, actor: Actor, now: datetime) -> ChargeDetailRecord:
    """Keep a partner's record. Raises RecordUnknown for a credit of what is not here, RecordSettled for a second one."""
    cdr = told.cdr
    with transaction.atomic():
        if told.credits:
            _credit(told)
        else:
            cdr.replaces = _credited_before(told)
        cdr.issued_at = now
        for name, value in actor.columns("issued_by").items():
            setattr(cdr, name, value)
        cdr.save(force_insert=True)
        if cdr.credits is not None:
            open_disputes.settle_with(cdr.credits, answer=open_disputes.CREDITED, actor=actor, now=now)
        elif cdr.replaces is not None:
            open_disputes.follow_new_issue(cdr, actor=actor, now=now)
        cdr_issued.send(sender=ChargeDetailRecord, cdr=cdr, at=now)
        check_received(cdr, told.tariffs, told.use, now=now)
    return cdr


def match_record(
    *, cdr_id: int, booking_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> ChargeDetailRecord:
    """Somebody says for which booking a partner's record is. Raises ChangedMeanwhile, RecordUnknown, WrongStatus."""
    if not Booking.objects.filter(pk=booking_id).exists():
        raise RecordUnknown("There is no such booking.")
    with transaction.atomic():
        booking = lock_booking(booking_id)
        cdr = lock(ChargeDetailRecord(pk=cdr_id))
        if seen_version is not None and seen_version != version_of_record(cdr):
            raise ChangedMeanwhile(
                "Somebody has said, disputed or credited something of this record meanwhile."
            )
        if cdr.booking_id is not None and cdr.booking_id != booking.pk:
            raise ChangedMeanwhile("Somebody has said another booking of this record meanwhile.")
        if cdr.received is None or booking.depot_id != cdr.depot_id or booking.fleet_id != cdr.customer_id:
            raise WrongStatus(booking.status, "matched", "This record is not for that booking.")
        if cdr.booking_id is None:
            cdr.booking, cdr.vehicle, cdr.plate = booking, booking.vehicle, booking.plate
            cdr.save(update_fields=["booking", "vehicle", "plate"])
            detail = {"record": cdr.code}
            lifecycle.record(booking, kind="record_matched", actor=actor, at=now, detail=detail)
    return cdr


def likely_booking(cdr: ChargeDetailRecord) -> Booking | None:
    """Of a partner's record without one: the same card at the same depot at about that time; None where there are several."""
    if cdr.received is None or cdr.booking_id is not None or cdr.is_credit:
        return None
    near = Booking.objects.filter(
        fleet=cdr.customer_id, depot=cdr.depot_id, route=Booking.Route.OUTBOUND, status__in=CHARGED,
        starts_at__lt=cdr.ends_at + AROUND, ends_at__gt=cdr.starts_at - AROUND,
    )  # fmt: skip
    uid, kind = cdr.token.get("uid", ""), cdr.token.get("type", "")
    found = [
        booking
        for booking in near.prefetch_related("tokens").order_by("pk")
        if not booking.cdrs.exists() and any(is_same(t.uid, t.type, uid, kind) for t in booking.tokens.all())
    ]
    return found[0] if len(found) == 1 else None


def _credit(told: ReceivedRecord) -> None:
    """A credit is about what its original is about."""
    cdr, code = told.cdr, told.credits
    rows = ChargeDetailRecord.objects.filter(operator=cdr.operator, party=told.party, credits=None)
    known = rows.filter(code__iexact=code).first()
    if known is None:
        raise RecordUnknown(f"There is no record {code}.")
    original = lock(known)
    check_open(original)
    if original.customer_id != cdr.customer_id or original.currency != cdr.currency:
        raise RecordSettled(f"{code} is another customer's, or in another currency.")
    cdr.credits, cdr.kind = original, original.kind
    cdr.booking, cdr.vehicle, cdr.plate = original.booking, original.vehicle, original.plate


def _credited_before(told: ReceivedRecord) -> ChargeDetailRecord | None:
    """What it stands in the place of: of the same session or booking, credited, and with nothing in its place yet."""
    cdr = told.cdr
    about = Q(received__session_id=told.session) if told.session else Q(pk=None)
    if cdr.booking is not None:
        about |= Q(booking=cdr.booking, kind=cdr.kind)
    rows = ChargeDetailRecord.objects.filter(
        about, operator=cdr.operator, party=told.party, customer=cdr.customer, credits=None, credited_by__isnull=False,
        replaced_by=None,
    )  # fmt: skip
    return rows.order_by("pk").last()
