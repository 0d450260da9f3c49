"""A partner asks for a booking, for a change of one, or for its end: one message, one call, told apart by its id."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from bookings.actors import Actor
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingOption
from bookings.operations import ChangeRequest, SlotRequest, ask_to_book, ask_to_cancel, ask_to_change
from bookings.operations.partner_asks import find_asked, is_repeated
from bookings.operations.request_log import ReceivedMessage
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from bookings.rules.periods import LATE_TOLERANCE
from depots import round_trips
from depots.models import Evse, Organisation
from depots.periods import Period
from roaming import access
from roaming.inbound import known_options
from roaming.models import Partner

MOST_REQUESTS, MOST_CANCELLATIONS = 100, 20
# Most messages are the first of theirs: whether there is a booking of this request id is asked before its rows. The sum keeps
# PostgreSQL, as long as it has no statistics of the table, from reading all bookings of the fleet instead.
_IS_KNOWN = round_trips.Prepared("""
SELECT EXISTS (
    SELECT FROM bookings_booking
    WHERE upper(request_id) = upper(%(request)s) AND fleet_id + 0 = %(fleet)s
      AND upper(customer_country) = upper(%(country)s) AND upper(customer_party) = upper(%(party)s)
)
""")
_IS_KNOWN_AND_STAMP = round_trips.Prepared(f"{_IS_KNOWN}, {known_options.STAMP}")
_QUEUE = round_trips.Locking("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))")


class PartnerRequestError(Exception):
    """The request breaks a rule of the conversation: there is nothing to book or decline. `field` is what to correct."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class PlaceUnknown(PartnerRequestError):
    """No such depot or offer is open to the asker."""


class OfferUnclear(PartnerRequestError):
    """More than one offer is meant."""


class Malformed(PartnerRequestError):
    pass


class Over(PartnerRequestError):
    """The booking is in a final state."""


class AskedTooOften(PartnerRequestError):
    """A booking has been asked about so often that no more is kept of it."""


@dataclass(frozen=True)
class PartnerRequest:
    """What one message of a partner asks for. `cancel_reason` makes it a cancellation; all else is ignored then.

    `received` is the message as it came, `fingerprint` what makes a repetition of it the same message.
    """

    party: tuple[str, str]
    request_id: str
    received: dict[str, Any]
    fingerprint: str
    location_id: str = ""
    option_code: str = ""
    evse_uid: str = ""
    period: Period | None = None
    needs: Needs = field(default_factory=Needs)
    tokens: tuple[TokenName, ...] = ()
    power_w: int | None = None
    plate: str = ""
    authorization_reference: str = ""
    cancel_reason: str = ""

    @property
    def message(self) -> ReceivedMessage:
        return ReceivedMessage(self.received, self.fingerprint)


@dataclass(frozen=True)
class ReceivedRequest:
    booking: Booking
    is_new: bool


def receive_request(
    partner: Partner, request: PartnerRequest, *, operator: Organisation | None = None, now: datetime
) -> ReceivedRequest:
    """Carry out a partner's message, once however often and however concurrently it comes.

    A refusal by a rule of ours is a DECLINED ask in the booking. Raises PartnerRequestError, with nothing changed.
    """
    with round_trips.atomic():
        _queue(partner, request)
        ask = _look(partner, request, operator, now)
        known = find_asked(partner.organisation, request.party, request.request_id) if ask.is_known else None
        if known is None:
            return ReceivedRequest(_book(ask), is_new=True)
        if not is_repeated(known, request.fingerprint, now=now):
            _check_room(known, request)
            _edit(ask, known)
        return ReceivedRequest(known, is_new=False)


@dataclass(frozen=True)
class _AskByPartner:
    """A message with who sent it, and what the database knows of it: a booking of its id, and the option it names."""

    partner: Partner
    request: PartnerRequest
    operator: Organisation | None
    now: datetime
    is_known: bool
    found: known_options.Found | None

    @property
    def actor(self) -> Actor:
        return Actor.partner(*self.request.party)


def _look(
    partner: Partner, request: PartnerRequest, operator: Organisation | None, now: datetime
) -> _AskByPartner:
    country, party = request.party
    told: dict[str, str | int] = {
        "country": country,
        "party": party,
        "fleet": partner.organisation_id,
        "request": request.request_id,
    }
    found = known_options.remembered(request.location_id, request.option_code)
    if found is not None:
        told |= {"depot": found.depot_id, "operator": found.operator_id}
    with connection.cursor() as cursor:
        cursor.execute(_IS_KNOWN if found is None else _IS_KNOWN_AND_STAMP, told)
        is_known, *stamp = cursor.fetchone()
    if request.option_code and (found is None or found.stamp != tuple(stamp)):
        found = known_options.find(request.location_id, request.option_code)
    return _AskByPartner(partner, request, operator, now, is_known, found)


def _refuse_foreign_tokens(partner: Partner, request: PartnerRequest) -> None:
    """A network vouches for its own customers' cards only: another's card is not for it to open a charger with."""
    emsps = [role for role in partner.roles if role["role"] == "EMSP"]
    own = {(role["country_code"].upper(), role["party_id"].upper()) for role in emsps}
    own.add((request.party[0].upper(), request.party[1].upper()))
    for token in request.tokens:
        if (token.country_code.upper(), token.party_id.upper()) not in own:
            party = f"{token.country_code}*{token.party_id}"
            raise Malformed("tokens", f"{party} is none of your parties; name tokens of your own")


