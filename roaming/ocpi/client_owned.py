"""What partners keep with us: objects of theirs at /{country_code}/{party_id}/{id}, and objects inside these (OCPI 2.3.0
transport_and_format, Client Owned Objects; PATCH as decision 113 has it).

A module says what it reads and where it keeps it, in a subclass of `ClientOwned`; names, order and merging are the same for
all. What is merged into an object we hold is merged under its lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming import deviations
from roaming.mirror.kept_objects import find_kept
from roaming.models import Partner
from roaming.ocpi.auth import Caller, caller_of, own_party, tells_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import MAX_BODY, Code, RefusalError, ok, read_object
from roaming.ocpi.routes import Routes
from roaming.ocpi.shapes import PLAIN, Shape, named_as, shaped_as
from roaming.ocpi.times import read_time
from roaming.ocpi.wire_object import Notes, Read, UnreadableError

METHODS = ["GET", "PUT", "PATCH"]


class Owned(Protocol):
    """What was read of an object: it says whose it is."""

    @property
    def country_code(self) -> str: ...

    @property
    def party_id(self) -> str: ...


T = TypeVar("T", bound=Owned)


class Held(Protocol):
    """An object as its owner last sent it."""

    raw: Any
    last_updated: Any


@dataclass(frozen=True)
class Inside:
    """Objects within an object: the list they stand in, the field that is their name, and what is within them in turn.

    They have addresses of their own, and lists of them merge by name.
    """

    list_name: str
    key: str
    shape: Shape = PLAIN
    within: Inside | None = None
    old_list_name: str = ""


@dataclass(frozen=True)
class Address:
    """What a path names: an object of a party, or one inside it."""

    country_code: str
    party_id: str
    id: str
    inside: tuple[str, ...] = ()

    @property
    def owner(self) -> tuple[str, str]:
        return self.country_code, self.party_id


@dataclass(frozen=True)
class Asked:
    """One request: who asks, in which version, about what, and when."""

    partner: Partner
    dialect: Dialect
    address: Address
    now: datetime


class ClientOwned(Generic[T]):
    """One module's objects. `read*` raise UnreadableError with the name of the field, and nothing is changed.

    `role` is that of the parties that own them; "" where it may be any.
    """

    kind: ClassVar[str]
    role: ClassVar[str] = "CPO"
    shape: ClassVar[Shape] = PLAIN
    inside: ClassVar[Inside | None] = None
    # Never changed by a PATCH.
    identity: ClassVar[tuple[str, ...]] = ("id", "country_code", "party_id")
    # Lists to which a PATCH adds.
    appended: ClassVar[frozenset[str]] = frozenset()
    methods: ClassVar[list[str]] = METHODS

    def find(self, asked: Asked, *, lock: bool) -> Held | None:
        return find_kept(asked.partner, self.kind, asked.address.owner, asked.address.id, lock=lock)

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[T]:
        raise NotImplementedError

    def read_inside(self, asked: Asked, depth: int, raw: dict[str, Any]) -> None:
        """Whether an object inside can be read; 1 is the first level."""
        raise NotImplementedError

    def check_addressed(self, caller: Caller) -> None:
        """Raises RefusalError where a request is addressed to nobody here who takes these."""
        own_party(caller, "EMSP" if self.role == "CPO" else "CPO")

    def names(self, told: T) -> tuple[str, ...]:
        """The ids by which a path may name it, its own first."""
        raise NotImplementedError

    def adopt(self, asked: Asked, read: Read[T], raw: dict[str, Any]) -> bool:
        """Keep it, unless what is kept is newer; True when it is new here."""
        raise NotImplementedError

    def withdraw(self, asked: Asked, held: Held) -> None:
        """DELETE, for those that have it among their `methods`."""
        raise NotImplementedError


def routes_of(module: ClientOwned[Any]) -> Routes:
    """The addresses as the specification has them, for a module whose partners keep to them."""
    routes = Routes()

    @routes.operation(module.methods, "/{path:rest}")
    def receive(request: HttpRequest, dialect: Dialect, rest: str) -> HttpResponse:
        caller = caller_of(request)
        address = strict_address(caller, module, [part for part in rest.split("/") if part])
        return answer(request, module, Asked(caller.partner, dialect, address, timezone.now()))

    return routes


def strict_address(caller: Caller, module: ClientOwned[Any], parts: list[str]) -> Address:
    """Raises RefusalError (404) for another's party, and for a path that names nothing of this module."""
    deepest = 3 + len(list(_levels(module.inside)))
    if not 3 <= len(parts) <= deepest or not tells_of(caller, parts[0], parts[1], module.role):
        raise nothing_here(module.role)
    return Address(parts[0], parts[1], parts[2], tuple(parts[3:]))


