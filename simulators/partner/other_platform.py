"""The other platform: what it was told to us as at registration, and calls to it."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx

from simulators.partner.ocpi_format import Json, Party, authorization, routing
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.state_file import StateFile

TIMEOUT = httpx.Timeout(15, connect=5)
HUB = "HUB"


class PlatformError(Exception):
    """The other platform did not say yes; `status_code` is OCPI's, 0 where there is none."""

    def __init__(self, message: str, status_code: int = 0) -> None:
        super().__init__(message)
        self.status_code = status_code

    @property
    def is_behind_hub(self) -> bool:
        """A hub did not reach whom it was for."""
        return 4000 < self.status_code < 4100


class OtherPlatform:
    """Kept in the state as "peer": token_in, token_out, versions_url, roles, hub_party_id, endpoints; what a hub tells of its
    parties as "hub_clients"."""

    def __init__(self, settings: PartnerSettings, state: StateFile) -> None:
        self._settings, self._state = settings, state

    @property
    def is_registered(self) -> bool:
        return "peer" in self._state.get_all()

    def known(self) -> Json:
        """Raises PlatformError where nobody is registered."""
        peer: Json | None = self._state.get("peer")
        if peer is None:
            raise PlatformError("nobody is registered here")
        return peer

    def endpoint(self, identifier: str, role: str) -> str:
        """The URL of one of its modules, without a slash at its end. Raises PlatformError."""
        return endpoint_in(self.known()["endpoints"], identifier, role).rstrip("/")

    def has(self, identifier: str, role: str) -> bool:
        """Whether it offers one of its modules in a role. Raises PlatformError where nobody is registered."""
        named = {(e["identifier"].lower().rstrip("s"), e["role"]) for e in self.known()["endpoints"]}
        return (identifier.rstrip("s"), role) in named

    def parties(self, role: str) -> list[list[str]]:
        """[country code, party id] of those who act in this role (in any where none is named) there or behind it, in capitals."""
        roles = [*self.known()["roles"], *self._state.get("hub_clients", {}).values()]
        return [[r["country_code"].upper(), r["party_id"].upper()] for r in roles if role in ("", r["role"])]

    @property
    def hub(self) -> Party | None:
        """Its party if it is a hub, which passes on what is for everybody. Raises PlatformError."""
        peer = self.known()
        if glued := peer.get("hub_party_id"):
            return glued[:2].upper(), glued[2:].upper()
        hubs = [r for r in peer["roles"] if r["role"] == HUB]
        return (hubs[0]["country_code"].upper(), hubs[0]["party_id"].upper()) if hubs else None

    def own_of(self, asker: Party | None, found: list[Json], party_in: Callable[[Json], Json]) -> list[Json]:
        """What is of the party that asks: behind a hub there are others, and one that does not say who it is gets nothing."""
        if self.hub is None:
            return found
        names = ((one, party_in(one)) for one in found)
        return [one for one, of in names if (of["country_code"].upper(), of["party_id"].upper()) == asker]

    def call(self, method: str, url: str, body: Json | None = None, *, to_party: Party | None = None) -> Any:
        """The data of its answer. Raises PlatformError."""
        party = self._settings.party
        own = party["country_code"], party["party_id"]
        return data_of(send(method, url, self.known()["token_out"], body, headers=routing(own, to_party)))

    def pages(self, url: str) -> Iterator[Json]:
        """Every object of a list, page after page; of a hub those of all that it connects. Raises PlatformError."""
        following: str | None = url
        party, hub = self._settings.party, self.hub
        headers = routing((party["country_code"], party["party_id"]), hub) if hub else None
        while following:
            response = send("GET", following, self.known()["token_out"], headers=headers)
            yield from data_of(response)
            following = response.links.get("next", {}).get("url")


def endpoint_in(endpoints: list[Json], identifier: str, role: str = "") -> str:
    """The URL of a module among the endpoints of a version, in any role where none is given. Raises PlatformError."""
    for endpoint in endpoints:
        is_module = endpoint["identifier"].lower().rstrip("s") == identifier.rstrip("s")
        if is_module and role in ("", endpoint["role"]):
            return str(endpoint["url"])
    raise PlatformError(f"the other platform has no {identifier} {role}")


def send(
    method: str,
    url: str,
    token: str,
    body: Any = None,
    *,
    headers: dict[str, str] | None = None,
    timeout: httpx.Timeout = TIMEOUT,
) -> httpx.Response:
    """One request, answered whatever the status. Raises PlatformError where there is no answer."""
    sent = {
        "Authorization": authorization(token),
        "X-Request-ID": str(uuid.uuid4()),
        "X-Correlation-ID": str(uuid.uuid4()),
        **(headers or {}),
    }
    try:
        return httpx.request(
            method, url, json=body, headers=sent, timeout=timeout, trust_env=False, verify=_tls()
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PlatformError(f"{method} {url}: {error or type(error).__name__}") from error


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the authorities takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


def data_of(response: httpx.Response) -> Any:
    """The data of an envelope that says yes. Raises PlatformError."""
    try:
        envelope = response.json()
    except ValueError:
        envelope = {}
    envelope = envelope if isinstance(envelope, dict) else {}
    code = envelope.get("status_code")
    if response.is_success and isinstance(code, int) and 1000 <= code < 2000:
        return envelope.get("data")
    request, message = response.request, envelope.get("status_message", "")
    raise PlatformError(
        f"{request.method} {request.url}: HTTP {response.status_code}, {code} {message}".rstrip(),
        code if isinstance(code, int) else 0,
    )
