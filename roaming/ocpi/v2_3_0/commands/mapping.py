"""Commands between OCPI and our words: tables and pure functions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bookings.models import GROUP, Booking, PartnerCommand
from bookings.rules.entitlement import TokenName
from roaming.commands.told import ToldResponse, ToldResult
from roaming.models import ReceivedCommand
from roaming.ocpi.lenient import read
from roaming.ocpi.v2_3_0.bookings.request_mapping import tokens_in
from roaming.ocpi.v2_3_0.bookings.schemas import BookingToken, TokenType
from roaming.ocpi.v2_3_0.bookings.token_types import token_type_out
from roaming.ocpi.v2_3_0.commands.schemas import (
    CancelReservation,
    CommandResponse,
    CommandResponseType,
    CommandResult,
    CommandResultType,
    CommandType,
    DisplayText,
    SentReservation,
    SentStart,
    StopSession,
    UnlockConnector,
)
from roaming.ocpi.v2_3_0.tokens.schemas import WhitelistType
from roaming.ocpi.wire_object import Notes

SentCommand = SentStart | SentReservation | CancelReservation | StopSession | UnlockConnector
Result = ReceivedCommand.Result
RESULT: dict[Result, CommandResultType] = {
    Result.ACCEPTED: CommandResultType.ACCEPTED,
    Result.REJECTED: CommandResultType.REJECTED,
    Result.OCCUPIED: CommandResultType.EVSE_OCCUPIED,
    Result.INOPERATIVE: CommandResultType.EVSE_INOPERATIVE,
    Result.NOT_SUPPORTED: CommandResultType.NOT_SUPPORTED,
    Result.FAILED: CommandResultType.FAILED,
    Result.TIMEOUT: CommandResultType.TIMEOUT,
    Result.UNKNOWN_RESERVATION: CommandResultType.UNKNOWN_RESERVATION,
    Result.WITHDRAWN: CommandResultType.CANCELED_RESERVATION,
}
NAME: dict[str, CommandType] = {
    PartnerCommand.Kind.START: CommandType.START_SESSION,
    PartnerCommand.Kind.STOP: CommandType.STOP_SESSION,
    PartnerCommand.Kind.UNLOCK: CommandType.UNLOCK_CONNECTOR,
    PartnerCommand.Kind.RESERVE: CommandType.RESERVE_NOW,
    PartnerCommand.Kind.GIVE_BACK: CommandType.CANCEL_RESERVATION,
}
RESPONSE_WORDS = {
    CommandResponseType.REJECTED: "It refuses the command.",
    CommandResponseType.NOT_SUPPORTED: "It does not offer this.",
    CommandResponseType.UNKNOWN_SESSION: "It does not know the session.",
}
RESULT_WORDS = {
    CommandResultType.REJECTED: "The charger refused.",
    CommandResultType.EVSE_OCCUPIED: "The EVSE is in use.",
    CommandResultType.EVSE_INOPERATIVE: "The EVSE is out of order.",
    CommandResultType.NOT_SUPPORTED: "The charger cannot do this.",
    CommandResultType.FAILED: "The charger failed to do it.",
    CommandResultType.TIMEOUT: "The charger did not answer.",
    CommandResultType.UNKNOWN_RESERVATION: "It does not know the reservation.",
    CommandResultType.CANCELED_RESERVATION: "The reservation was taken back.",
}


def response_out(result: CommandResponseType, timeout_s: int, text: str = "") -> CommandResponse:
    return CommandResponse(result=result, timeout=timeout_s, message=_message(text))


def result_out(received: ReceivedCommand) -> CommandResult:
    return CommandResult(result=RESULT[Result(received.result)], message=_message(received.result_text))


def token_in(token: BookingToken) -> TokenName:
    return tokens_in([token])[0]


def command_out(command: PartnerCommand, response_url: str, now: datetime) -> SentCommand:
    if command.kind == PartnerCommand.Kind.GIVE_BACK:
        return read(
            CancelReservation,
            {"response_url": response_url, "reservation_id": command.reservation},
            Notes(),
        )
    if command.kind == PartnerCommand.Kind.STOP:
        return read(
            StopSession, {"response_url": response_url, "session_id": command.remote_session}, Notes()
        )
    booking = command.booking
    if command.kind == PartnerCommand.Kind.UNLOCK:
        sessions = booking.remote_sessions.all()
        charged = next(each for each in sessions if each.remote_id == command.remote_session)
        plug = {"evse_uid": charged.evse_uid, "connector_id": charged.connector_id}
        place = {"location_id": booking.depot.location_id, **plug}
        return read(UnlockConnector, {"response_url": response_url, **place}, Notes())
    body = {
        "response_url": response_url,
        "token": _token_out(booking, now),
        "location_id": booking.depot.location_id,
        "evse_uid": booking.evse.uid if booking.evse is not None else None,
        "authorization_reference": (booking.authorization_reference or booking.reference)[:36],
    }
    body = {k: v for k, v in body.items() if v is not None}
    # Ids of partners may be longer than OCPI allows, and go back as they came.
    if command.kind == PartnerCommand.Kind.RESERVE:
        kept = {"expiry_date": command.expires_at, "reservation_id": command.reservation}
        return read(SentReservation, {**body, **kept}, Notes())
    return read(SentStart, body, Notes())


def _token_out(booking: Booking, now: datetime) -> dict[str, Any]:
    """The first of those that the partner was told of; of a booking without any a name for this one use."""
    named = next((token for token in booking.tokens.all() if token.type != GROUP), None)
    uid = named.uid if named is not None else booking.reference
    return {
        "country_code": booking.customer_country,
        "party_id": booking.customer_party,
        "uid": uid,
        "type": token_type_out(named.type) if named is not None else TokenType.AD_HOC_USER,
        "contract_id": (named.contract_id if named is not None else "") or uid,
        "issuer": booking.fleet.name[:64],
        "valid": True,
        "whitelist": WhitelistType.ALLOWED,
        "last_updated": now,
    }


def response_in(told: CommandResponse) -> ToldResponse:
    is_taken = told.result == CommandResponseType.ACCEPTED
    words = _text(told.message) or ("" if is_taken else RESPONSE_WORDS[told.result])
    return ToldResponse(is_taken, timedelta(seconds=told.timeout), words)


def told_result(told: CommandResult) -> ToldResult:
    is_done = told.result == CommandResultType.ACCEPTED
    words = _text(told.message) or ("" if is_done else RESULT_WORDS[told.result])
    return ToldResult(is_done, words, is_taken_back=told.result == CommandResultType.CANCELED_RESERVATION)


def _text(message: list[DisplayText]) -> str:
    """In English where there are several."""
    english = (one.text for one in message if one.language.lower() == "en")
    return next(english, message[0].text if message else "")


def _message(text: str) -> list[DisplayText]:
    return [DisplayText(language="en", text=text)] if text else []
