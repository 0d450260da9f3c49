"""A partner has one of our chargers do something: answered at once, carried out by the charger, told of afterwards.

Each is one transaction with what it leads to, so that what was accepted survives whoever dies next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bookings import operations
from bookings.actors import Actor
from bookings.billing.priced_visits import owned_token
from bookings.errors import BookingError, ChargerCannot, ChargerOffline, NotOpenToYou, WrongStatus
from bookings.models import Booking, BookingStatus, BookingToken
from bookings.operations import SlotRequest
from bookings.rules.entitlement import TokenName
from bookings.rules.identification import fellows, identify
from bookings.rules.reservations import ReservedTime, period_of_reservation
from depots import operations as depots
from depots.capabilities import why_not
from depots.models import ChargerCommand, ChargingSession, Depot, Evse, Organisation
from depots.queries import is_online
from depots.token_numbers import normalise
from roaming import access, guest_sessions
from roaming.commands import results
from roaming.models import Partner, ReceivedCommand
from roaming.ocpi.wire_object import folded
from roaming.switches import switch

Kind, Result = ReceivedCommand.Kind, ReceivedCommand.Result
Action = ChargerCommand.Action
# What a partner is told to wait; ours is shorter, so that it hears of a charger's silence in time.
TIMEOUT = timedelta(seconds=60)
DECIDED_WITHIN = timedelta(seconds=50)
WAITS = timedelta(seconds=35)


class CommandError(Exception):
    """The command names what is not there: nothing is done, and no result is owed. `field` is what to correct."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class PlaceUnknown(CommandError):
    """No such location, EVSE or connector is open to the asker."""


class SessionUnknown(CommandError):
    """No such session is the asker's."""


class AskedTooOften(CommandError):
    """More of a session's limits were asked for in a minute than is carried out."""


class CommandRefused(Exception):
    """It is not carried out, and the sentence says why. `is_supported`: it might be at another charger or time."""

    def __init__(self, sentence: str, *, is_supported: bool = True) -> None:
        super().__init__(sentence)
        self.is_supported = is_supported


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who sent a command, to whom of ours (None where only one can be meant), and where the result is to go."""

    partner: Partner
    party: tuple[str, str]
    operator: Organisation | None
    response_url: str
    raw: dict[str, Any]
    now: datetime

    @property
    def actor(self) -> Actor:
        return Actor.partner(*self.party)


@dataclass(frozen=True)
class Place:
    """Ids as partners know them; empty where none is named."""

    location_id: str
    evse_uid: str = ""
    connector_id: str = ""


def reserve(
    asker: Asker, place: Place, token: TokenName, until: datetime, key: str, reference: str
) -> ReceivedCommand:
    """RESERVE_NOW. The result follows from what the charger answers (results.follow_reservation). Raises PlaceUnknown,
    CommandRefused."""
    depot, evse = _place(asker, place)
    with refusing(), transaction.atomic():
        request = SlotRequest(
            fleet=asker.partner.organisation,
            option=_option(asker, depot, evse),
            period=period_of_reservation(until, now=asker.now),
            evse=evse,
            tokens=[token],
            authorization_reference=reference,
            party=asker.party,
            reserved=ReservedTime(asker.now, until),
        )
        received = _received(asker, Kind.RESERVE, depot, reservation_key=key)
        replaced = _reserved(asker, key)
        booking = operations.reserve_now(request, replaces=replaced, actor=asker.actor, now=asker.now)
        received.booking = booking
        results.owe(received)
        if replaced is not None and replaced.is_live:  # as it was before this one took its place
            guest_sessions.hand_over(replaced, booking)
        results.follow_reservation(booking, at=asker.now)
    return received


def cancel_reservation(asker: Asker, key: str) -> ReceivedCommand:
    """CANCEL_RESERVATION of what was reserved under this key. Raises CommandRefused."""
    booking = _reserved(asker, key)
    with refusing(), transaction.atomic():
        operator = booking.depot.operator if booking is not None else asker.operator
        if operator is None:
            raise CommandRefused("There is no such reservation of yours.")
        received = recorded(asker, Kind.CANCEL_RESERVATION, operator, booking=booking, reservation_key=key)
        results.owe(received)
        if booking is None or not booking.is_live:
            results.decide(
                received, Result.UNKNOWN_RESERVATION, "There is no such reservation.", now=asker.now
            )
        else:
            operations.give_back(booking, actor=asker.actor, now=asker.now)
            results.decide(received, Result.ACCEPTED, now=asker.now)
    return received


def start(asker: Asker, place: Place, token: TokenName, reference: str) -> ReceivedCommand:
    """START_SESSION: on the booking of the reference or of the token, else as somebody who has not booked. Raises PlaceUnknown,
    CommandRefused."""
    depot, evse = _place(asker, place)
    booking = _booking(asker, depot, token, reference)
    with refusing(), transaction.atomic():
        received = _received(asker, Kind.START, depot)
        if booking is None:
            received.charger_command = _start_unbooked(asker, depot, evse, token, reference)
        else:
            received.booking = booking
            received.charger_command = operations.start_remotely(
                booking_id=booking.pk, left_evse=evse, with_token=token, actor=asker.actor, now=asker.now
            )
        results.owe(received)
    return received


def stop(asker: Asker, session_id: str) -> ReceivedCommand:
    """STOP_SESSION of one that is the asker's. Raises SessionUnknown, CommandRefused."""
    session = own_session(asker, session_id)
    with refusing(), transaction.atomic():
        if session.ended_at is not None:
            raise CommandRefused("The session has ended.")
        if not is_online(session.charger, now=asker.now):
            raise ChargerOffline
        received = _received(asker, Kind.STOP, session.charger.depot, session=session)
        received.charger_command = depots.queue_command(
            charger=session.charger,
            action=Action.REMOTE_STOP,
            payload={"transaction": session.transaction},
            not_after=asker.now + WAITS,
            now=asker.now,
        )
        results.owe(received)
    return received