def answer(request: HttpRequest, module: ClientOwned[Any], asked: Asked) -> HttpResponse:
    module.check_addressed(caller_of(request))
    by_method = {"GET": _get, "PUT": _put, "PATCH": _patch, "DELETE": _delete}
    with transaction.atomic():
        return by_method[str(request.method)](request, module, asked)


def nothing_here(role: str) -> RefusalError:
    parties = f"{role} parties".lstrip()
    return RefusalError(Code.INVALID, f"There is no such object of one of your {parties}.", http=404)


def _get(request: HttpRequest, module: ClientOwned[Any], asked: Asked) -> HttpResponse:
    return ok(_Place.of(module, asked, lock=False).known())


def _put(request: HttpRequest, module: ClientOwned[Any], asked: Asked) -> HttpResponse:
    body = read_object(request)
    if not asked.address.inside:
        return ok(http=201 if _keep(module, asked, body) else 200)
    place = _Place.of(module, asked)
    known = place.child
    _check_inside(module, asked, place, body)
    if known is not None and _is_older(body, known):
        return ok()
    _keep(module, asked, _within_bounds(place.whole_with(body)))
    return ok(http=201 if known is None else 200)


def _patch(request: HttpRequest, module: ClientOwned[Any], asked: Asked) -> HttpResponse:
    body = read_object(request)
    place = _Place.of(module, asked)
    shape = place.level.shape if place.level else module.shape
    patch = read_patch(shape, body)
    known = place.known()
    if place.is_older(patch.value):
        return ok()
    deviations.count(asked.partner, patch.deviations)
    _check_identity(patch.value, known, (place.level.key,) if place.level else module.identity)
    within = place.level.within if place.level else module.inside
    new = merged(named_as(shape, known), patch.value, within, module.appended)
    if place.level is not None:
        _check_inside(module, asked, place, new)
        new = place.whole_with(new)
    _keep(module, asked, _within_bounds(new))
    return ok()


def _delete(request: HttpRequest, module: ClientOwned[Any], asked: Asked) -> HttpResponse:
    if asked.address.inside:
        raise RefusalError(
            Code.CLIENT_ERROR,
            "Put the object around it without it instead.",
            http=405,
            headers={"Allow": "GET, HEAD, PUT, PATCH"},
        )
    place = _Place.of(module, asked)
    module.withdraw(asked, place.held)
    return ok()


def read_patch(shape: Shape, raw: Any) -> Read[dict[str, Any]]:
    """A PATCH body under the names of the version, otherwise as it came. Raises UnreadableError without `last_updated`."""
    notes = Notes()
    shaped = shaped_as(raw, shape, notes)
    if not isinstance(shaped, dict):
        raise UnreadableError("", "must be an object")
    if "last_updated" not in shaped:
        raise UnreadableError("last_updated", "is required in a PATCH")
    try:
        read_time(shaped["last_updated"])
    except ValueError as error:
        raise UnreadableError("last_updated", str(error)) from None
    return Read(shaped, tuple(notes.names))


