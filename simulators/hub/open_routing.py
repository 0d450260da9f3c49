"""Whom a message concerns that names no receiver: by what is in it, and by what has passed through the hub before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from simulators.hub.messages import Interface, Message
from simulators.partner.ocpi_format import Json, Party

MOST_KNOWN = 10_000
# Told to everybody who is connected; bookings, sessions and records are between two.
FOR_ALL = {"locations", "tariffs", "tokens"}
OFFERS = "booking_locations"


class KnownObjects:
    """Of objects that have passed: whose they are, by module and id, and to whom each was told. The newest of them."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, ...], Party] = OrderedDict()
        self._lock = Lock()

    def keep(self, party: Party, *key: str) -> None:
        key = tuple(part.upper() for part in key)
        with self._lock:
            self._found[key] = party
            self._found.move_to_end(key)
            while len(self._found) > MOST_KNOWN:
                self._found.popitem(last=False)

    def find(self, *key: str) -> Party | None:
        return self._found.get(tuple(part.upper() for part in key))

    def learn_list(self, module: str, objects: Iterable[Json]) -> None:
        for one in objects:
            name = one.get("id") or one.get("uid")
            if name and one.get("country_code") and one.get("party_id"):
                self.keep((one["country_code"].upper(), one["party_id"].upper()), module, str(name))

    def learn(self, message: Message) -> None:
        """From an object of its sender that was told to somebody."""
        if message.interface.role != "RECEIVER" or len(message.rest) < 3:
            return
        owner, name = (message.rest[0].upper(), message.rest[1].upper()), message.rest[-1]
        self.keep(owner, module_of(message), name)
        if message.receiver is not None:
            self.keep(message.receiver, "told", message.interface.path, *message.rest)

    def told_to(self, message: Message) -> Party | None:
        return self.find("told", message.interface.path, *message.rest)


def is_for_all(message: Message) -> bool:
    """Whether a push is of what everybody is told."""
    is_push = message.interface.role == "RECEIVER" and message.method in ("PUT", "POST", "PATCH")
    return is_push and (message.interface.path in FOR_ALL or OFFERS in message.rest)


def is_list(message: Message) -> bool:
    """Whether it asks for the objects of many."""
    is_sender = message.interface.role == "SENDER" and message.method == "GET"
    return is_sender and message.rest in ((), (OFFERS,))


def module_of(message: Message) -> str:
    return OFFERS if OFFERS in message.rest else message.interface.path


def named_in(message: Message) -> Party | None:
    """The driver's party in a session or record, and the party that has asked for a booking."""
    body = message.field
    asks = body.get("booking_requests") or [{}]
    for token in (asks[0].get("booking_request"), body.get("cdr_token")):
        if isinstance(token, dict) and token.get("country_code") and token.get("party_id"):
            return token["country_code"].upper(), token["party_id"].upper()
    return None


def object_meant(message: Message) -> tuple[str, str] | None:
    """Module and id of an object whose owner is asked: the location of a booking or command, its session, a token."""
    body, rest = message.field, message.rest
    if message.interface.path == "chargingprofiles" and rest:
        return "sessions", rest[0]
    if location := body.get("location_id"):
        return "locations", str(location)
    if session := body.get("session_id"):
        return "sessions", str(session)
    if message.interface.role == "SENDER" and rest:
        name = rest[0] if rest[-1] == "authorize" else rest[-1]
        return module_of(message), name
    return None


def list_of(module: str, interfaces: Iterable[Interface]) -> tuple[Interface, tuple[str, ...]]:
    """Where the objects of a module are listed, and the path below."""
    path, rest = ("bookings", (OFFERS,)) if module == OFFERS else (module, ())
    return next(one for one in interfaces if (one.path, one.role) == (path, "SENDER")), rest
