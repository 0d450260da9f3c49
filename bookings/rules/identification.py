"""Who may use a booking at a charger: its tokens that still work, else a name that only we and the charger know."""

from __future__ import annotations

from bookings.models import Booking, BookingToken, Token
from depots.cards import card_number
from depots.models import Charger

# OCPP 1.6 idTag; what we keep of a token is shorter than 2.x allows.
LONGEST_TAG = 20
# No reader reads it: in OCPP 2.x an idToken of type Central.
SECRET_TYPE = Token.Type.OTHER.value


def working_tokens(booking: Booking) -> list[BookingToken]:
    """Those its own fleet has and has not blocked. Of a partner's tokens only what it told us to block is known here."""
    named = list(booking.tokens.all())
    cards = {card_number(token.uid) for token in named}
    if not cards:
        return []
    usable = usable_by_owner(cards, fleet_id=booking.fleet_id)
    return [
        token
        for token in named
        if usable.get((booking.fleet_id, card_number(token.uid)), booking.fleet.is_partner)
    ]


def usable_by_owner(cards: set[str], *, fleet_id: int | None = None) -> dict[tuple[int, str], bool]:
    """By (owner's id, card number): may the owner's copy be used? Blocked once is blocked, and so is the card that was
    left in a vehicle its fleet has retired."""
    rows = Token.objects.filter(uid__card__in=cards)
    if fleet_id is not None:
        rows = rows.filter(fleet=fleet_id)
    found: dict[tuple[int, str], bool] = {}
    for owner, uid, is_blocked, is_retired in rows.values_list(
        "fleet_id", "uid", "is_blocked", "vehicle__is_retired"
    ):
        key = (owner, card_number(uid))
        found[key] = found.get(key, True) and not is_blocked and not is_retired
    return found


def token_for(booking: Booking, charger: Charger) -> tuple[str, str]:
    """(name, OCPI type) a reservation or a remote start at this charger is made with: the first of its tokens that works
    and fits, else the booking's own secret, which nobody carries."""
    for token in working_tokens(booking):
        name = wire_name(token)
        if fits(name, charger):
            return name, token.type
    return booking.group, SECRET_TYPE


def needs_secret(booking: Booking, charger: Charger) -> bool:
    """Whether nothing but the booking's secret can name it at this charger."""
    return token_for(booking, charger)[0] == booking.group


def fits(name: str, charger: Charger) -> bool:
    is_1_6 = (charger.spoken_protocol or charger.protocol) == "ocpp1.6"
    return not is_1_6 or len(name) <= LONGEST_TAG


def wire_name(token: BookingToken) -> str:
    """As readers of cards give it; contracts and apps as they are written."""
    return card_number(token.uid) if token.type == Token.Type.RFID else token.uid
