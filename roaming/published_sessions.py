"""Sessions of partners' customers at our depots as they stand now, in our own words, for whoever writes them; a reservation that
they begin with, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from bookings.billing import snapshots
from bookings.billing.charging_periods import metered_use
from bookings.billing.priced_visits import PricedVisit, owned_token, price_reservation, price_session
from bookings.billing.recorded_periods import charged_periods, periods_of
from bookings.billing.reserved_periods import reservation_alone
from bookings.models import Booking, BookingStatus, ChargeDetailRecord, SessionStatus, TariffVersion
from bookings.operations.charge import is_failed_try
from bookings.pricing.bills import Bill
from depots.models import ChargingSession, ChargingState, Depot, Evse
from roaming import access
from roaming.guest_sessions import WAITS_AT_MOST
from roaming.models import GuestSession

Kind = ChargeDetailRecord.Kind
NO_CURRENCY = "EUR"  # OCPI wants one named also where nothing is charged


@dataclass(frozen=True)
class PublishedSession:
    """`place`, `token` and `periods` as a record keeps them (bookings.billing), `bill` what it has come to so far: None where no
    price holds. Tariffs are by the name of their part of the bill, "charging" or "booking"."""

    guest: GuestSession
    status: SessionStatus
    starts_at: datetime
    ends_at: datetime | None
    energy_wh: int
    place: Mapping[str, Any]
    token: Mapping[str, Any]
    periods: Sequence[Mapping[str, Any]]
    tariffs: Mapping[str, TariffVersion | None]
    bill: Bill | None

    @property
    def id(self) -> str:
        return self.guest.code

    @property
    def owner(self) -> tuple[str, str]:
        """The CPO party that it is of."""
        return self.place["country_code"].upper(), self.place["party_id"].upper()

    @property
    def currency(self) -> str:
        return self.bill.currency if self.bill is not None else NO_CURRENCY


def published_sessions(guests: Sequence[GuestSession], *, now: datetime) -> list[PublishedSession]:
    """As access.guest_sessions gives them. A fixed number of queries, and some for each that has no record: mostly those that
    run, of which there are no more than partners' vehicles at our EVSEs."""
    records = _records(guests)
    return [
        _recorded(guest, record) if (record := records.get(guest.pk)) else _unrecorded(guest, now)
        for guest in guests
    ]


def is_over(guest: GuestSession) -> bool:
    """Whether nothing is charged or kept by it any more; of one as access.guest_sessions gives it."""
    if guest.session is not None:
        return guest.session.ended_at is not None
    return guest.reservation is None or guest.reservation.status != BookingStatus.CONFIRMED


def status_of(session: ChargingSession, *, is_billed: bool, now: datetime) -> SessionStatus:
    """What is neither charged nor billed never took place."""
    if session.ended_at is not None:
        is_void = not is_billed and is_failed_try(session)
        return SessionStatus.INVALID if is_void else SessionStatus.COMPLETED
    if session.charging_state != ChargingState.PLUGGED or session.energy_wh:
        return SessionStatus.CHARGING
    waits_too_long = now - session.start_received_at >= WAITS_AT_MOST
    return SessionStatus.INVALID if waits_too_long else SessionStatus.WAITING


def _records(guests: Sequence[GuestSession]) -> dict[int, ChargeDetailRecord]:
    """By guest, the record that stands."""
    sessions = {guest.session_id: guest.pk for guest in guests if guest.session_id is not None}
    unused: dict[int | None, int] = {
        guest.reservation_id: guest.pk for guest in guests if guest.session_id is None
    }
    rows = ChargeDetailRecord.objects.filter(
        Q(session__in=sessions, kind=Kind.SESSION) | Q(booking__in=unused, kind__in=[Kind.NO_SHOW, Kind.CANCELLATION]),
        credits=None, credited_by=None,
    )  # fmt: skip
    rows = rows.select_related("charging_tariff__tariff__operator", "booking_tariff__tariff__operator")
    return {
        sessions[row.session_id] if row.session_id is not None else unused[row.booking_id]: row
        for row in rows
    }


