"""What a record names of place, parties and token, copied as it is now: none of it changes with a depot or a fleet."""

from __future__ import annotations

from typing import Any

from bookings.models import GROUP, Booking, BookingToken, Token
from bookings.rules.identification import identify
from depots.models import ChargingSession, Depot, Evse, Organisation
from depots.queries import was_asked_to_begin
from depots.token_numbers import is_same

# How a session was let in, in our words.
BY_CARD, REMOTELY, BY_ISSUER = "card", "remote", "asked"


def place_of(depot: Depot, evse: Evse | None) -> dict[str, Any]:
    """Depot, operator's party, and the EVSE with its first plug; without one where none was assigned."""
    place = {
        "depot": depot.code,
        "location_id": depot.location_id,
        "name": depot.name,
        "address": depot.address,
        "city": depot.city,
        "postal_code": depot.postal_code,
        "country": depot.country,
        "latitude": None if depot.latitude is None else str(depot.latitude),
        "longitude": None if depot.longitude is None else str(depot.longitude),
        "time_zone": depot.time_zone,
        "operator": depot.operator.name,
        "country_code": depot.operator.country_code,
        "party_id": depot.operator.cpo_party_id,
    }
    return place | (_evse(evse) if evse is not None else {})


def _evse(evse: Evse) -> dict[str, Any]:
    plug = evse.connectors.order_by("number").first()
    told: dict[str, Any] = {"evse_uid": evse.uid}
    if evse.public_id:
        told["evse_id"] = evse.public_id
    if plug is not None:
        told |= {
            "connector": str(plug.number),
            "standard": plug.standard,
            "format": plug.format,
            "power_type": plug.power_type,
        }
    return told


def token_of(
    customer: Organisation,
    booking: Booking | None,
    session: ChargingSession | None,
    known: Token | None = None,
) -> dict[str, Any]:
    """The token that was shown, as its booking or its owner names it; of a booking nobody used the first."""
    uid = session.token_uid if session is not None else ""
    kind = session.token_type if session is not None else ""
    named = _named(booking, uid, kind) if booking is not None else known
    return {
        "country_code": getattr(named, "country_code", "") or customer.country_code,
        "party_id": getattr(named, "party_id", "") or customer.emsp_party_id,
        "uid": named.uid if named is not None else uid,
        "type": named.type if named is not None else Token.Type.OTHER.value,
        "contract_id": named.contract_id if named is not None else "",
        "authorization_reference": _reference(booking, session),
        "let_in": _let_in(booking, session),
    }


def _reference(booking: Booking | None, session: ChargingSession | None) -> str:
    """The last one that was exchanged: that by which the token's issuer let it charge, else the booking's."""
    given = session.authorization_reference if session is not None else ""
    return given or (booking.authorization_reference if booking is not None else "")


def _named(booking: Booking, uid: str, kind: str) -> BookingToken | Token | None:
    tokens = [token for token in booking.tokens.all() if token.type != GROUP]
    shown = (token for token in tokens if is_same(token.uid, token.type, uid, kind))
    return next(shown, None) or _member(booking, uid, kind) or (tokens[0] if tokens else None)


def _member(booking: Booking, uid: str, kind: str) -> Token | None:
    """Its fleet's token that came in the name of those that the booking names: of a group of it, or of one of theirs."""
    if not uid:
        return None
    forms = identify(uid, kind).spellings
    return Token.objects.filter(fleet=booking.fleet_id, uid__card__in=forms).order_by("pk").first()


def _let_in(booking: Booking | None, session: ChargingSession | None) -> str:
    """What its issuer was asked for has the issuer's reference."""
    if _was_remote(booking, session):
        return REMOTELY
    return BY_ISSUER if session is not None and session.authorization_reference else BY_CARD


def _was_remote(booking: Booking | None, session: ChargingSession | None) -> bool:
    """A booking that nobody used was never shown a card for."""
    if session is None:
        return True
    if booking is None:
        return bool(session.authorization_reference) and was_asked_to_begin(session)
    return booking.events.filter(
        kind="remote_start", after="accepted", at__lte=session.start_received_at
    ).exists()
