"""Who may use a booking at a charger: its tokens that still work, else a name that only we and the charger know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bookings.models import GROUP, Booking, BookingToken, OwnerCheck, Token
from depots.cards import kept_numbers
from depots.models import Charger
from depots.token_numbers import (
    LONGEST_TAG,
    in_other_byte_order,
    mac_address,
    normalise,
    on_the_wire,
    spellings,
)

# No reader reads it: in OCPP 2.x an idToken of type Central.
SECRET_TYPE = Token.Type.OTHER.value
# A reservation names what plugging in tells before what is held to a reader.
_FIRST: dict[str, int] = {Token.Type.EMAID: 0, Token.Type.MAC: 1, Token.Type.RFID: 2}
_LAST = len(_FIRST)


@dataclass(frozen=True)
class TokenCopy:
    """An owner's copy of a token, by its normalised number. `group` is "" or the name of its group; `is_networks`: a partner
    network told us of it, which is to be asked about it as `check` has it."""

    owner: int
    number: str
    is_usable: bool
    group: str
    is_read_either_way: bool
    is_networks: bool = False
    check: str = OwnerCheck.NEVER


@dataclass(frozen=True)
class PresentedToken:
    """What a charger read, as the owners of its copies see it: (owner, normalised number) may be used or not, and the groups
    (owner, name in capitals) that its usable copies belong to. `spellings` and `group_spellings` are the forms that it and the
    names of its groups may be kept in. `checks` say of the usable copies of networks whether these are asked; `network_groups`
    are those of `groups` that networks have formed."""

    number: str
    spellings: frozenset[str]
    usable: Mapping[tuple[int, str], bool]
    groups: frozenset[tuple[int, str]]
    group_spellings: frozenset[str]
    checks: Mapping[int, str]
    network_groups: frozenset[tuple[int, str]]

    @property
    def is_known(self) -> bool:
        return bool(self.usable)

    @property
    def owners(self) -> list[int]:
        """Organisations whose copy of it may be used."""
        return [owner for (owner, _), is_usable in self.usable.items() if is_usable]

    def check_by(self, owner_id: int) -> str:
        """Whether this owner is to be asked before it charges: the strictest word it has of its copies."""
        return self.checks.get(owner_id, OwnerCheck.NEVER)

    def is_named(self, named: BookingToken, booking: Booking) -> bool:
        """Whether it is what a booking names: the token, by an alias that its fleet set, or a member of the group."""
        if named.type == GROUP:
            return (booking.fleet_id, named.uid.upper()) in self.groups
        number = normalise(named.uid, named.type)
        return bool(number) and (number == self.number or (booking.fleet_id, number) in self.usable)

    def opens(self, named: BookingToken, booking: Booking) -> bool:
        """Whether it may be used as what a booking names, by its own fleet's word: another's copy of it does not count. Of a
        partner's tokens only what it told us to block is known here."""
        if not self.is_named(named, booking) or named.type == GROUP:
            return self.is_named(named, booking)
        key = (booking.fleet_id, normalise(named.uid, named.type))
        return self.usable.get(key, booking.fleet.is_partner)


def identify(uid: str, kind: str = "") -> PresentedToken:
    """One query. A card's other byte order is its owner's alias, and only where the owner has no card of the number as it was
    read."""
    number, as_kept = normalise(uid, kind), spellings(uid, kind)
    reversed_number = in_other_byte_order(uid)
    found = copies_of({*as_kept, reversed_number} - {""})
    read = {copy.owner for copy in found if copy.number == number}
    known = [c for c in found if c.number == number or (c.is_read_either_way and c.owner not in read)]
    usable = _usable(known)
    groups = {(c.owner, c.group) for c in known if c.group and usable[c.owner, c.number]}
    numbers = frozenset({*as_kept, *({c.number for c in known})})
    in_groups = frozenset((owner, name.upper()) for owner, name in groups)
    names = frozenset(form for _, name in groups for form in kept_numbers(name))
    networks = [c for c in known if c.is_networks and usable[c.owner, c.number]]
    formed = frozenset((c.owner, c.group.upper()) for c in networks if c.group)
    return PresentedToken(number, numbers, usable, in_groups, names, _strictest(networks), formed)


