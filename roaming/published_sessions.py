"""Sessions of partners' customers at our depots as they stand now, in our own words, for whoever writes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bookings.billing import snapshots
from bookings.billing.charging_periods import metered_use
from bookings.billing.priced_visits import owned_token, price_session
from bookings.billing.recorded_periods import charged_periods, periods_of
from bookings.models import Booking, ChargeDetailRecord, SessionStatus, TariffVersion
from bookings.operations.charge import is_failed_try
from bookings.pricing.bills import Bill
from depots.models import ChargingSession, ChargingState, Depot, Evse
from roaming import access
from roaming.guest_sessions import WAITS_AT_MOST
from roaming.models import GuestSession

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
        return str(self.guest.session_id)

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
    """By session, the record that stands."""
    rows = ChargeDetailRecord.objects.filter(
        session__in=[guest.pk for guest in guests], kind=ChargeDetailRecord.Kind.SESSION, credits=None, credited_by=None
    )  # fmt: skip
    rows = rows.select_related("charging_tariff__tariff__operator", "booking_tariff__tariff__operator")
    return {row.session_id: row for row in rows if row.session_id is not None}


def _recorded(guest: GuestSession, record: ChargeDetailRecord) -> PublishedSession:
    return PublishedSession(
        guest=guest, status=SessionStatus.COMPLETED, starts_at=record.starts_at, ends_at=record.ends_at,
        energy_wh=record.energy_wh, place=record.place, token=record.token, periods=record.periods,
        tariffs={"charging": record.charging_tariff, "booking": record.booking_tariff}, bill=Bill.from_json(record.bill),
    )  # fmt: skip


def _unrecorded(guest: GuestSession, now: datetime) -> PublishedSession:
    """What it would cost if it ended now, by the function that will bill it."""
    session = guest.session
    visit = price_session(session, now=now)
    use = visit.use if visit is not None and visit.use is not None else metered_use(session, now=now)
    versions = _versions(visit.tariffs.charging_id, visit.tariffs.booking_id) if visit is not None else {}
    booking = _booking(session)
    token = snapshots.token_of(
        guest.partner.organisation, booking, session, None if booking else owned_token(session)
    )
    return PublishedSession(
        guest=guest, status=status_of(session, is_billed=False, now=now), starts_at=use.starts_at,
        ends_at=use.ends_at if session.ended_at is not None else None, energy_wh=use.energy_wh,
        place=snapshots.place_of(_depot(session), session.evse), token=token,
        periods=periods_of(visit) if visit is not None else charged_periods(use), tariffs=versions,
        bill=visit.bill if visit is not None else None,
    )  # fmt: skip


def _versions(charging_id: int | None, booking_id: int | None) -> dict[str, TariffVersion | None]:
    rows = TariffVersion.objects.select_related("tariff__operator")
    found = rows.in_bulk([pk for pk in (charging_id, booking_id) if pk is not None])
    return {"charging": found.get(charging_id or 0), "booking": found.get(booking_id or 0)}


def _booking(session: ChargingSession) -> Booking | None:
    return access.booking_of_session(session)


def _depot(session: ChargingSession) -> Depot:
    evse: Evse | None = session.evse
    return evse.depot if evse is not None else session.charger.depot


def tariffs_of(cdrs: Collection[ChargeDetailRecord]) -> set[int]:
    """The versions that they were priced by."""
    named = (pk for cdr in cdrs for pk in (cdr.charging_tariff_id, cdr.booking_tariff_id))
    return {pk for pk in named if pk is not None}