def unlock(asker: Asker, place: Place) -> ReceivedCommand:
    """UNLOCK_CONNECTOR, for a partner that may, where no truck but its own charges. Raises PlaceUnknown, CommandRefused."""
    depot, evse = _place(asker, place)
    if evse is None:
        raise PlaceUnknown("evse_uid", "is required")
    with refusing(), transaction.atomic():
        if not switch(asker.partner, "may_unlock"):
            raise CommandRefused("Unlocking is not agreed with you.", is_supported=False)
        running = ChargingSession.objects.filter(evse=evse, ended_at__isnull=True)
        if not all(_is_own(session, asker) for session in running):
            raise CommandRefused("Somebody else charges there.")
        received = _received(asker, Kind.UNLOCK, depot)
        received.charger_command = _queue(asker, evse, Action.UNLOCK, {"evse": evse.number})
        results.owe(received)
    return received


def own_session(asker: Asker, session_id: str) -> ChargingSession:
    """Of the asker's customers. Raises SessionUnknown, and CommandRefused for a reservation that nobody has used."""
    named = access.guest_sessions(asker.partner).filter(code=session_id.upper()).first()
    found = named.session if named is not None else _untold_session(session_id)
    if named is not None and named.reservation is not None and found is None:
        _refuse_unused(named.reservation, asker)
    if found is None or not _is_own(found, asker):
        raise SessionUnknown("session_id", "There is no such session of yours.")
    return found


def _refuse_unused(reservation: Booking, asker: Asker) -> None:
    """Raises CommandRefused where it is the asker's."""
    if _is_booking_of(reservation, asker):
        raise CommandRefused("Charging has not begun. A reservation is given back with CANCEL_RESERVATION.")


def _untold_session(session_id: str) -> ChargingSession | None:
    """One of a token that became its network's since it began."""
    is_key = session_id.isascii() and session_id.isdigit() and len(session_id) < 19
    rows = ChargingSession.objects.select_related("charger__depot__operator").filter(guest=None)
    return rows.filter(pk=int(session_id)).first() if is_key else None


def _is_own(session: ChargingSession, asker: Asker) -> bool:
    """By its booking, which is of one party of a partner and not of the others behind the same hub, else by its token."""
    booking = Booking.objects.filter(visits__session=session).first()
    if booking is not None:
        return _is_booking_of(booking, asker)
    token = owned_token(session)
    if token is None or token.fleet_id != asker.partner.organisation_id:
        return False
    return not token.party_id or folded(token.country_code, token.party_id) == folded(*asker.party)


def _is_booking_of(booking: Booking, asker: Asker) -> bool:
    party = booking.customer_country, booking.customer_party
    is_party = not all(party) or folded(*party) == folded(*asker.party)
    return booking.fleet_id == asker.partner.organisation_id and is_party


def _place(asker: Asker, place: Place) -> tuple[Depot, Evse | None]:
    """Raises PlaceUnknown."""
    rows = access.depots(asker.partner, operator=asker.operator, now=asker.now)
    depot = rows.filter(location_id__iexact=place.location_id).first()
    if depot is None:
        raise PlaceUnknown("location_id", "there is no such location for you")
    if not place.evse_uid:
        return depot, None
    evses = [each for each in depot.evses.all() if not each.is_withdrawn]
    evse = next((each for each in evses if each.uid.upper() == place.evse_uid.upper()), None)
    if evse is None:
        raise PlaceUnknown("evse_uid", "there is no such EVSE at this location")
    if place.connector_id and place.connector_id not in {str(c.number) for c in evse.connectors.all()}:
        raise PlaceUnknown("connector_id", "there is no such connector at this EVSE")
    return depot, evse


def _option(asker: Asker, depot: Depot, evse: Evse | None) -> Any:
    """What is reserved: an offer of the EVSE that is named, the narrowest; else the widest there is. Raises NotOpenToYou."""
    offers = list(access.options(asker.partner, now=asker.now).filter(depot=depot).prefetch_related("evses"))
    if evse is not None:
        offers = [offer for offer in offers if evse in offer.evses.all()]
    if not offers:
        raise NotOpenToYou("Nothing can be reserved there by you.")
    by_size = sorted(offers, key=lambda offer: len(offer.evses.all()))
    return by_size[0] if evse is not None else by_size[-1]


