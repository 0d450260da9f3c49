"""What a partner told us, in our own words: made by the version it speaks, kept by the mirror.

Times are aware UTC, lengths cm, weights kg, powers W. None is what was not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from bookings.models import Booking, BookingRequest, BookingStatus
from bookings.pricing.tariff_content import TariffContent
from depots.models import Evse
from depots.periods import Period

NEVER_MIN = 10**6  # a deadline so far back that it is always over


@dataclass(frozen=True)
class ToldConnector:
    """Volt, ampere, watt."""

    standard: str
    format: str
    power_type: str
    max_voltage_v: int | None = None
    max_amperage_a: int | None = None
    max_power_w: int | None = None
    tariff_codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToldDescription:
    """What people who come there want to know, as a depot of ours has it (depots.models.Depot)."""

    state: str = ""
    help_phone: str = ""
    directions: tuple[Mapping[str, str], ...] = ()
    facilities: tuple[str, ...] = ()
    images: tuple[Mapping[str, Any], ...] = ()
    energy_mix: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ToldBay:
    """The vehicles that fit, and how it lies. `vehicle_types` None: nothing was said of them; empty: all."""

    vehicle_types: tuple[str, ...] | None = None
    max_length_cm: float | None = None
    max_width_cm: float | None = None
    max_height_cm: float | None = None
    max_weight_kg: float | None = None
    drive_through: bool | None = None
    dangerous_goods_allowed: bool | None = None
    refrigeration_outlet: bool | None = None
    length_cm: float | None = None
    width_cm: float | None = None
    direction: str | None = None
    position: str | None = None


@dataclass(frozen=True)
class ToldEvse:
    """`public_id` is its EVSE ID in all networks, `physical_reference` what is written on it. `is_reservable`: by RESERVE_NOW.
    `planned` is what it will be, from when and until when."""

    uid: str
    public_id: str
    floor_level: str
    physical_reference: str
    status: Evse.Status
    is_removed: bool
    connectors: tuple[ToldConnector, ...]
    bay: ToldBay | None
    last_updated: datetime
    is_reservable: bool = False
    planned: tuple[tuple[datetime, datetime | None, Evse.Status], ...] = ()


@dataclass(frozen=True)
class ToldHours:
    """Minutes of a local day; 24 * 60 is the midnight that ends it. Weekday 1 is Monday."""

    weekday: int
    from_minute: int
    to_minute: int


@dataclass(frozen=True)
class ToldPlace:
    """A depot. `is_partial`: EVSEs that could not be read were left out, so those told are not all there are. `exceptions` are
    times for which it is open (True) or closed (False) otherwise than its hours say."""

    country_code: str
    party_id: str
    location_id: str
    name: str
    address: str
    city: str
    postal_code: str
    country: str
    position: tuple[Decimal, Decimal] | None  # latitude and longitude
    time_zone: str | None
    charging_when_closed: bool
    hours: tuple[ToldHours, ...]
    evses: tuple[ToldEvse, ...]
    description: ToldDescription
    last_updated: datetime
    is_partial: bool = False
    exceptions: tuple[tuple[Period, bool], ...] = ()


@dataclass(frozen=True)
class ToldSlot:
    calendar_id: str
    period: Period
    step_min: int | None
    min_power_w: int | None
    max_power_w: int | None


@dataclass(frozen=True)
class ToldOffer:
    """What can be booked there, whole. `terms` are columns of TermsOverride, as told: no limits of ours are kept to yet.

    `evse_uid` is empty for a pool. `ad_hoc_places` are for who comes without a booking.
    """

    country_code: str
    party_id: str
    code: str
    location_id: str
    is_removed: bool
    evse_uid: str
    bay: ToldBay
    connectors: tuple[ToldConnector, ...]
    terms: Mapping[str, Any]
    slots: tuple[ToldSlot, ...]
    last_updated: datetime
    tariff_codes: tuple[str, ...] = ()
    ad_hoc_places: int | None = None


@dataclass(frozen=True)
class ToldTariff:
    """A tariff of a partner; `starts_at` and `ends_at` bound when it holds, None does not."""

    country_code: str
    party_id: str
    code: str
    content: TariffContent
    starts_at: datetime | None
    ends_at: datetime | None
    last_updated: datetime


@dataclass(frozen=True)
class ToldRequest:
    """What a BookingRequest of ours said, as a partner's history repeats it; what it left out is None or empty."""

    is_cancellation: bool
    span: tuple[datetime, datetime] | None
    evse_uid: str | None
    power_kw: int | None
    token_uids: frozenset[str]
    access: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class ToldEntry:
    """One entry of a booking's history: a request, and what became of it. `request` is None when it cannot be read."""

    decision: BookingRequest.Decision
    received_at: datetime
    request: ToldRequest | None


@dataclass(frozen=True)
class ToldBooking:
    """A booking of ours at a partner's depot. `told_status` is the partner's word, `status` ours for it (None: it says
    nothing we could follow); CHARGING comes when the session starts, and nothing comes when it ends. `terms` are those that it
    was accepted under, as far as they were told, in the columns of ToldOffer."""

    id: str
    request_id: str
    country_code: str
    party_id: str
    told_status: str
    status: BookingStatus | None
    span: tuple[datetime, datetime]
    power_w: int | None
    evse_uid: str | None
    cancelled_by: Booking.Side | None
    cancel_reason: str
    history: tuple[ToldEntry, ...]
    last_updated: datetime
    terms: Mapping[str, Any] = field(default_factory=dict)


class ToldToken(NamedTuple):
    """A token of a partner's eMSP; thousands come at once. `check` is an OwnerCheck."""

    country_code: str
    party_id: str
    uid: str
    type: str
    contract_id: str
    visual_number: str
    group_id: str
    is_valid: bool
    check: str
    last_updated: datetime


@dataclass(frozen=True)
class ToldInvoiceRecord:
    """Which CDRs an invoice is about, by their ids and as often as it names them."""

    country_code: str
    party_id: str
    id: str
    invoice_id: str
    cdr_ids: tuple[str, ...]
    last_updated: datetime


@dataclass(frozen=True)
class ToldAuthorization:
    """Whether a token may charge, by its owner's word: an OwnerAnswer.Outcome, and at which EVSEs alone."""

    outcome: str
    token: ToldToken | None = None
    reference: str = ""
    evse_uids: tuple[str, ...] = ()
    info: str = ""
