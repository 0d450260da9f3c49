"""What others ask of a hub: versions, credentials and whom it connects, and below its modules what is for others."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from simulators.hub.client_infos import ClientInfos
from simulators.hub.members import Member, Members
from simulators.hub.messages import INTERFACES, Message, Passed
from simulators.hub.relay import Relay
from simulators.hub.switchboard import Switchboard
from simulators.partner.hub_clients import MODULE as CLIENT_INFOS
from simulators.partner.ocpi_format import Json, Party, Refusal, envelope, read_body, routed_party, routing
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.requests import Request, RoutedAnswer, page_of
from simulators.partner.router import configuration


@dataclass(frozen=True)
class HubRouter:
    settings: PartnerSettings
    url: str
    members: Members
    infos: ClientInfos
    switchboard: Switchboard
    relay: Relay

    def answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, Json, dict[str, str]]:
        """One request: HTTP status, envelope, further headers."""
        parts, now = urlsplit(target), self.settings.clock()
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        back: dict[str, str] = {}
        try:
            member, kind = self.members.caller(headers.get("authorization", ""))
            body = read_body(raw) if method in ("POST", "PUT", "PATCH") else None
            query = dict(parse_qsl(parts.query))
            request = Request(method, path, query, body, kind, f"{self.url}{parts.path}")
            told = self._of_the_hub(request, member, headers.get("authorization", ""))
            if told is not None:
                return told.http_status, envelope(told.data, now), told.headers
            sender = self._sender(member, headers)
            back = routing(self.switchboard.party, sender)
            correlation_id = headers.get("x-correlation-id") or str(uuid.uuid4())
            receiver = routed_party(headers, "to")
            if path[:2] == ["ocpi", "to"]:
                named = f"{parts.path}?{parts.query}" if parts.query else parts.path
                return self._to_address(request, named, sender, receiver, correlation_id)
            return self.switchboard.answer(self._message(request, member, sender, receiver, correlation_id))
        except Refusal as refusal:
            refused = envelope(None, now, status_code=refusal.status_code, message=str(refusal))
            return refusal.http_status, refused, back

    def _of_the_hub(self, request: Request, member: Member, authorization: str) -> RoutedAnswer | None:
        """Configuration modules, which are not routed; None for what is for others. Raises Refusal."""
        spoken = self.settings.version
        configured = configuration(request, spoken, self.url, self._endpoints(), member.registration)
        if configured is not None:
            if request.path[-1] == "credentials":
                self.infos.refresh()
            return configured
        member.registration.registered_caller(request.caller, authorization)
        if request.path == ["ocpi", spoken, CLIENT_INFOS] and request.method == "GET":
            return page_of(request, self.infos.listed(member))
        return None

    def _sender(self, member: Member, headers: dict[str, str]) -> Party:
        """Whom a member speaks for. Raises Refusal."""
        member.heard(self.settings.clock())
        sender = routed_party(headers, "from")
        if sender is None:
            raise Refusal(2001, "OCPI-from-country-code and OCPI-from-party-id: are required")
        if sender not in {one.party for one in member.roles}:
            raise Refusal(2001, f"OCPI-from-party-id: {'*'.join(sender)} is none of your parties", 404)
        return sender

    def _to_address(
        self, request: Request, named: str, sender: Party, receiver: Party | None, correlation_id: str
    ) -> Passed:
        """To an address that a member gave to somebody (Addresses). Raises Refusal."""
        to = self.members.named("".join(request.path[2:3]))
        url = to.origin + named.removeprefix(f"/ocpi/to/{to.name}")
        headers = routing(sender, receiver)
        passed = self.relay.send(request.method, url, to, request.body, headers, correlation_id)
        return passed._replace(headers=passed.headers | (routing(receiver, sender) if receiver else {}))

    def _message(
        self, request: Request, member: Member, sender: Party, receiver: Party | None, correlation_id: str
    ) -> Message:
        """Raises Refusal."""
        match request.path:
            case ["ocpi", side, version, path, *rest] if version == self.settings.version:
                for one in INTERFACES:
                    if (one.of.lower(), one.path) == (side, path):
                        return Message(
                            member, one, request.method, tuple(part for part in rest if part), request.query,
                            request.body, sender, receiver, correlation_id, request.url,
                        )  # fmt: skip
        raise Refusal(2000, "there is nothing here", 404)

    def _endpoints(self) -> list[Json]:
        base, spoken = f"{self.url}/ocpi", self.settings.version
        own = [
            {"identifier": name, "role": "SENDER", "url": f"{base}/{spoken}/{name}"}
            for name in ("credentials", CLIENT_INFOS)
        ]
        return own + [
            {
                "identifier": one.identifier,
                "role": one.role,
                "url": f"{base}/{one.of.lower()}/{spoken}/{one.path}",
            }
            for one in INTERFACES
        ]