def _reserved(asker: Asker, key: str) -> Booking | None:
    """The newest reservation of the asker's party under this key."""
    rows = ReceivedCommand.objects.filter(
        partner=asker.partner,
        reservation_key__iexact=key,
        kind=Kind.RESERVE,
        country_code__iexact=asker.party[0],
        party_id__iexact=asker.party[1],
        booking__isnull=False,
    )
    found = rows.select_related("booking__depot__operator").order_by("-pk").first()
    return found.booking if found is not None else None


def _booking(asker: Asker, depot: Depot, token: TokenName, reference: str) -> Booking | None:
    """The asker's booking of this reference, else the one that the token opens by now, as one that it names or as a fellow of
    such a one in a group of the asker's. Raises CommandRefused where a token does not open the booking that is named."""
    rows = Booking.objects.filter(
        route__in=[Booking.Route.INBOUND, Booking.Route.RESERVED],
        fleet=asker.partner.organisation,
        customer_country__iexact=asker.party[0],
        customer_party__iexact=asker.party[1],
        depot=depot,
        status__in=[BookingStatus.CONFIRMED, BookingStatus.CHARGING],
        ends_at__gt=asker.now,
    ).prefetch_related("tokens")
    found = list(rows.order_by("starts_at", "pk"))
    opened = {booking.pk for booking in _opened_by(token, found)}
    if reference:
        named = [b for b in found if b.authorization_reference.upper() == reference.upper()]
        for booking in named:
            if booking.tokens.all() and booking.pk not in opened:
                raise CommandRefused("The token is none of the booking's.")
            return booking
    begun = [b for b in found if b.starts_at - b.terms.early_start <= asker.now and b.pk in opened]
    return begun[0] if begun else None


def _opened_by(token: TokenName, bookings: list[Booking]) -> list[Booking]:
    """Those that name it, or another token of a group that their own network has formed."""
    asked = _name(token)
    named = [b for b in bookings if asked in {_name(_token_name(each)) for each in b.tokens.all()}]
    if len(named) == len(bookings):
        return named
    in_group = fellows(bookings, identify(token.uid, token.type).network_groups)
    return [
        b
        for b in bookings
        if b in named
        or any((b.fleet_id, normalise(each.uid, each.type)) in in_group for each in b.tokens.all())
    ]


def _token_name(token: BookingToken) -> TokenName:
    return TokenName(token.uid, token.type, token.country_code, token.party_id)


def _name(token: TokenName) -> tuple[str, ...]:
    number = normalise(token.uid, token.type)
    return number, token.type.upper(), token.country_code.upper(), token.party_id.upper()


def _start_unbooked(
    asker: Asker, depot: Depot, evse: Evse | None, token: TokenName, reference: str
) -> ChargerCommand:
    evses = [evse] if evse else [each for each in depot.evses.all() if not each.is_withdrawn]
    if len(evses) != 1:
        raise CommandRefused("evse_uid is needed: there is more than one, and no booking says which.")
    return operations.start_unbooked(
        evse=evses[0],
        token=token,
        owner=asker.partner.organisation,
        reference=reference,
        actor=asker.actor,
        now=asker.now,
    )


def _queue(asker: Asker, evse: Evse, action: str, payload: dict[str, Any]) -> ChargerCommand:
    """Raises ChargerOffline, CommandRefused."""
    charger = evse.charger
    if charger is None or not is_online(charger, now=asker.now):
        raise ChargerOffline
    if reason := why_not(charger, action, payload):
        raise CommandRefused(reason, is_supported=False)
    return depots.queue_command(
        charger=charger, action=action, payload=payload, not_after=asker.now + WAITS, now=asker.now
    )


def _received(asker: Asker, kind: str, depot: Depot, **fields: Any) -> ReceivedCommand:
    return recorded(asker, kind, depot.operator, **fields)


def recorded(asker: Asker, kind: str, operator: Organisation, **fields: Any) -> ReceivedCommand:
    """Not saved yet: `results.owe` does."""
    return ReceivedCommand(
        partner=asker.partner,
        kind=kind,
        country_code=asker.party[0],
        party_id=asker.party[1],
        operator=operator,
        response_url=asker.response_url,
        raw=asker.raw,
        received_at=asker.now,
        answer_by=asker.now + DECIDED_WITHIN,
        **fields,
    )


class refusing:  # noqa: N801 - a context manager
    """Turns a rule's refusal into a command's; what was written is rolled back with it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, *_: object) -> None:
        if isinstance(error, ChargerCannot):
            raise CommandRefused(str(error), is_supported=False) from error
        if isinstance(error, WrongStatus | BookingError):
            raise CommandRefused(str(error)) from error
