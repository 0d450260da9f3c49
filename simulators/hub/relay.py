"""A hub's calls to those it connects: requests of others passed on, and their answers passed back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import httpx

from simulators.hub.members import Member
from simulators.hub.messages import Addresses, Message, Passed
from simulators.partner.ocpi_format import Json, Party, Refusal, routing
from simulators.partner.other_platform import PlatformError, data_of, send
from simulators.partner.partner_settings import PartnerSettings

# Less than anybody waits for the hub's answer.
TIMEOUT = httpx.Timeout(8, connect=3)
UNKNOWN_RECEIVER, TIMED_OUT, NOT_CONNECTED = 4001, 4002, 4003
PASSED_BACK = ("X-Total-Count", "X-Limit")


class Relay:
    def __init__(self, settings: PartnerSettings, addresses: Addresses) -> None:
        self._settings, self._addresses = settings, addresses

    def pass_on(
        self, message: Message, to: Member, receiver: Party, *, sender: Party | None = None
    ) -> Passed:
        """To a party; in the name of its sender, or in the hub's own where that is told to many. Raises Refusal."""
        body, query = self._addresses.in_message(message)
        base = to.endpoint(message.interface.identifier, message.interface.role)
        url = "/".join([base, *(quote(part, safe="") for part in message.rest)])
        headers = routing(sender or message.sender, receiver)
        return self.send(message.method, _with(url, query), to, body, headers, message.correlation_id)

    def send(
        self, method: str, url: str, to: Member, body: Any, headers: dict[str, str], correlation_id: str
    ) -> Passed:
        """To an address of a member. Raises Refusal with one of the codes of hubs."""
        told = {**headers, "X-Correlation-ID": correlation_id}
        answer = self._called(to, method, url, body, told)
        try:
            envelope = answer.json()
        except ValueError:
            envelope = None
        if not isinstance(envelope, dict):
            raise Refusal(4000, f"the receiver answered HTTP {answer.status_code} and no envelope")
        return Passed(answer.status_code, envelope, self._headers(answer, to))

    def pages(self, message: Message, to: Member, receiver: Party) -> list[Json]:
        """A whole list of a party, in the name of who asks. Raises Refusal."""
        base = to.endpoint(message.interface.identifier, message.interface.role)
        query = {name: value for name, value in message.query.items() if name not in ("offset", "limit")}
        following: str | None = _with("/".join([base, *message.rest]), query)
        found: list[Json] = []
        while following:
            answer = self._called(to, "GET", following, None, routing(message.sender, receiver))
            try:
                found += data_of(answer)
            except PlatformError as failure:
                raise Refusal(4000, str(failure)) from failure
            following = answer.links.get("next", {}).get("url")
        return found

    def is_alive(self, member: Member) -> bool:
        """Whether it answers at its versions; what it says there does not count."""
        try:
            self._called(member, "GET", str(member.peer.known()["versions_url"]), None, {})
        except Refusal:
            return False
        return True

    def _called(
        self, to: Member, method: str, url: str, body: Any, headers: dict[str, str]
    ) -> httpx.Response:
        """Whatever it answers. Raises Refusal where it does not."""
        token = str(to.peer.known()["token_out"])
        try:
            answer = send(method, url, token, body, headers=headers, timeout=TIMEOUT)
        except PlatformError as failure:
            is_late = isinstance(failure.__cause__, httpx.ReadTimeout)
            to.is_reachable = to.is_reachable and is_late
            code = TIMED_OUT if is_late else NOT_CONNECTED
            raise Refusal(code, "the receiver does not answer") from failure
        to.heard(self._settings.clock())
        return answer

    def _headers(self, answer: httpx.Response, of: Member) -> dict[str, str]:
        found = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        if following := answer.links.get("next", {}).get("url"):
            found["Link"] = f'<{self._addresses.at_hub(following, of)}>; rel="next"'
        if location := answer.headers.get("Location"):
            found["Location"] = self._addresses.at_hub(location, of)
        return found


def _with(url: str, query: dict[str, str]) -> str:
    return f"{url}?{urlencode(query)}" if query else url
