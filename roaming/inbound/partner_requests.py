"""A partner asks for a booking, for a change of one, or for its end: one message, one call, told apart by its id."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from bookings.actors import Actor
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingOption
from bookings.operations import ChangeRequest, SlotRequest, ask_to_book, ask_to_cancel, ask_to_change
from bookings.operations.partner_asks import find_asked, is_repeated
from bookings.operations.request_log import ReceivedMessage
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from bookings.rules.periods import LATE_TOLERANCE
from depots.models import Evse, Organisation
from depots.periods import Period
from roaming import access
from roaming.inbound.known_options import named_option
from roaming.models import Partner

MOST_ASKS, MOST_CANCELLATIONS = 100, 20
_ASKED = """
SELECT FROM bookings_booking
WHERE upper(customer_country) = upper(%s) AND upper(customer_party) = upper(%s) AND fleet_id = %s
  AND upper(request_id) = upper(%s)
LIMIT 1
"""


class AskError(Exception):
    """The ask breaks a rule of the conversation: there is nothing to book or decline. `field` is what to correct."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class PlaceUnknown(AskError):
    """No such depot or offer is open to the asker."""


class PlaceUnclear(AskError):
    """More than one offer is meant."""


class Malformed(AskError):
    pass


class Over(AskError):
    """The booking is in a final state."""


class TooManyAsks(AskError):
    """A booking has been asked about so often that no more is kept of it."""


@dataclass(frozen=True)
class Ask:
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
class Outcome:
    booking: Booking
    is_new: bool


def post_ask(partner: Partner, ask: Ask, *, operator: Organisation | None = None, now: datetime) -> Outcome:
    """Carry out a partner's message, once however often and however concurrently it comes.

    A refusal by a rule of ours is a DECLINED ask in the booking. Raises AskError, with nothing changed.
    """
    with transaction.atomic():
        _queue(partner, ask)
        known = (
            find_asked(partner.organisation, ask.party, ask.request_id) if _is_asked(partner, ask) else None
        )
        if known is None:
            return Outcome(_book(partner, ask, operator, now), is_new=True)
        if not is_repeated(known, ask.fingerprint, now=now):
            _check_room(known, ask)
            _edit(partner, known, ask, operator, now)
        return Outcome(known, is_new=False)


def _is_asked(partner: Partner, ask: Ask) -> bool:
    """Whether a booking of this request id is there; most messages are the first of theirs."""
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, [*ask.party, partner.organisation_id, ask.request_id])
        return cursor.fetchone() is not None


def _refuse_foreign_tokens(partner: Partner, ask: Ask) -> None:
    """A network vouches for its own customers' cards only: another's card is not for it to open a charger with."""
    emsps = [role for role in partner.roles if role["role"] == "EMSP"]
    own = {(role["country_code"].upper(), role["party_id"].upper()) for role in emsps}
    own.add((ask.party[0].upper(), ask.party[1].upper()))
    for token in ask.tokens:
        if (token.country_code.upper(), token.party_id.upper()) not in own:
            party = f"{token.country_code}*{token.party_id}"
            raise Malformed("tokens", f"{party} is none of your parties; name tokens of your own")


def _check_room(booking: Booking, ask: Ask) -> None:
    """All asks of a booking are kept, and go back with every state of it. Raises TooManyAsks; its end can be asked for
    some times more."""
    most = MOST_ASKS + (MOST_CANCELLATIONS if ask.cancel_reason else 0)
    if booking.requests.count() >= most:
        raise TooManyAsks("request_id", f"has been used {most} times; a new booking needs a new request_id")


def _queue(partner: Partner, ask: Ask) -> None:
    """Messages of one request id go one after the other; the id has no row to lock before the first is through."""
    key = "*".join([str(partner.pk), *ask.party, ask.request_id]).upper()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [key])


