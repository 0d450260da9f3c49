"""Commands (OCPI 2.3.0 mod_commands), the same in 2.2.1."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from roaming.ocpi.field_types import EchoedId, Id36, Text512, Url, Whole, one_of
from roaming.ocpi.times import Moment
from roaming.ocpi.v2_3_0.bookings.schemas import BookingToken
from roaming.ocpi.v2_3_0.tokens.schemas import Token
from roaming.ocpi.wire_object import WireObject


class CommandType(StrEnum):
    CANCEL_RESERVATION = "CANCEL_RESERVATION"
    RESERVE_NOW = "RESERVE_NOW"
    START_SESSION = "START_SESSION"
    STOP_SESSION = "STOP_SESSION"
    UNLOCK_CONNECTOR = "UNLOCK_CONNECTOR"


class CommandResponseType(StrEnum):
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    ACCEPTED = "ACCEPTED"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class CommandResultType(StrEnum):
    ACCEPTED = "ACCEPTED"
    CANCELED_RESERVATION = "CANCELED_RESERVATION"
    EVSE_OCCUPIED = "EVSE_OCCUPIED"
    EVSE_INOPERATIVE = "EVSE_INOPERATIVE"
    FAILED = "FAILED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TIMEOUT = "TIMEOUT"
    UNKNOWN_RESERVATION = "UNKNOWN_RESERVATION"


class DisplayText(WireObject):
    language: Annotated[str, Field(min_length=2, max_length=2)] = "en"
    text: Text512


class CommandResponse(WireObject):
    """`timeout` in seconds: after it no result comes any more."""

    result: Annotated[CommandResponseType, one_of(CommandResponseType)]
    timeout: Whole
    message: list[DisplayText] = Field(default_factory=list)


class CommandResult(WireObject):
    result: Annotated[
        CommandResultType, one_of(CommandResultType, also={"CANCELLED_RESERVATION": "CANCELED_RESERVATION"})
    ]
    message: list[DisplayText] = Field(default_factory=list)


class ReserveNow(WireObject):
    """Of the token what names it counts; the rest was for its eMSP to look at."""

    is_ask: ClassVar[bool] = True

    response_url: Url
    token: BookingToken
    expiry_date: Moment
    reservation_id: EchoedId
    location_id: Id36
    evse_uid: Id36 | None = None
    authorization_reference: Id36 | None = None


class CancelReservation(WireObject):
    is_ask: ClassVar[bool] = True

    response_url: Url
    reservation_id: EchoedId


class StartSession(WireObject):
    is_ask: ClassVar[bool] = True

    response_url: Url
    token: BookingToken
    location_id: Id36
    evse_uid: Id36 | None = None
    connector_id: Id36 | None = None
    authorization_reference: Id36 | None = None


class SentStart(StartSession):
    """As we send it: with the whole Token, which whoever gets it has not to look up."""

    token: Token  # type: ignore[assignment]


class SentReservation(ReserveNow):
    """The same."""

    token: Token  # type: ignore[assignment]


class StopSession(WireObject):
    is_ask: ClassVar[bool] = True

    response_url: Url
    session_id: Id36


class UnlockConnector(WireObject):
    is_ask: ClassVar[bool] = True

    response_url: Url
    location_id: Id36
    evse_uid: Id36
    connector_id: Id36
