"""Commands between OCPI and our words: tables and pure functions."""

from __future__ import annotations

from bookings.rules.entitlement import TokenName
from roaming.models import ReceivedCommand
from roaming.ocpi.v2_3_0.bookings.request_mapping import tokens_in
from roaming.ocpi.v2_3_0.bookings.schemas import BookingToken
from roaming.ocpi.v2_3_0.commands.schemas import (
    CommandResponse,
    CommandResponseType,
    CommandResult,
    CommandResultType,
    DisplayText,
)

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


def response_out(result: CommandResponseType, timeout_s: int, text: str = "") -> CommandResponse:
    return CommandResponse(result=result, timeout=timeout_s, message=_message(text))


def result_out(received: ReceivedCommand) -> CommandResult:
    return CommandResult(result=RESULT[Result(received.result)], message=_message(received.result_text))


def token_in(token: BookingToken) -> TokenName:
    return tokens_in([token])[0]


def _message(text: str) -> list[DisplayText]:
    return [DisplayText(language="en", text=text)] if text else []
