"""Sessions as OCPI has them, those at our depots and those of partners: tables and pure functions, without queries."""

from __future__ import annotations

from decimal import Decimal

from bookings.models import SessionStatus
from depots.models import ChargingSession
from roaming.mirror.session_values import ToldSession
from roaming.ocpi.v2_3_0.cdrs.mapping import AUTH_METHOD, period_out, token_out
from roaming.ocpi.v2_3_0.cdrs.received import (
    LET_IN,
    MOST_KWH,
    amount_in,
    assigned,
    periods_in,
    token_in,
    within,
)
from roaming.ocpi.v2_3_0.cdrs.schemas import CdrDimension, CdrDimensionType, ChargingPeriod
from roaming.ocpi.v2_3_0.sessions import schemas
from roaming.ocpi.v2_3_0.tariffs.mapping import price_out
from roaming.ocpi.wire_object import NOT_ASSIGNED
from roaming.published_sessions import PublishedSession

STATUS: dict[SessionStatus, schemas.SessionStatus] = {
    SessionStatus.RESERVED: schemas.SessionStatus.RESERVATION,
    SessionStatus.WAITING: schemas.SessionStatus.PENDING,
    SessionStatus.CHARGING: schemas.SessionStatus.ACTIVE,
    SessionStatus.COMPLETED: schemas.SessionStatus.COMPLETED,
    SessionStatus.INVALID: schemas.SessionStatus.INVALID,
}
OURS = {told: status for status, told in STATUS.items()}


def session_out(session: PublishedSession) -> schemas.Session:
    place, token = session.place, session.token
    return schemas.Session(
        country_code=session.owner[0],
        party_id=session.owner[1],
        id=session.id,
        start_date_time=session.starts_at,
        end_date_time=session.ends_at,
        kwh=Decimal(session.energy_wh) / 1000,
        cdr_token=token_out(token),
        auth_method=AUTH_METHOD[token["let_in"]],
        authorization_reference=token["authorization_reference"][:36] or None,
        location_id=place["location_id"],
        evse_uid=place.get("evse_uid") or NOT_ASSIGNED,
        connector_id=place.get("connector") or NOT_ASSIGNED,
        currency=session.currency,
        charging_periods=_periods_out(session),
        total_cost=price_out(session.bill.total) if session.bill is not None else None,
        status=STATUS[session.status],
        last_updated=session.guest.changed_at,
    )


def _periods_out(session: PublishedSession) -> list[ChargingPeriod]:
    """With a last one, while it charges, of what the charger told last: which power, and how full the battery is. It is about the
    time since, so that no energy or time moves into it."""
    charging, booking = session.tariffs.get("charging"), session.tariffs.get("booking")
    periods = [period_out(period, charging, booking) for period in session.periods]
    running = session.guest.session if session.status == SessionStatus.CHARGING else None
    at, figures = (running.latest_at, _figures(running)) if running is not None else (None, [])
    if not figures or at is None:
        return periods
    last = periods[-1] if periods else None
    if last is not None and last.start_date_time >= at:
        return [*periods[:-1], last.model_copy(update={"dimensions": [*last.dimensions, *figures]})]
    tariff_id = charging.tariff.code if charging is not None else None
    return [*periods, ChargingPeriod(start_date_time=at, dimensions=figures, tariff_id=tariff_id)]


def _figures(told: ChargingSession) -> list[CdrDimension]:
    volumes = {
        CdrDimensionType.POWER: None if told.power_w is None else Decimal(told.power_w) / 1000,
        CdrDimensionType.STATE_OF_CHARGE: None
        if told.soc_percent is None
        else round(Decimal(told.soc_percent), 1),
    }
    return [CdrDimension(type=kind, volume=volume) for kind, volume in volumes.items() if volume is not None]


def session_in(session: schemas.Session) -> ToldSession:
    """Raises UnreadableError for amounts that nobody can mean."""
    cost = session.total_cost
    return ToldSession(
        country_code=session.country_code,
        party_id=session.party_id,
        id=session.id,
        told_status=session.status.value,
        status=OURS[session.status],
        starts_at=session.start_date_time,
        ends_at=session.end_date_time,
        energy_kwh=within("kwh", session.kwh, MOST_KWH),
        token=token_in(session.cdr_token),
        let_in=LET_IN[session.auth_method],
        authorization_reference=session.authorization_reference or "",
        location_id=session.location_id,
        evse_uid=assigned(session.evse_uid),
        connector_id=assigned(session.connector_id),
        currency=session.currency,
        cost=amount_in("total_cost", cost) if cost is not None else None,
        periods=periods_in(session.charging_periods),
        last_updated=session.last_updated,
    )
