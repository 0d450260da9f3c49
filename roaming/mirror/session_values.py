"""What a partner told us of charging at its depots, in our own words: sessions, and the records it bills them by.

Times are aware UTC, energy kWh, lengths of time hours; amounts as bookings.pricing has them. None is what was not told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bookings.models import SessionStatus
from bookings.pricing.bills import Amount
from bookings.pricing.tariff_content import TariffContent


@dataclass(frozen=True)
class ToldToken:
    """By which it was charged, and whose it is: the eMSP's country and party."""

    country_code: str
    party_id: str
    uid: str
    type: str
    contract_id: str


@dataclass(frozen=True)
class ToldPeriod:
    """A stretch of it that ends where the next one begins. The last that is told of `power_kw` and `soc_percent` is of now."""

    starts_at: datetime
    energy_kwh: Decimal | None = None
    charging_h: Decimal | None = None
    parking_h: Decimal | None = None
    booked_h: Decimal | None = None
    expired_h: Decimal | None = None
    overtime_h: Decimal | None = None
    power_kw: Decimal | None = None
    min_power_kw: Decimal | None = None
    max_power_kw: Decimal | None = None
    current_a: Decimal | None = None
    min_current_a: Decimal | None = None
    max_current_a: Decimal | None = None
    soc_percent: Decimal | None = None


@dataclass(frozen=True)
class ToldSession:
    """`told_status` is the partner's word, `status` ours for it; `let_in` as a record keeps it ("card", "asked", "remote")."""

    country_code: str
    party_id: str
    id: str
    told_status: str
    status: SessionStatus
    starts_at: datetime
    ends_at: datetime | None
    energy_kwh: Decimal
    token: ToldToken
    let_in: str
    authorization_reference: str
    location_id: str
    evse_uid: str
    connector_id: str
    currency: str
    cost: Amount | None
    periods: tuple[ToldPeriod, ...]
    last_updated: datetime


@dataclass(frozen=True)
class ToldPlug:
    """Where it was charged, as a record names it."""

    location_id: str
    name: str
    address: str
    city: str
    postal_code: str
    country: str
    latitude: str
    longitude: str
    evse_uid: str
    connector_id: str
    standard: str
    format: str
    power_type: str


@dataclass(frozen=True)
class ToldCosts:
    """`total` is what is owed; the parts need not add up to it."""

    total: Amount
    fixed: Amount
    energy: Amount
    time: Amount
    parking: Amount
    reservation: Amount


@dataclass(frozen=True)
class ToldCdr:
    """A record of a partner's. `credits` is the id of the one that it takes back. `tariffs` is empty where none were told, or one
    of them cannot be read; what a meter has signed stays in the message itself."""

    country_code: str
    party_id: str
    id: str
    starts_at: datetime
    ends_at: datetime
    booking_id: str
    session_id: str
    token: ToldToken
    let_in: str
    authorization_reference: str
    plug: ToldPlug
    currency: str
    periods: tuple[ToldPeriod, ...]
    costs: ToldCosts
    energy_kwh: Decimal
    hours: Decimal
    parking_h: Decimal
    remark: str
    is_credit: bool
    credits: str
    tariffs: tuple[TariffContent, ...]
    last_updated: datetime
