"""A message that a hub passes on, and the addresses in it, which are the hub's for whoever is not connected to their owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from simulators.hub.members import Member
from simulators.partner.ocpi_format import Json, Party

# (identifier, path, role of the party that is its Sender); that of its Receiver is the other one.
MODULES = (
    ("locations", "locations", "CPO"),
    ("tariffs", "tariffs", "CPO"),
    ("sessions", "sessions", "CPO"),
    ("cdrs", "cdrs", "CPO"),
    ("Booking", "bookings", "CPO"),
    ("invoicereconciliation", "invoicereconciliation", "CPO"),
    ("tokens", "tokens", "EMSP"),
    ("commands", "commands", "EMSP"),
    ("chargingprofiles", "chargingprofiles", "EMSP"),
)
OTHER = {"CPO": "EMSP", "EMSP": "CPO"}
# Addresses in bodies and queries to which somebody answers later.
CALLBACK = "response_url"


class Interface(NamedTuple):
    """Of a module, in an interface role (SENDER or RECEIVER); `of` is the role of the parties behind it."""

    identifier: str
    role: str
    of: str
    path: str


INTERFACES = tuple(
    Interface(identifier, role, of, path)
    for identifier, path, sender in MODULES
    for role, of in (("SENDER", sender), ("RECEIVER", OTHER[sender]))
)


@dataclass(frozen=True)
class Message:
    """A request to an interface behind the hub: from a party of a member, to a party, to the hub itself, or (None) to whom it may
    concern. `rest` is the path below the interface, `url` its whole address at the hub without the query."""

    caller: Member
    interface: Interface
    method: str
    rest: tuple[str, ...]
    query: dict[str, str]
    body: Any
    sender: Party
    receiver: Party | None
    correlation_id: str
    url: str

    @property
    def field(self) -> Json:
        """Its body, if that is an object."""
        return self.body if isinstance(self.body, dict) else {}


class Passed(NamedTuple):
    """An answer as it is told: HTTP status, envelope, further headers."""

    http_status: int
    envelope: Json
    headers: dict[str, str]


class Addresses:
    """What lies at a member is reached at /ocpi/to/{its name} of the hub."""

    def __init__(self, hub_url: str) -> None:
        self._base = f"{hub_url}/ocpi/to"

    def at_hub(self, url: str, member: Member) -> str:
        """Where others reach it; an address of nobody's is left as it is."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != member.origin:
            return url
        return f"{self._base}/{member.name}{parts.path}{'?' if parts.query else ''}{parts.query}"

    def in_message(self, message: Message) -> tuple[Any, dict[str, str]]:
        """Body and query with the address for later answers at the hub."""
        body, query = dict(message.field), dict(message.query)
        for holder in (body, query):
            if isinstance(holder.get(CALLBACK), str):
                holder[CALLBACK] = self.at_hub(holder[CALLBACK], message.caller)
        return (body or message.body), query