def _check_room(booking: Booking, request: PartnerRequest) -> None:
    """All requests for a booking are kept, and go back with every state of it. Raises AskedTooOften; its end can be asked for
    some times more."""
    most = MOST_REQUESTS + (MOST_CANCELLATIONS if request.cancel_reason else 0)
    if booking.requests.count() >= most:
        raise AskedTooOften("request_id", f"has been used {most} times; a new booking needs a new request_id")


def _queue(partner: Partner, request: PartnerRequest) -> None:
    """Messages of one request id go one after the other; the id has no row to lock before the first is through."""
    key = "*".join([str(partner.pk), *request.party, request.request_id]).upper()
    round_trips.send(_QUEUE, [key])


def _book(ask: _AskByPartner) -> Booking:
    request, partner = ask.request, ask.partner
    if request.cancel_reason:
        raise Malformed("request_id", "there is no booking of this request_id to cancel")
    period = _period(request, ask.now)
    option = _option(ask)
    _refuse_foreign_tokens(partner, request)
    slot = SlotRequest(
        fleet=partner.organisation,
        option=option,
        period=period,
        needs=request.needs,
        evse=_evse(request, option),
        tokens=request.tokens,
        power_w=request.power_w,
        plate=request.plate,
        request_id=request.request_id,
        authorization_reference=request.authorization_reference,
        party=request.party,
        message=request.message,
    )
    return ask_to_book(slot, actor=ask.actor, now=ask.now)


def _edit(ask: _AskByPartner, booking: Booking) -> None:
    request = ask.request
    try:
        if request.cancel_reason:
            ask_to_cancel(
                booking.pk,
                reason=request.cancel_reason,
                message=request.message,
                actor=ask.actor,
                now=ask.now,
            )
        else:
            _change(ask, booking)
    except WrongStatus as over:
        sentence = f"the booking is {booking.get_status_display().lower()}; a new one needs a new request_id"
        raise Over("request_id", sentence) from over


def _change(ask: _AskByPartner, booking: Booking) -> None:
    request = ask.request
    if not booking.is_live:
        raise WrongStatus(booking.status, "changed")
    period = _period(request, ask.now, in_force=booking.period)
    option = _option(ask, booked=booking.option)
    if option.pk != booking.option_id:
        raise Malformed("booking_location_id", "cannot be changed; cancel the booking and ask for a new one")
    _refuse_foreign_tokens(ask.partner, request)
    change = ChangeRequest(
        period=period,
        needs=request.needs,
        evse=_evse(request, option),
        tokens=request.tokens or None,
        power_w=request.power_w,
        plate=request.plate,
        authorization_reference=request.authorization_reference,
        message=request.message,
    )
    ask_to_change(booking.pk, change, actor=ask.actor, now=ask.now)


def _period(request: PartnerRequest, now: datetime, *, in_force: Period | None = None) -> Period:
    if request.period is None:
        raise Malformed("period", "is required")
    starts_as_before = in_force is not None and in_force.starts_at == request.period.starts_at
    if request.period.starts_at < now - LATE_TOLERANCE and not starts_as_before:
        raise Malformed("period.start_date_time", "must not be in the past")
    return request.period


def _option(ask: _AskByPartner, *, booked: BookingOption | None = None) -> BookingOption:
    """The offer that is meant; by its depot and EVSE where its id is not given. Raises PlaceUnknown, OfferUnclear."""
    partner, request, operator, now = ask.partner, ask.request, ask.operator, ask.now
    if request.option_code:
        named = ask.found and known_options.option_of(ask.found, partner, operator=operator, now=now)
        if named is None:
            raise PlaceUnknown("booking_location_id", "there is no such offer at this location for you")
        return named
    at_depot = access.options(partner, operator=operator, now=now).filter(
        depot__location_id__iexact=request.location_id
    )
    found = list(at_depot)
    if not found:
        raise PlaceUnknown("location_id", "there is no such location for you")
    if booked is not None and booked in found:
        return booked
    if request.evse_uid:
        found = _alone([o for o in found if _evse_in(o, request.evse_uid) is not None])
    if len(found) != 1:
        raise OfferUnclear("booking_location_id", f"is required: {len(found)} offers could be meant")
    return found[0]


def _alone(options: list[BookingOption]) -> list[BookingOption]:
    """An EVSE's own offer comes before a pool it belongs to."""
    fewest = min((len(option.evses.all()) for option in options), default=0)
    return [option for option in options if len(option.evses.all()) == fewest]


def _evse(request: PartnerRequest, option: BookingOption) -> Evse | None:
    if not request.evse_uid:
        return None
    found = _evse_in(option, request.evse_uid)
    if found is None:
        raise Malformed("booking_option.evse_uid", "this EVSE does not belong to the offer")
    return found


def _evse_in(option: BookingOption, uid: str) -> Evse | None:
    return next((evse for evse in option.evses.all() if evse.uid.upper() == uid.upper()), None)
