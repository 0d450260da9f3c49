"""Commands, Receiver: what a partner has our chargers do (OCPI 2.3.0 mod_commands, Receiver Interface)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from depots.url_guard import HostileAddress, check_url
from roaming import deviations
from roaming.commands import received
from roaming.commands.received import Asker, Place
from roaming.models import ReceivedCommand
from roaming.ocpi.auth import caller_of, own_party, speaking_party, tells_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.routes import Routes
from roaming.ocpi.v2_3_0.bookings.schemas import BookingToken
from roaming.ocpi.v2_3_0.commands import schemas
from roaming.ocpi.v2_3_0.commands.mapping import response_out, token_in
from roaming.ocpi.v2_3_0.commands.reading import read_command
from roaming.ocpi.v2_3_0.commands.schemas import CommandResponseType
from roaming.ocpi.wire_object import UnreadableError, WireObject

routes = Routes()
C = TypeVar("C", bound=WireObject)
ANSWERS: dict[type[received.CommandError], Code] = {
    received.PlaceUnknown: Code.UNKNOWN_LOCATION,
}


@routes.post("/RESERVE_NOW")
def reserve_now(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    asker, told = _read(request, schemas.ReserveNow)
    place = Place(told.location_id, told.evse_uid or "")
    return _answered(
        asker,
        lambda: received.reserve(
            asker,
            place,
            token_in(_own_token(request, told.token)),
            told.expiry_date,
            told.reservation_id,
            told.authorization_reference or "",
        ),
    )


@routes.post("/CANCEL_RESERVATION")
def cancel_reservation(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    asker, told = _read(request, schemas.CancelReservation)
    return _answered(asker, lambda: received.cancel_reservation(asker, told.reservation_id))


@routes.post("/START_SESSION")
def start_session(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    asker, told = _read(request, schemas.StartSession)
    if told.connector_id and not told.evse_uid:
        raise RefusalError(Code.NOT_ENOUGH, "evse_uid: is required with connector_id")
    place = Place(told.location_id, told.evse_uid or "", told.connector_id or "")
    token, reference = token_in(_own_token(request, told.token)), told.authorization_reference or ""
    return _answered(asker, lambda: received.start(asker, place, token, reference))


@routes.post("/STOP_SESSION")
def stop_session(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    asker, told = _read(request, schemas.StopSession)
    return _answered(asker, lambda: received.stop(asker, told.session_id))


@routes.post("/UNLOCK_CONNECTOR")
def unlock_connector(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    asker, told = _read(request, schemas.UnlockConnector)
    place = Place(told.location_id, told.evse_uid, told.connector_id)
    return _answered(asker, lambda: received.unlock(asker, place))


def _read(request: HttpRequest, model: type[C]) -> tuple[Asker, C]:
    """Raises RefusalError, UnreadableError."""
    caller, raw = caller_of(request), read_object(request)
    told = read_command(model, raw)
    deviations.count(caller.partner, told.deviations)
    asker = asker_of(request, str(getattr(told.value, "response_url", "")), raw)
    return asker, told.value


def asker_of(request: HttpRequest, response_url: str, raw: dict[str, Any]) -> Asker:
    """Raises RefusalError for a party that is not the caller's or a URL that we do not call."""
    caller = caller_of(request)
    try:
        check_url(response_url)
    except HostileAddress as refusal:
        raise RefusalError(Code.INVALID, f"response_url: {refusal}") from None
    return Asker(
        partner=caller.partner,
        party=speaking_party(caller, "EMSP"),
        operator=own_party(caller, "CPO"),
        response_url=response_url,
        raw=raw,
        now=timezone.now(),
    )


def _own_token(request: HttpRequest, token: BookingToken) -> BookingToken:
    """Raises UnreadableError: a network vouches for its own customers only."""
    if not tells_of(caller_of(request), token.country_code, token.party_id, "EMSP"):
        raise UnreadableError("token.party_id", "is none of the eMSP parties of your credentials")
    return token


def _answered(asker: Asker, carry_out: Callable[[], ReceivedCommand]) -> HttpResponse:
    timeout_s = int(received.TIMEOUT.total_seconds())
    try:
        carry_out()
    except received.SessionUnknown as unknown:
        return ok(response_out(CommandResponseType.UNKNOWN_SESSION, timeout_s, str(unknown)))
    except received.CommandError as error:
        raise RefusalError(ANSWERS[type(error)], f"{error.field}: {error}") from error
    except received.CommandRefused as refusal:
        said = CommandResponseType.REJECTED if refusal.is_supported else CommandResponseType.NOT_SUPPORTED
        return ok(response_out(said, timeout_s, str(refusal)))
    return ok(response_out(CommandResponseType.ACCEPTED, timeout_s))