def fellows(bookings: Iterable[Booking], groups: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """(owner, normalised number) of what these bookings name and what belongs to one of these groups of networks, by (owner,
    name in capitals). One query."""
    owners = {owner for owner, _ in groups}
    named = [(token.uid, token.type) for b in bookings if b.fleet_id in owners for token in b.tokens.all()]
    forms = {form for uid, kind in named for form in spellings(uid, kind)}
    return {
        (copy.owner, copy.number)
        for copy in (copies_of(forms) if forms else ())
        if copy.is_networks and (copy.owner, copy.group.upper()) in groups
    }


def copies_of(kept_as: Iterable[str], *, fleet_id: int | None = None) -> list[TokenCopy]:
    """Of tokens by the forms they may be kept in (`spellings`). Blocked, or left in a vehicle its fleet has retired, a copy is
    of no use."""
    wanted = set(kept_as)
    if not wanted:
        return []
    rows = Token.objects.filter(uid__card__in=wanted)
    if fleet_id is not None:
        rows = rows.filter(fleet=fleet_id)
    columns = (
        "fleet_id", "uid", "type", "is_blocked", "vehicle__is_retired", "group_name", "is_read_either_way",
        "country_code", "owner_check",
    )  # fmt: skip
    return [
        TokenCopy(owner, normalise(uid, kind), not (is_blocked or is_retired), group, either_way, bool(issuer), check)
        for owner, uid, kind, is_blocked, is_retired, group, either_way, issuer, check in rows.values_list(*columns)
    ]  # fmt: skip


def usable_by_owner(
    tokens: Iterable[tuple[str, str]], *, fleet_id: int | None = None
) -> Mapping[tuple[int, str], bool]:
    """Of tokens (uid, kind), by (owner's id, normalised number): may the owner's copy be used? Blocked once is blocked."""
    forms = {form for uid, kind in tokens for form in spellings(uid, kind)}
    return _usable(copies_of(forms, fleet_id=fleet_id))


def working_tokens(
    booking: Booking, usable: Mapping[tuple[int, str], bool] | None = None
) -> list[BookingToken]:
    """Those its own fleet has and has not blocked, without its groups. Of a partner's tokens only what it told us to block is
    known here. `usable` is what `usable_by_owner` says of them, where it has been asked for many."""
    named = [token for token in booking.tokens.all() if token.type != GROUP]
    if not named:
        return []
    if usable is None:
        usable = usable_by_owner([(token.uid, token.type) for token in named], fleet_id=booking.fleet_id)
    return [
        token
        for token in named
        if usable.get((booking.fleet_id, normalise(token.uid, token.type)), booking.fleet.is_partner)
    ]


def all_keys(booking: Booking) -> list[tuple[str, str]]:
    """(uid, kind) of everything that opens it and works: its tokens, and the members of the groups it names."""
    found = [(token.uid, token.type) for token in working_tokens(booking)]
    groups = {token.uid.upper() for token in booking.tokens.all() if token.type == GROUP}
    if groups:
        grouped = Token.objects.filter(fleet=booking.fleet_id).exclude(group_name="").order_by("uid")
        rows = grouped.values_list("group_name", "uid", "type")
        pairs = [(uid, kind) for name, uid, kind in rows if name.upper() in groups]
        usable = usable_by_owner(pairs, fleet_id=booking.fleet_id)
        found += [pair for pair in pairs if usable[booking.fleet_id, normalise(*pair)]]
    return found


def token_for(
    booking: Booking, charger: Charger, usable: Mapping[tuple[int, str], bool] | None = None
) -> tuple[str, str]:
    """(name, kind) a reservation or a remote start at this charger is made with, as the charger will read it when the truck
    comes: of its tokens that work and fit what plugging in tells, then a card, then others; else the booking's own secret,
    which nobody carries. Whatever else opens it is answered with the booking's group."""
    is_1_6 = charger.speaks_1_6
    for token in sorted(working_tokens(booking, usable), key=lambda token: _FIRST.get(token.type, _LAST)):
        name = on_the_wire(token.uid, token.type, is_1_6=is_1_6)
        if not is_1_6 or len(name) <= LONGEST_TAG:
            return name, Token.Type.MAC.value if mac_address(token.uid, token.type) else token.type
    return booking.group, SECRET_TYPE


def needs_secret(booking: Booking, charger: Charger) -> bool:
    """Whether nothing but the booking's secret can name it at this charger."""
    return token_for(booking, charger)[0] == booking.group


def _strictest(copies: Iterable[TokenCopy]) -> dict[int, str]:
    found: dict[int, str] = {}
    for copy in copies:
        found[copy.owner] = max(
            found.get(copy.owner, OwnerCheck.NEVER), copy.check, key=OwnerCheck.values.index
        )
    return found


def _usable(copies: Iterable[TokenCopy]) -> dict[tuple[int, str], bool]:
    found: dict[tuple[int, str], bool] = {}
    for copy in copies:
        key = (copy.owner, copy.number)
        found[key] = found.get(key, True) and copy.is_usable
    return found
