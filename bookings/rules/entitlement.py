from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.db import connection

from bookings.errors import TokenUnusable, TrailerUnknown, VehicleUnknown
from bookings.models import GROUP, BookingToken, Token, Trailer, Vehicle
from bookings.rules.identification import usable_by_owner
from depots import round_trips
from depots.models import Organisation
from depots.token_numbers import normalise, spellings

MOST_TOKENS = 36


@dataclass(frozen=True)
class TokenName:
    """A token as a fleet or partner names it: uid, OCPI TokenType, and the eMSP party it belongs to."""

    uid: str
    type: str = Token.Type.RFID
    country_code: str = ""
    party_id: str = ""
    contract_id: str = ""


def own_vehicle(vehicle: Vehicle | None, fleet: Organisation) -> Vehicle | None:
    """The vehicle as it is by now. Raises VehicleUnknown for another fleet's, which is not told apart from one that does
    not exist."""
    if vehicle is None:
        return None
    found = Vehicle.objects.filter(pk=vehicle.pk, fleet=fleet, is_retired=False).first()
    if found is None:
        raise VehicleUnknown(f"{fleet} has no vehicle {vehicle.plate}.")
    return found


def own_trailer(trailer: Trailer | None, fleet: Organisation) -> Trailer | None:
    """The same of a trailer. Raises TrailerUnknown."""
    if trailer is None:
        return None
    found = Trailer.objects.filter(pk=trailer.pk, fleet=fleet, is_retired=False).first()
    if found is None:
        raise TrailerUnknown(f"{fleet} has no trailer {trailer.plate}.")
    return found


@dataclass(frozen=True)
class AskedVehicle:
    """A vehicle that is being looked up, with its cards that may be used: asked for where what must not change any more is
    locked, and there with whatever is read next."""

    asked: Vehicle
    fleet: Organisation
    answer: round_trips.Answer

    def found(self) -> tuple[Vehicle, list[TokenName]]:
        """The vehicle as it is by now: the very one that was asked for, where that says all the same. Raises VehicleUnknown as
        `own_vehicle` does."""
        columns, rows = _columns(), self.answer.rows
        if not rows:
            raise VehicleUnknown(f"{self.fleet} has no vehicle {self.asked.plate}.")
        vehicle, now = self.asked, rows[0][: len(columns)]
        if tuple(getattr(vehicle, name) for name in columns) != now:
            vehicle = Vehicle.from_db(connection.alias, columns, now)
        cards = [row[len(columns) :] for row in rows]
        return vehicle, [
            TokenName(uid, kind, contract_id=contract) for uid, kind, contract in cards if uid is not None
        ]


def ask_for_vehicle(vehicle: Vehicle, fleet: Organisation) -> AskedVehicle:
    return AskedVehicle(vehicle, fleet, round_trips.ask(_vehicle_with_cards(), [vehicle.pk, fleet.pk]))


@cache
def _columns() -> tuple[str, ...]:
    return tuple(field.attname for field in Vehicle._meta.concrete_fields)  # noqa: SLF001


@cache
def _vehicle_with_cards() -> round_trips.Prepared:
    return round_trips.Prepared(_VEHICLE_WITH_CARDS.format(", ".join(f"v.{name}" for name in _columns())))


# The rule is that of `usable_by_owner`, said again so that vehicle and cards are one query; a test holds the two together.
_VEHICLE_WITH_CARDS = r"""
SELECT {}, t.uid, t.type, t.contract_id
FROM bookings_vehicle v
LEFT JOIN bookings_token t ON t.vehicle_id = v.id AND NOT EXISTS (
    SELECT FROM bookings_token same LEFT JOIN bookings_vehicle of_it ON of_it.id = same.vehicle_id
    WHERE same.fleet_id = v.fleet_id
        AND upper(regexp_replace(same.uid, '[\s:-]', '', 'g')) = upper(regexp_replace(t.uid, '[\s:-]', '', 'g'))
        AND (same.is_blocked OR of_it.is_retired)
)
WHERE v.id = %s AND v.fleet_id = %s AND NOT v.is_retired
ORDER BY t.uid
"""


def entitled(
    tokens: Sequence[TokenName] | None, vehicle: Vehicle | None, fleet: Organisation, party: tuple[str, str]
) -> list[BookingToken]:
    """The tokens a booking will carry, unsaved: those named, else the vehicle's own. Raises TokenUnusable."""
    if tokens is None:
        tokens = _of_vehicle(vehicle) if vehicle else []
    elif not fleet.is_partner:
        _refuse_foreign(tokens, fleet)
    return carried(tokens, fleet, party)


def carried(tokens: Sequence[TokenName], fleet: Organisation, party: tuple[str, str]) -> list[BookingToken]:
    """Tokens that may be used as a booking carries them, each once, of the asking party where they name none. Raises
    TokenUnusable for too many."""
    if len(tokens) > MOST_TOKENS:
        raise TokenUnusable(f"A booking carries at most {MOST_TOKENS} tokens.")
    country, party_id = party if any(party) else (fleet.country_code, fleet.emsp_party_id)
    unique = {
        (
            normalise(t.uid, t.type),
            t.type,
            (t.country_code or country).upper(),
            (t.party_id or party_id).upper(),
        ): t
        for t in tokens
    }
    return [
        BookingToken(uid=t.uid, type=type_, country_code=cc, party_id=pid, contract_id=t.contract_id)
        for (_, type_, cc, pid), t in unique.items()
    ]


def refuse_groups(tokens: Sequence[BookingToken]) -> None:
    """Raises TokenUnusable: a partner lets in the tokens it was told, and knows no fleet's groups."""
    if any(token.type == GROUP for token in tokens):
        raise TokenUnusable("A partner's depot does not know your groups: name the tokens themselves.")


def _of_vehicle(vehicle: Vehicle) -> list[TokenName]:
    mine = list(vehicle.tokens.all())
    usable = usable_by_owner([(token.uid, token.type) for token in mine], fleet_id=vehicle.fleet_id)
    return [
        TokenName(token.uid, token.type, contract_id=token.contract_id)
        for token in mine
        if usable[vehicle.fleet_id, normalise(token.uid, token.type)]
    ]


def _refuse_foreign(tokens: Sequence[TokenName], fleet: Organisation) -> None:
    _refuse_unknown_groups({token.uid for token in tokens if token.type == GROUP}, fleet)
    named = [token for token in tokens if token.type != GROUP]
    forms = {form for token in named for form in spellings(token.uid, token.type)}
    rows = Token.objects.filter(fleet=fleet, uid__card__in=forms).values_list("uid", "type")
    known = {(normalise(uid, kind), kind) for uid, kind in rows}
    usable = usable_by_owner([(token.uid, token.type) for token in named], fleet_id=fleet.pk)
    for token in named:
        number = normalise(token.uid, token.type)
        if (number, token.type) not in known:
            raise TokenUnusable(f"{fleet} has no token {token.uid}.")
        if not usable[fleet.pk, number]:
            raise TokenUnusable(f"The token {token.uid} is blocked, or its vehicle is retired.")


def _refuse_unknown_groups(names: set[str], fleet: Organisation) -> None:
    """A group is its fleet's own: nobody names another's, and so no group opens every booking."""
    if not names:
        return
    groups = Token.objects.filter(fleet=fleet).exclude(group_name="")
    known = {name.upper() for name in groups.values_list("group_name", flat=True).distinct()}
    if unknown := sorted(name for name in names if name.upper() not in known):
        raise TokenUnusable(f"No token of {fleet} belongs to a group {unknown[0]}.")
