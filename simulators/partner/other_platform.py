"""The other platform: what it was told to us as at registration, and calls to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx

from simulators.partner.ocpi_format import Json, authorization
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.state_file import StateFile

TIMEOUT = httpx.Timeout(15, connect=5)


class PlatformError(Exception):
    """The other platform did not say yes."""


class OtherPlatform:
    """Kept in the state as "peer": token_in, token_out, versions_url, roles, endpoints."""

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
        """[country code, party id] of those who act in this role there, in capitals."""
        roles = self.known()["roles"]
        return [[r["country_code"].upper(), r["party_id"].upper()] for r in roles if r["role"] == role]

    def call(
        self, method: str, url: str, body: Json | None = None, *, to_party: tuple[str, str] | None = None
    ) -> Any:
        """The data of its answer. Raises PlatformError."""
        party = self._settings.party
        headers = {
            "OCPI-from-country-code": party["country_code"],
            "OCPI-from-party-id": party["party_id"],
        }
        if to_party:
            headers |= {"OCPI-to-country-code": to_party[0], "OCPI-to-party-id": to_party[1]}
        return data_of(send(method, url, self.known()["token_out"], body, headers=headers))

    def pages(self, url: str) -> Iterator[Json]:
        """Every object of a list, page after page. Raises PlatformError."""
        following: str | None = url
        while following:
            response = send("GET", following, self.known()["token_out"])
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
    method: str, url: str, token: str, body: Json | None = None, *, headers: dict[str, str] | None = None
) -> httpx.Response:
    """One request, answered whatever the status. Raises PlatformError where there is no answer."""
    sent = {
        "Authorization": authorization(token),
        "X-Request-ID": str(uuid.uuid4()),
        "X-Correlation-ID": str(uuid.uuid4()),
        **(headers or {}),
    }
    try:
        return httpx.request(method, url, json=body, headers=sent, timeout=TIMEOUT, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PlatformError(f"{method} {url}: {error or type(error).__name__}") from error


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
        f"{request.method} {request.url}: HTTP {response.status_code}, {code} {message}".rstrip()
    )
