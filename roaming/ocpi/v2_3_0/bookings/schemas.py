"""The objects of Bookings 1.1 (mod_bookings, Object description). Timeslot powers are watts, `power_required` is kW."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from roaming.ocpi.field_types import (
    CountryCode,
    EchoedId,
    EchoedPartyId,
    Flag,
    Id36,
    Number,
    OpenName,
    OwnId,
    PartyId,
    Text255,
    TokenId,
    Url,
    Whole,
    one_of,
    some_of,
)
from roaming.ocpi.times import Moment
from roaming.ocpi.wire_object import SentWhole, WireObject, notes_of


class ReservationStatus(StrEnum):
    PENDING = "PENDING"
    RESERVED = "RESERVED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    NO_SHOW = "NO_SHOW"
    FULFILLED = "FULFILLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class ReservationRequestStatus(StrEnum):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"


class AccessMethod(StrEnum):
    OPEN = "OPEN"
    TOKEN = "TOKEN"  # noqa: S105 - a way through a gate, not a secret
    LICENSE_PLATE = "LICENSE_PLATE"
    ACCESS_CODE = "ACCESS_CODE"
    INTERCOM = "INTERCOM"
    PARKING_TICKET = "PARKING_TICKET"


class CanceledReason(StrEnum):
    POWER_OUTAGE = "POWER_OUTAGE"
    BROKEN_CHARGER = "BROKEN_CHARGER"
    FULL = "FULL"
    BLOCKED = "BLOCKED"
    TRAFFIC = "TRAFFIC"
    BROKEN_VEHICLE = "BROKEN_VEHICLE"
    NO_CANCELED = "NO_CANCELED"
    UNKNOWN = "UNKNOWN"


class CancelledBy(StrEnum):
    CPO = "CPO"
    EMSP = "EMSP"


class EvsePosition(StrEnum):
    LEFT = "LEFT"
    RIGHT = "RIGHT"
    CENTER = "CENTER"


class VehicleType(StrEnum):
    """Open: a partner may name others."""

    MOTORCYCLE = "MOTORCYCLE"
    PERSONAL_VEHICLE = "PERSONAL_VEHICLE"
    PERSONAL_VEHICLE_WITH_TRAILER = "PERSONAL_VEHICLE_WITH_TRAILER"
    VAN = "VAN"
    SEMI_TRACTOR = "SEMI_TRACTOR"
    RIGID = "RIGID"
    TRUCK_WITH_TRAILER = "TRUCK_WITH_TRAILER"
    BUS = "BUS"
    DISABLED = "DISABLED"


class ConnectorFormat(StrEnum):
    SOCKET = "SOCKET"
    CABLE = "CABLE"


class PowerType(StrEnum):
    AC_1_PHASE = "AC_1_PHASE"
    AC_2_PHASE = "AC_2_PHASE"
    AC_2_PHASE_SPLIT = "AC_2_PHASE_SPLIT"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


class TokenType(StrEnum):
    AD_HOC_USER = "AD_HOC_USER"
    APP_USER = "APP_USER"
    EMAID = "EMAID"
    OTHER = "OTHER"
    RFID = "RFID"


class Period(WireObject):
    start_date_time: Moment
    end_date_time: Moment


class Timeslot(WireObject):
    start_date_time: Moment
    end_date_time: Moment
    min_power: Number | None = None
    max_power: Number | None = None
    green_energy_support: Flag | None = None

    @model_validator(mode="after")
    def _powers_in_order(self) -> Timeslot:
        if self.min_power is not None and self.max_power is not None and self.min_power > self.max_power:
            raise ValueError("min_power must not exceed max_power")
        return self


class Calendar(WireObject):
    """`available_timeslots` is never empty when sent: a full calendar is left out of its BookingLocation."""

    keep_empty: ClassVar[frozenset[str]] = frozenset({"available_timeslots"})

    id: Id36
    begin_from: Moment
    end_before: Moment
    timeslot_increment: Whole | None = None
    available_timeslots: list[Timeslot] = Field(default_factory=list)
    last_updated: Moment

    @field_validator("available_timeslots")
    @classmethod
    def _not_empty_when_sent(cls, slots: list[Timeslot], info: ValidationInfo) -> list[Timeslot]:
        if not slots and notes_of(info) is None:
            raise ValueError("a calendar without free time is not sent")
        return slots


class BookingOption(WireObject):
    """Offered (BookingLocation), needed (BookingRequest) or granted (Booking). Lengths cm, weight kg."""

    evse_uid: Id36 | None = None
    connector_id: Id36 | None = None
    parking_id: Id36 | None = None
    evse_position: Annotated[list[EvsePosition], some_of(EvsePosition)] = Field(default_factory=list)
    vehicle_types: list[OpenName] = Field(default_factory=list)
    connector_format: Annotated[list[ConnectorFormat], some_of(ConnectorFormat)] = Field(default_factory=list)
    connector_types: list[OpenName] = Field(default_factory=list)
    power_types: Annotated[list[PowerType], some_of(PowerType)] = Field(default_factory=list)
    max_vehicle_weight: Number | None = None
    max_vehicle_height: Number | None = None
    max_vehicle_length: Number | None = None
    max_vehicle_width: Number | None = None
    min_parking_space_length: Number | None = None
    min_parking_space_width: Number | None = None
    dangerous_goods_allowed: Flag | None = None
    drive_through: Flag | None = None
    refrigeration_outlet: Flag | None = None


class BookingTerms(SentWhole):
    """Minutes, counted back from the start where they are deadlines."""

    always_sent: ClassVar[frozenset[str]] = frozenset(
        {"supported_access_methods", "change_until_minutes", "cancel_until_minutes"}
    )

    rfid_auth_required: Flag | None = None
    token_groups_supported: Flag | None = None
    remote_auth_supported: Flag | None = None
    supported_access_methods: Annotated[list[AccessMethod], some_of(AccessMethod)] = Field(
        default_factory=list
    )
    change_until_minutes: Number | None = None
    cancel_until_minutes: Number | None = None
    change_not_allowed: Flag | None = None
    early_start_allowed: Flag | None = None
    early_start_time: Number | None = None
    noshow_timeout: Number | None = None
    noshow_fee: Flag | None = None
    late_stop_allowed: Flag | None = None
    late_stop_time: Number | None = None
    overlapping_bookings_allowed: Flag | None = None
    min_booking_duration: Number | None = None
    max_booking_duration: Number | None = None
    booking_terms: Url | None = None


class BookingToken(WireObject):
    """Named by whoever gave it out, and echoed as it came; what a charger compares has at most 36 characters."""

    country_code: CountryCode
    party_id: EchoedPartyId
    uid: TokenId
    type: Annotated[TokenType, one_of(TokenType, unknown=TokenType.OTHER)]
    contract_id: TokenId


class AccessInformation(WireObject):
    method: Annotated[AccessMethod, one_of(AccessMethod)]
    value: Text255 | None = None


class Policy(WireObject):
    reservation_required: Flag
    ad_hoc: Number | None = None


WHO = {"SENDER": "CPO", "RECEIVER": "EMSP", "MSP": "EMSP"}


class Cancellation(WireObject):
    cancellation_reason: Annotated[CanceledReason, one_of(CanceledReason, unknown=CanceledReason.UNKNOWN)]
    who_canceled: Annotated[CancelledBy, one_of(CancelledBy, also=WHO)]


class BookingLocation(WireObject):
    """`status` is nothing of the specification: some partners withdraw an offer with `REMOVED`; never sent."""

    keep_empty: ClassVar[frozenset[str]] = frozenset({"calendars"})

    country_code: CountryCode
    party_id: PartyId
    id: Id36
    location_id: Id36
    booking_option: BookingOption | None = None
    policy: Policy | None = None
    tariff_ids: list[Id36] = Field(default_factory=list)
    booking_terms: BookingTerms | None = None
    calendars: list[Calendar] = Field(default_factory=list)
    last_updated: Moment
    status: OpenName | None = Field(default=None, exclude=True)

    @property
    def is_removed(self) -> bool:
        return self.status is not None and self.status.upper() == "REMOVED"


class BookingRequest(WireObject):
    """One ask of an eMSP: create, edit, or (with `canceled`) cancel.

    From partners `booking_location_id` may be missing (1.0 had none), and a cancellation may consist of its
    identifiers alone; ours are always complete. The asker's own ids go back to it, so they have to fit.
    """

    is_ask: ClassVar[bool] = True
    tokens_may_be_missing: ClassVar[bool] = False

    country_code: CountryCode
    party_id: PartyId
    request_id: OwnId
    booking_option: BookingOption | None = None
    location_id: Id36 | None = None
    booking_location_id: Id36 | None = None
    tokens: list[BookingToken] = Field(default_factory=list)
    access_information: list[AccessInformation] = Field(default_factory=list)
    period: Period | None = None
    authorization_reference: OwnId
    power_required: Whole | None = None
    canceled: Cancellation | None = None

    @model_validator(mode="after")
    def _is_complete(self, info: ValidationInfo) -> BookingRequest:
        is_ours = notes_of(info) is None
        wanted = ["location_id", "period"] if is_ours or self.canceled is None else []
        wanted += ["booking_location_id"] if is_ours else []
        wanted += ["tokens"] if is_ours and not self.tokens_may_be_missing else []
        missing = [name for name in wanted if not getattr(self, name)]
        if missing:
            raise ValueError(f"{missing[0]} is required")
        return self


class EchoedRequest(BookingRequest):
    """A BookingRequest of a partner as it goes back: complete, but for tokens, of which it may have named none."""

    tokens_may_be_missing: ClassVar[bool] = True


class BookingRequestStatus(WireObject):
    """`booking_request` is kept and sent as it was received, unknown fields too, and completed (`EchoedRequest`)."""

    request_status: Annotated[ReservationRequestStatus, one_of(ReservationRequestStatus)]
    booking_request: dict[str, Any]
    request_received: Moment


STATUS_SPELLINGS = {
    "CANCELLED": "CANCELED",
    "FULLFILLED": "FULFILLED",
    "FULLFILED": "FULFILLED",
    "FULFILED": "FULFILLED",
    "NOSHOW": "NO_SHOW",
}


class Booking(SentWhole):
    """The contract, owned by the CPO. `booking_requests` is its whole history, oldest first.

    The eMSP's own ids go back as they came, even where they are longer than they should be.
    """

    always_sent: ClassVar[frozenset[str]] = frozenset({"location_id"})

    id: Id36
    country_code: CountryCode
    party_id: PartyId
    request_id: EchoedId
    booking_option: BookingOption | None = None
    location_id: Id36 | None = None
    booking_tokens: list[BookingToken] = Field(default_factory=list)
    tariff_ids: list[Id36] = Field(default_factory=list)
    period: Timeslot
    reservation_status: Annotated[
        ReservationStatus, one_of(ReservationStatus, also=STATUS_SPELLINGS, unknown=ReservationStatus.UNKNOWN)
    ]
    canceled: Cancellation | None = None
    access_information: list[AccessInformation] = Field(default_factory=list)
    authorization_reference: EchoedId
    booking_terms: BookingTerms
    booking_requests: list[BookingRequestStatus]
    last_updated: Moment
