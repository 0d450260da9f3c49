"""How a hub finds out who is to get a message, and what it answers to whoever sent it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import NamedTuple

from simulators.hub.client_infos import ClientInfos
from simulators.hub.members import Member, Members
from simulators.hub.messages import INTERFACES, Message, Passed
from simulators.hub.open_routing import (
    KnownObjects,
    is_for_all,
    is_list,
    list_of,
    module_of,
    named_in,
    object_meant,
)
from simulators.hub.relay import NOT_CONNECTED, UNKNOWN_RECEIVER, Relay
from simulators.partner.ocpi_format import Json, Party, Refusal, envelope, routing
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.requests import Request, page_of

# Lists of sessions and records need one.
EVER = "1970-01-01T00:00:00Z"


class Copy(NamedTuple):
    """Of a broadcast for one member."""

    message: Message
    to: Member
    receiver: Party


class Switchboard:
    def __init__(self, settings: PartnerSettings, members: Members, infos: ClientInfos, relay: Relay) -> None:
        self._settings, self._members, self._infos, self._relay = settings, members, infos, relay
        self.party: Party = settings.parties[0]
        self._known = KnownObjects()
        self._copies: deque[Copy] = deque()

    def answer(self, message: Message) -> Passed:
        """To a party, to all, or to whom it concerns. Raises Refusal."""
        if message.receiver == self.party:
            return self._to_all(message)
        if message.receiver is None:
            if is_for_all(message):
                return self._broadcast(message)
            message = replace(message, receiver=self._concerned(message))
        return self._direct(message)

    @property
    def is_idle(self) -> bool:
        """Whether all copies of broadcasts are told."""
        return not self._copies

    def tell_copies(self) -> None:
        """What could not be told is not kept: who was away reads the lists of the others."""
        while self._copies:
            copy = self._copies[0]
            try:
                if self._infos.status(copy.receiver) == "CONNECTED":
                    self._relay.pass_on(copy.message, copy.to, copy.receiver, sender=self.party)
            except Refusal as refusal:
                self._settings.say(f"{'*'.join(copy.receiver)}: {refusal}")
            self._copies.popleft()

    def _to_all(self, message: Message) -> Passed:
        if is_list(message):
            return self._listed(message)
        if is_for_all(message):
            return self._broadcast(message)
        raise Refusal(2001, f"OCPI-to-party-id: {message.interface.path} cannot be told to the hub itself")

    def _direct(self, message: Message) -> Passed:
        receiver = message.receiver
        assert receiver is not None
        to = self._members.of(receiver, message.interface.of) or self._members.of(receiver)
        if to is None or to is message.caller:
            raise Refusal(UNKNOWN_RECEIVER, f"{'*'.join(receiver)} is not behind this hub")
        status = self._infos.status(receiver)
        if status != "CONNECTED":
            raise Refusal(NOT_CONNECTED, f"{'*'.join(receiver)} is {status}")
        passed = self._relay.pass_on(message, to, receiver)
        if 1000 <= passed.envelope.get("status_code", 0) < 2000:
            self._known.learn(message)
        return passed._replace(headers=passed.headers | routing(receiver, message.sender))

    def _broadcast(self, message: Message) -> Passed:
        """It is answered at once, and told to one party of each platform that has the module."""
        self._known.learn(message)
        asked = message.interface
        for member in self._members:
            receiver = member.party_as(asked.of)
            if member is message.caller or receiver is None or not member.has(asked.identifier, asked.role):
                continue
            self._copies.append(Copy(message, member, receiver))
        return self._said(message, None, {})

    def _listed(self, message: Message) -> Passed:
        found = self._objects(message)
        request = Request(message.method, [], message.query, None, "", message.url, message.sender)
        page = page_of(request, found)
        return self._said(message, page.data, page.headers)

    def _objects(self, message: Message) -> list[Json]:
        """Of all parties that can be reached. Raises Refusal where one does not answer: a list with a hole says that things are
        gone."""
        found: list[Json] = []
        for member, party in self._members.others(message.caller, message.interface.of):
            if self._infos.status(party) == "CONNECTED":
                found += self._relay.pages(message, member, party)
        self._known.learn_list(module_of(message), found)
        return found

    def _said(self, message: Message, data: object, headers: dict[str, str]) -> Passed:
        told = envelope(data, self._settings.clock())
        return Passed(200, told, {**headers, **routing(self.party, message.sender)})

    def _concerned(self, message: Message) -> Party:
        """Raises Refusal."""
        party = named_in(message) or self._known.told_to(message) or self._owner(message)
        if party is None:
            raise Refusal(UNKNOWN_RECEIVER, "OCPI-to-party-id: whom this concerns cannot be told from it")
        return party

    def _owner(self, message: Message) -> Party | None:
        """Of the object it is about; one that never passed is looked for in the lists."""
        meant = object_meant(message)
        if meant is None:
            return None
        if self._known.find(*meant) is None:
            interface, rest = list_of(meant[0], INTERFACES)
            query = {"date_from": EVER}
            self._objects(replace(message, interface=interface, method="GET", rest=rest, query=query))
        return self._known.find(*meant)