def _recorded(guest: GuestSession, record: ChargeDetailRecord) -> PublishedSession:
    charged = (period["starts_at"] for period in record.periods if "energy_kwh" in period)
    begun = next(charged, None)
    return PublishedSession(
        guest=guest, status=SessionStatus.COMPLETED,
        starts_at=datetime.fromisoformat(begun) if begun is not None else record.starts_at, ends_at=record.ends_at,
        energy_wh=record.energy_wh, place=record.place, token=record.token, periods=record.periods,
        tariffs={"charging": record.charging_tariff, "booking": record.booking_tariff}, bill=Bill.from_json(record.bill),
    )  # fmt: skip


def _unrecorded(guest: GuestSession, now: datetime) -> PublishedSession:
    """What it would cost if it ended now, by the function that will bill it."""
    if guest.session is not None:
        return _of_session(guest, guest.session, now)
    assert guest.reservation is not None  # a constraint says that one of them is there
    return _of_reservation(guest, guest.reservation, now)


def _of_session(guest: GuestSession, session: ChargingSession, now: datetime) -> PublishedSession:
    visit = price_session(session, now=now)
    use = visit.use if visit is not None and visit.use is not None else metered_use(session, now=now)
    booking = access.booking_of_session(session)
    token = snapshots.token_of(
        guest.partner.organisation, booking, session, None if booking else owned_token(session)
    )
    charging = use.use.charging
    return PublishedSession(
        guest=guest, status=status_of(session, is_billed=False, now=now), starts_at=charging[0][0].starts_at,
        ends_at=use.ends_at if session.ended_at is not None else None, energy_wh=use.energy_wh,
        place=snapshots.place_of(_depot(session), session.evse), token=token,
        periods=periods_of(visit) if visit is not None else charged_periods(use), **_priced(visit),
    )  # fmt: skip


def _of_reservation(guest: GuestSession, booking: Booking, now: datetime) -> PublishedSession:
    """One that costs nothing once it is over has no record."""
    is_kept = not is_over(guest)
    until = now if is_kept else booking.updated_at
    visit = price_reservation(booking, at=until) if is_kept else None
    use = (
        visit.use if visit is not None and visit.use is not None else reservation_alone(booking, until=until)
    )
    return PublishedSession(
        guest=guest, status=SessionStatus.RESERVED if is_kept else SessionStatus.COMPLETED, starts_at=use.starts_at,
        ends_at=None if is_kept else use.ends_at, energy_wh=0, place=snapshots.place_of(booking.depot, booking.evse),
        token=snapshots.token_of(guest.partner.organisation, booking, None), periods=charged_periods(use), **_priced(visit),
    )  # fmt: skip


def _priced(visit: PricedVisit | None) -> dict[str, Any]:
    if visit is None:
        return {"tariffs": {}, "bill": None}
    return {"tariffs": _versions(visit.tariffs.charging_id, visit.tariffs.booking_id), "bill": visit.bill}


def _versions(charging_id: int | None, booking_id: int | None) -> dict[str, TariffVersion | None]:
    rows = TariffVersion.objects.select_related("tariff__operator")
    found = rows.in_bulk([pk for pk in (charging_id, booking_id) if pk is not None])
    return {"charging": found.get(charging_id or 0), "booking": found.get(booking_id or 0)}


def _depot(session: ChargingSession) -> Depot:
    evse: Evse | None = session.evse
    return evse.depot if evse is not None else session.charger.depot


def tariffs_of(cdrs: Collection[ChargeDetailRecord]) -> set[int]:
    """The versions that they were priced by."""
    named = (pk for cdr in cdrs for pk in (cdr.charging_tariff_id, cdr.booking_tariff_id))
    return {pk for pk in named if pk is not None}
