"""What should have cost something and has no record: sessions, no-shows, late cancellations, slots a truck stayed on into,
bookings at partners' depots."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform

from bookings.billing.meter_evidence import WITHOUT_RECORD
from bookings.billing.priced_visits import (
    PricedVisit,
    price_cancellation,
    price_no_show,
    price_reservation,
    price_stay,
)
from bookings.billing.reconciliation.books import Books, in_month
from bookings.billing.reconciliation.findings import Finding, FindingKind, Subject, amounts, finding_key
from bookings.models import (
    Booking,
    BookingEvent,
    BookingStatus,
    ChargeDetailRecord,
    RemoteSession,
    SessionStatus,
)
from bookings.operations.charge import NO_ENERGY_WH
from bookings.rules import permissions, quotes
from bookings.rules.own_slots import session_into
from depots.cards import card_ending
from depots.templatetags.berth import kilowatt_hours

Kind = FindingKind
# A partner tells of what was used within days.
PARTNER_WAITED_FOR = timedelta(days=3)
_A_DAY = timedelta(days=1)

_ENDED = f"""
    s.ended_at IS NOT NULL AND {in_month("s.ended_at", "d.time_zone")} AND {WITHOUT_RECORD}
"""
_SESSIONS = """
SELECT s.id, s.ended_at, s.meter_stop_wh - s.meter_start_wh, d.name, d.code, d.time_zone, b.id, b.reference, b.plate,
       o.id, o.name, ''
FROM bookings_booking b
JOIN depots_depot d ON d.id = b.depot_id
JOIN bookings_bookingsession v ON v.booking_id = b.id
JOIN depots_chargingsession s ON s.id = v.session_id
JOIN depots_organisation o ON o.id = {counterparty}
WHERE {own} AND b.starts_at >= %(first)s::date - 14 AND b.starts_at < %(after)s::date + 2 AND b.route <> 'outbound'
    AND (b.charging_tariff_id IS NOT NULL OR b.booking_tariff_id IS NOT NULL) AND {ended}
ORDER BY s.ended_at, s.id
"""
# Of no booking, and of no card that is the operator's own.
_STRANGERS = r"""
SELECT s.id, s.ended_at, s.meter_stop_wh - s.meter_start_wh, d.name, d.code, d.time_zone, NULL, '', '', NULL, '',
       s.token_uid
FROM depots_depot d
JOIN depots_evse e ON e.depot_id = d.id
JOIN depots_chargingsession s ON s.evse_id = e.id
WHERE d.operator_id = %(organisation)s AND NOT d.is_mirror
    AND s.started_at >= %(first)s::date - 14 AND s.started_at < %(after)s::date + 1 AND {ended}
    AND NOT EXISTS (SELECT FROM bookings_bookingsession v WHERE v.session_id = s.id)
    AND NOT EXISTS (SELECT FROM bookings_token t WHERE t.fleet_id = d.operator_id AND s.token_uid <> ''
        AND UPPER(REGEXP_REPLACE(t.uid, '[\s:-]', '', 'g')) = UPPER(REGEXP_REPLACE(s.token_uid, '[\s:-]', '', 'g')))