def merged(
    old: dict[str, Any], new: dict[str, Any], inside: Inside | None, appended: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Objects merge and lists replace, but for those of objects with a name, and those that are added to."""
    result = dict(old)
    for name, value in new.items():
        before = result.get(name)
        if isinstance(value, list) and isinstance(before, list) and name in appended:
            result[name] = _added(before, value)
        elif isinstance(value, list) and isinstance(before, list) and inside and name == inside.list_name:
            result[name] = _merged_by_name(before, value, inside)
        elif isinstance(value, dict) and isinstance(before, dict):
            result[name] = merged(before, value, None)
        else:
            result[name] = value
    return result


def _added(old: list[Any], new: list[Any]) -> list[Any]:
    """What is sent again, after a lost answer or a later addition, is there already."""
    known = {json.dumps(one, sort_keys=True) for one in old}
    return [*old, *(one for one in new if json.dumps(one, sort_keys=True) not in known)]


def _merged_by_name(old: list[Any], new: list[Any], level: Inside) -> list[Any]:
    by_name = {_name(one, level.key): one for one in old if isinstance(one, dict)}
    for one in new:
        if isinstance(one, dict):
            name = _name(one, level.key)
            by_name[name] = merged(by_name[name], one, level.within) if name in by_name else one
    return list(by_name.values())


def _within_bounds(merged: dict[str, Any]) -> dict[str, Any]:
    """What no message could say at once does not come about by many either. Raises UnreadableError."""
    if len(json.dumps(merged, ensure_ascii=False).encode()) > MAX_BODY:
        raise UnreadableError("", f"with what was told before, it would have more than {MAX_BODY} bytes")
    return merged


def _keep(module: ClientOwned[Any], asked: Asked, raw: dict[str, Any]) -> bool:
    read, address = module.read(asked, raw), asked.address
    if read.value.country_code.upper() != address.country_code.upper():
        raise UnreadableError("country_code", "is not the one in the path")
    if read.value.party_id.upper() != address.party_id.upper():
        raise UnreadableError("party_id", "is not the one in the path")
    names = [name.upper() for name in module.names(read.value)]
    if address.id.upper() not in names:
        raise UnreadableError(module.identity[0], "is not the id in the path")
    if address.id.upper() != names[0]:
        deviations.count(asked.partner, ["path.request_id"])
    return module.adopt(asked, read, raw)


@dataclass(frozen=True)
class _Place:
    """Where an address leads within the object we hold: the objects around what is named, outermost first, their levels,
    and what is named itself, None where it is not there yet."""

    held: Held
    around: tuple[dict[str, Any], ...]
    levels: tuple[Inside, ...]
    name: str
    child: dict[str, Any] | None

    @classmethod
    def of(cls, module: ClientOwned[Any], asked: Asked, *, lock: bool = True) -> _Place:
        """Raises RefusalError (404) when there is nothing in which it could be."""
        held = module.find(asked, lock=lock)
        if held is None:
            raise RefusalError(Code.CLIENT_ERROR, "There is no such object here: PUT it first.", http=404)
        around: list[dict[str, Any]] = [held.raw]
        levels = tuple(_levels(module.inside))[: len(asked.address.inside)]
        child: dict[str, Any] | None = None
        for at, (level, name) in enumerate(zip(levels, asked.address.inside, strict=True)):
            child = _named(around[-1], level, name)
            if at < len(levels) - 1:
                if child is None:
                    raise _no_such(level)
                around.append(child)
        name = asked.address.inside[-1] if levels else asked.address.id
        return cls(held, tuple(around), levels, name, child)

    @property
    def level(self) -> Inside | None:
        """That of what is named; None for the object itself."""
        return self.levels[-1] if self.levels else None

    def known(self) -> dict[str, Any]:
        """What is named, as it stands. Raises RefusalError (404)."""
        if self.level is None:
            raw: dict[str, Any] = self.held.raw
            return raw
        if self.child is None:
            raise _no_such(self.level)
        return self.child

    def is_older(self, patch: dict[str, Any]) -> bool:
        if self.level is not None:
            return _is_older(patch, self.child or {})
        kept_at = self.held.last_updated
        return kept_at is not None and read_time(patch["last_updated"]) < kept_at

    def whole_with(self, body: dict[str, Any]) -> dict[str, Any]:
        """The object with another one inside it; all that is around that is as new as it."""
        new, old = body, self.child
        for holder, level in zip(reversed(self.around), reversed(self.levels), strict=True):
            listed = [new if one is old else one for one in _listed(holder, level)]
            listed += [] if old is not None else [new]
            new = {**holder, level.list_name: listed, "last_updated": _latest(holder, body)}
            old = holder
        return new


def _levels(inside: Inside | None) -> Iterator[Inside]:
    while inside is not None:
        yield inside
        inside = inside.within


def _listed(holder: dict[str, Any], level: Inside) -> list[dict[str, Any]]:
    found = holder.get(level.list_name, holder.get(level.old_list_name))
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _named(holder: dict[str, Any], level: Inside, name: str) -> dict[str, Any] | None:
    return next((one for one in _listed(holder, level) if _name(one, level.key) == name.upper()), None)


def _name(raw: dict[str, Any], key: str) -> str:
    return str(raw.get(key, "")).upper()


def _no_such(level: Inside) -> RefusalError:
    what = level.list_name.removesuffix("s")
    return RefusalError(Code.CLIENT_ERROR, f"There is no such {what}: PUT it first.", http=404)


def _check_inside(module: ClientOwned[Any], asked: Asked, place: _Place, raw: dict[str, Any]) -> None:
    assert place.level is not None
    if place.level.key not in raw:
        raise UnreadableError(place.level.key, "is required")
    if _name(raw, place.level.key) != place.name.upper():
        raise UnreadableError(place.level.key, "is not the one in the path")
    module.read_inside(asked, len(place.levels), raw)


def _check_identity(patch: dict[str, Any], known: dict[str, Any], identity: tuple[str, ...]) -> None:
    for name in identity:
        if name in patch and str(patch[name]).upper() != str(known.get(name, "")).upper():
            raise UnreadableError(name, "cannot be changed")


def _is_older(told: dict[str, Any], known: dict[str, Any]) -> bool:
    try:
        return read_time(told.get("last_updated")) < read_time(known.get("last_updated"))
    except ValueError:
        return False


def _latest(known: dict[str, Any], told: dict[str, Any]) -> Any:
    stands = known.get("last_updated")
    return stands if _is_older(told, known) else told.get("last_updated", stands)
