"""What the API sends, for its OpenAPI document. The objects themselves are written by hand beside their resources."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from bookings.api.fields import Moment

Item = TypeVar("Item")


class Fault(BaseModel):
    field: str
    detail: str


class NearestPeriod(BaseModel):
    starts_at: Moment
    ends_at: Moment


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    status: int
    title: str
    code: str = Field(description="stays the same from version to version; see the list of error codes")
    detail: str = Field(description="a sentence for a person")
    field: str | None = None
    errors: list[Fault] | None = None
    nearest: NearestPeriod | None = None


class List(BaseModel, Generic[Item]):
    items: list[Item]
    next: str | None = Field(description="the cursor of the next page")


class BookingObject(BaseModel):
    id: int
    reference: str
    status: str
    enforcement: str
    interrupted: dict[str, Any] | None
    depot: str
    option: str
    evse: str | None
    vehicle: str | None
    starts_at: Moment
    ends_at: Moment
    promised_power_kw: float
    tokens: list[str] = Field(description="uids")
    held_until: Moment | None
    series: int | None
    trip: int | None
    created_at: Moment
    updated_at: Moment


class OfferedInstead(BaseModel):
    """What the depot offers instead of what is asked for or booked; its place is kept until then."""

    version: int = Field(description="of the booking with it")
    evse: str
    starts_at: Moment
    ends_at: Moment
    promised_power_kw: float | None
    until: Moment
    note: str | None
    otherwise: str = Field(description="what the booking is without it: declined, cancelled or stays")


class WholeBooking(BookingObject):
    """A booking by itself."""

    terms: dict[str, Any]
    quote: dict[str, Any] | None
    offer: OfferedInstead | None
    events: list[dict[str, Any]]


class ProposedBooking(BookingObject):
    """Of a dry run there is no id, and no reference."""

    id: int | None  # type: ignore[assignment]
    reference: str | None  # type: ignore[assignment]


class BatchItem(BaseModel):
    booking: ProposedBooking | None
    code: str | None = Field(description="why it is refused")
    detail: str | None
    nearest: NearestPeriod | None


class BatchAnswer(BaseModel):
    items: list[BatchItem]


class SeriesItem(BaseModel):
    """A day of a series."""

    starts_at: Moment
    ends_at: Moment | None = Field(
        description="null where it would be found with the place, and there is none"
    )
    code: str | None = Field(description="why it is refused")
    detail: str | None
    nearest: NearestPeriod | None


class SeriesPreview(BaseModel):
    items: list[SeriesItem]


class SeriesObject(BaseModel):
    id: int
    rrule: str
    exceptions: list[str] = Field(
        description="local dates without a slot, those that could not be booked among them"
    )
    bookings: list[BookingObject] = Field(description="all it ever had, by the day of the rule")


class VehicleStateObject(BaseModel):
    plate: str
    soc: int | None = Field(description="percent")
    eta: Moment | None
    latitude: float | None
    longitude: float | None
    told_at: Moment


class LimitObject(BaseModel):
    depot: str
    kw: float
    since: Moment = Field(alias="from")
    until: Moment


class DepotOption(BaseModel):
    id: str
    evses: list[str] = Field(description="uids")
    terms: dict[str, Any] = Field(description="as in the depot file, in force for who asks")


class DepotEvse(BaseModel):
    """The fields of the depot file, and how it is."""

    uid: str
    number: int
    max_power_kw: float
    connector_standard: str | None
    format: str | None
    vehicle_types: list[str]
    drive_through: bool
    dangerous_goods_allowed: bool
    refrigeration_outlet: bool
    max_vehicle_length_cm: int | None
    max_vehicle_height_cm: int | None
    max_vehicle_width_cm: int | None
    max_vehicle_weight_kg: int | None
    state: str


class DepotObject(BaseModel):
    id: str
    name: str
    operator: str
    address: str
    city: str
    postal_code: str
    country: str
    latitude: float | None
    longitude: float | None
    time_zone: str
    options: list[DepotOption]
    evses: list[DepotEvse]


class PriceObject(BaseModel):
    currency: str
    total: str = Field(description="with taxes")


class Slot(BaseModel):
    depot: str
    option: str
    evse: str | None
    starts_at: Moment
    ends_at: Moment
    promised_power_kw: float = Field(description="without a wish")
    max_power_kw: float = Field(description="may be wished")
    price: PriceObject | None
    distance_km: float | None
    calendar_age_s: int | None = Field(description="of a partner's calendar")
    note: str | None = Field(
        None, description="only where evse is null: a sentence on who names it, and what that takes"
    )


class RefusedSlot(BaseModel):
    depot: str
    option: str
    code: str
    detail: str


class Slots(BaseModel):
    items: list[Slot]
    refused: list[RefusedSlot]
    next: str | None