ORDER BY s.ended_at, s.id
"""


class _Session(NamedTuple):
    id: int
    ended_at: datetime
    energy_wh: int | None
    depot: str
    depot_code: str
    time_zone: str
    booking_id: int | None
    reference: str
    plate: str
    counterparty_id: int | None
    counterparty: str
    card: str


def unrecorded_sessions(books: Books) -> Iterator[Finding]:
    """Of bookings that have a price; one statement."""
    statement = _SESSIONS.format(
        own=books.own(fleet="b.fleet_id", operator="d.operator_id"),
        counterparty=books.counterparty(fleet="b.fleet_id", operator="d.operator_id"),
        ended=_ENDED,
    )
    for row in _read(statement, books):
        words = f"{row.plate} charged{_energy(row)} at {row.depot} for booking {row.reference}."
        yield _of_session(Kind.SESSION_UNRECORDED, row, words)


def unowned_sessions(books: Books) -> Iterator[Finding]:
    """Of nobody whom the depot could bill; only the depot learns of them. One statement."""
    if books.is_payable or books.counterparty_id is not None:
        return
    for row in _read(_STRANGERS.format(ended=_ENDED), books):
        card = f"the card {card_ending(row.card)}" if row.card else "no card"
        yield _of_session(
            Kind.SESSION_UNOWNED, row, f"Somebody with {card} charged{_energy(row)} at {row.depot}."
        )


def unrecorded_elsewhere(books: Books, *, now: datetime) -> Iterator[Finding]:
    """What trucks charged at partners' depots without a booking, of which no record has come; only who owes is told. One
    statement."""
    if not books.is_payable:
        return
    records = ChargeDetailRecord.objects.filter(
        operator=OuterRef("operator"), customer=OuterRef("fleet"), credits=None
    ).alias(of_session=KeyTextTransform("session_id", "received"), card=KeyTextTransform("uid", "token"))
    is_its = Q(of_session=OuterRef("remote_id")) | Q(
        depot=OuterRef("depot"), card=OuterRef("token_uid"), starts_at__lt=OuterRef("ended_at"),
        ends_at__gt=OuterRef("started_at"),
    )  # fmt: skip
    rows = RemoteSession.objects.filter(
        ~Exists(records.filter(is_its)), fleet=books.organisation_id, booking=None, status=SessionStatus.COMPLETED,
        energy_wh__gte=NO_ENERGY_WH, ended_at__lt=now - PARTNER_WAITED_FOR,
        started_at__gte=books.month.in_zone("UTC").starts_at - 14 * _A_DAY,
        started_at__lt=books.month.in_zone("UTC").ends_at + _A_DAY,
    )  # fmt: skip
    if books.counterparty_id is not None:
        rows = rows.filter(operator=books.counterparty_id)
    for row in rows.select_related("operator", "depot", "vehicle").order_by("ended_at", "pk"):
        if row.ended_at is None or not books.month.in_zone(row.depot.time_zone).contains(row.ended_at):
            continue
        who = row.vehicle.plate if row.vehicle else f"The card {row.token_ending}"
        yield Finding(
            kind=Kind.SESSION_UNRECORDED, key=finding_key(Kind.SESSION_UNRECORDED, "elsewhere", row.pk),
            facts=str(row.energy_wh),
            words=f"{who} charged {kilowatt_hours(row.energy_wh)} at {row.depot.name} without a booking; "
            f"{row.operator.name} has sent no record.",
            counterparty=row.operator.name, counterparty_id=row.operator_id, at=row.ended_at,
            time_zone=row.depot.time_zone, about=Subject(depot_code=row.depot.code),
        )  # fmt: skip


def unrecorded_bookings(books: Books, *, now: datetime) -> Iterator[Finding]:
    """No-shows and late cancellations that have a fee and were not let off, slots that were used by the session of the booking
    before, and what a partner owes a record of.

    Three statements: the bookings, how those were given up, and the tariffs that this process has not read yet; a few more for
    each slot that a truck stayed on into and that has no record.
    """
    rows = [row for row in _candidates(books, now) if _is_in(books, row)]
    given_up = [row.pk for row in rows if row.status == BookingStatus.CANCELLED]
    events = BookingEvent.objects.filter(booking__in=given_up, kind="status", after=BookingStatus.CANCELLED)
    ended = {event.booking_id: event for event in events}
    quotes.read_tariffs(rows)
    for row in rows:
        fee = _fee(row, ended.get(row.pk))
        if fee is None and row.is_ours:
            continue
        other = row.depot.operator if books.is_payable else row.fleet
        yield Finding(
            kind=Kind.BOOKING_UNRECORDED, key=finding_key(Kind.BOOKING_UNRECORDED, row.pk), facts=amounts(fee and fee[0]),
            words=f"Booking {row.reference} at {row.depot.name}, {row.plate}: {_outcome(row)}.",
            counterparty=other.name, counterparty_id=other.pk, currency=fee[1] if fee else "", expected=fee and fee[0],
            at=row.ends_at, time_zone=row.depot.time_zone,
            about=Subject(booking_id=row.pk, depot_code=row.depot.code),
        )  # fmt: skip


def _candidates(books: Books, now: datetime) -> QuerySet[Booking]:
    mine = Q(fleet=books.organisation_id) if books.is_payable else Q(depot__operator=books.organisation_id)
    if books.counterparty_id is not None:
        name = "depot__operator" if books.is_payable else "fleet"
        mine &= Q(**{name: books.counterparty_id})
    recorded = ChargeDetailRecord.objects.filter(booking=OuterRef("pk"))
    let_off = BookingEvent.objects.filter(booking=OuterRef("pk"), kind="waived")
    is_late = Q(status=BookingStatus.CANCELLED, cancelled_by=Booking.Side.FLEET, terms_json__late_cancel=True)
    unused = (Q(status=BookingStatus.NO_SHOW) | is_late) & ~Exists(let_off)
    at_partner = Q(
        route=Booking.Route.OUTBOUND,
        status__in=[BookingStatus.COMPLETED, BookingStatus.NO_SHOW],
        ends_at__lt=now - PARTNER_WAITED_FOR,
    )
    stayed = Q(status=BookingStatus.COMPLETED, session=None)
    at_ours = ~Q(route=Booking.Route.OUTBOUND) & Q(booking_tariff__isnull=False) & (unused | stayed)
    reserved = Q(route=Booking.Route.RESERVED, charging_tariff__isnull=False) & ~Exists(let_off)
    at_ours |= reserved & Q(status__in=[BookingStatus.NO_SHOW, BookingStatus.CANCELLED])
    month = books.month
    rows = Booking.objects.filter(
        mine, at_partner | at_ours, ~Exists(recorded),
        starts_at__gte=month.in_zone("UTC").starts_at - 14 * _A_DAY, starts_at__lt=month.in_zone("UTC").ends_at + _A_DAY,
    )  # fmt: skip
    return rows.exclude(fleet=F("depot__operator")).select_related("depot__operator", "fleet", "evse")


def _is_in(books: Books, booking: Booking) -> bool:
    return books.month.in_zone(booking.depot.time_zone).contains(booking.ends_at)


def _fee(booking: Booking, ended: BookingEvent | None) -> tuple[Decimal, str] | None:
    """Before taxes with its currency; None where nothing is due."""
    visit = None
    if booking.status == BookingStatus.NO_SHOW:
        visit = price_no_show(booking)
    elif ended is not None and permissions.was_late_cancellation(booking, ended):
        visit = price_cancellation(booking, at=ended.at)
    elif ended is not None and permissions.was_given_back(booking, ended):
        visit = price_reservation(booking, at=ended.at)
    elif booking.is_ours and booking.status == BookingStatus.COMPLETED:
        visit = _price_ended_stay(booking)
    return (
        (visit.bill.total.before_taxes, visit.bill.currency) if visit is not None and visit.is_due else None
    )


def _price_ended_stay(booking: Booking) -> PricedVisit | None:
    before = session_into(booking)
    if before is None or before.ended_at is None:
        return None
    return price_stay(booking, before, now=before.ended_at)


def _read(statement: str, books: Books) -> list[_Session]:
    with connection.cursor() as cursor:
        cursor.execute(statement, books.parameters | {"no_energy": NO_ENERGY_WH})
        return [_Session._make(row) for row in cursor.fetchall()]


def _of_session(kind: FindingKind, row: _Session, words: str) -> Finding:
    return Finding(
        kind=kind, key=finding_key(kind, row.id), facts=str(row.energy_wh), words=words, counterparty=row.counterparty,
        counterparty_id=row.counterparty_id, at=row.ended_at, time_zone=row.time_zone,
        about=Subject(session_id=row.id, booking_id=row.booking_id, depot_code=row.depot_code),
    )  # fmt: skip


def _energy(row: _Session) -> str:
    return "" if row.energy_wh is None else f" {kilowatt_hours(row.energy_wh)}"


def _outcome(booking: Booking) -> str:
    if booking.is_ours and booking.status == BookingStatus.COMPLETED:
        return STAYED
    if booking.is_reservation and booking.status == BookingStatus.CANCELLED:
        return "reserved, and given back"
    return _OUTCOMES[BookingStatus(booking.status)]


STAYED = "used by the session of the booking before"
_OUTCOMES = {
    BookingStatus.NO_SHOW: "nobody came",
    BookingStatus.CANCELLED: "cancelled too late to be free",
    BookingStatus.COMPLETED: "used",
}
