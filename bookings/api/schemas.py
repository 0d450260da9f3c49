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


class WholeBooking(BookingObject):
    """A booking by itself."""

    terms: dict[str, Any]
    quote: dict[str, Any] | None
    events: list[dict[str, Any]]