def _book(partner: Partner, ask: Ask, operator: Organisation | None, now: datetime) -> Booking:
    if ask.cancel_reason:
        raise Malformed("request_id", "there is no booking of this request_id to cancel")
    period = _period(ask, now)
    option = _option(partner, ask, operator, now)
    _refuse_foreign_tokens(partner, ask)
    slot = SlotRequest(
        fleet=partner.organisation,
        option=option,
        period=period,
        needs=ask.needs,
        evse=_evse(ask, option),
        tokens=ask.tokens,
        power_w=ask.power_w,
        plate=ask.plate,
        request_id=ask.request_id,
        authorization_reference=ask.authorization_reference,
        party=ask.party,
        message=ask.message,
    )
    return ask_to_book(slot, actor=Actor.partner(*ask.party), now=now)


def _edit(partner: Partner, booking: Booking, ask: Ask, operator: Organisation | None, now: datetime) -> None:
    try:
        if ask.cancel_reason:
            ask_to_cancel(
                booking.pk,
                reason=ask.cancel_reason,
                message=ask.message,
                actor=Actor.partner(*ask.party),
                now=now,
            )
        else:
            _change(partner, booking, ask, operator, now)
    except WrongStatus as over:
        sentence = f"the booking is {booking.get_status_display().lower()}; a new one needs a new request_id"
        raise Over("request_id", sentence) from over


def _change(
    partner: Partner, booking: Booking, ask: Ask, operator: Organisation | None, now: datetime
) -> None:
    if not booking.is_live:
        raise WrongStatus(booking.status, "changed")
    period = _period(ask, now, in_force=booking.period)
    option = _option(partner, ask, operator, now, booked=booking.option)
    if option.pk != booking.option_id:
        raise Malformed("booking_location_id", "cannot be changed; cancel the booking and ask for a new one")
    _refuse_foreign_tokens(partner, ask)
    request = ChangeRequest(
        period=period,
        needs=ask.needs,
        evse=_evse(ask, option),
        tokens=ask.tokens or None,
        power_w=ask.power_w,
        plate=ask.plate,
        authorization_reference=ask.authorization_reference,
        message=ask.message,
    )
    ask_to_change(booking.pk, request, actor=Actor.partner(*ask.party), now=now)


def _period(ask: Ask, now: datetime, *, in_force: Period | None = None) -> Period:
    if ask.period is None:
        raise Malformed("period", "is required")
    starts_as_before = in_force is not None and in_force.starts_at == ask.period.starts_at
    if ask.period.starts_at < now - LATE_TOLERANCE and not starts_as_before:
        raise Malformed("period.start_date_time", "must not be in the past")
    return ask.period


def _option(
    partner: Partner,
    ask: Ask,
    operator: Organisation | None,
    now: datetime,
    *,
    booked: BookingOption | None = None,
) -> BookingOption:
    """The offer that is meant; by its depot and EVSE where its id is not given. Raises PlaceUnknown, PlaceUnclear."""
    if ask.option_code:
        named = named_option(partner, ask.location_id, ask.option_code, operator=operator, now=now)
        if named is None:
            raise PlaceUnknown("booking_location_id", "there is no such offer at this location for you")
        return named
    at_depot = access.options(partner, operator=operator, now=now).filter(
        depot__location_id__iexact=ask.location_id
    )
    found = list(at_depot)
    if not found:
        raise PlaceUnknown("location_id", "there is no such location for you")
    if booked is not None and booked in found:
        return booked
    if ask.evse_uid:
        found = _alone([o for o in found if _evse_in(o, ask.evse_uid) is not None])
    if len(found) != 1:
        raise PlaceUnclear("booking_location_id", f"is required: {len(found)} offers could be meant")
    return found[0]


def _alone(options: list[BookingOption]) -> list[BookingOption]:
    """An EVSE's own offer comes before a pool it belongs to."""
    fewest = min((len(option.evses.all()) for option in options), default=0)
    return [option for option in options if len(option.evses.all()) == fewest]


def _evse(ask: Ask, option: BookingOption) -> Evse | None:
    if not ask.evse_uid:
        return None
    found = _evse_in(option, ask.evse_uid)
    if found is None:
        raise Malformed("booking_option.evse_uid", "this EVSE does not belong to the offer")
    return found


def _evse_in(option: BookingOption, uid: str) -> Evse | None:
    return next((evse for evse in option.evses.all() if evse.uid.upper() == uid.upper()), None)
