"""A partner that only registers, and what is said to us while it does."""

from __future__ import annotations

from typing import Any

import httpx
from django.utils import timezone

from roaming import registration
from tests.roaming.partners import authorization
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope


def invite(party: str, roles: list[str], country: str = "SE") -> registration.Invitation:
    return registration.invite(
        name=f"Network {party}", country_code=country, party_id=party, roles=roles, now=timezone.now()
    )


class RegisteringPeer:
    """A partner that is nothing but its versions, its details and its token B; every answer can be replaced."""

    def __init__(self, party: str = "ABC", roles: tuple[str, ...] = ("EMSP",)) -> None:
        self.party, self.roles = party, roles
        self.token = "token-b-of-the-partner"
        self.replies: dict[str, Reply] = {}
        self.versions = ["2.1.1", "2.3.0"]
        self.endpoints = [("credentials", "SENDER"), ("bookings", "RECEIVER"), ("Booking", "SENDER")]
        self.server = ScriptedPeer(self._answer)

    def __enter__(self) -> RegisteringPeer:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    @property
    def credentials(self) -> dict[str, Any]:
        party = {"country_code": "SE", "party_id": self.party, "business_details": {"name": "Network"}}
        return {
            "token": self.token,
            "url": f"{self.server.url}/versions",
            "roles": [{"role": role, **party} for role in self.roles],
        }

    def _answer(self, asked: Asked) -> Reply:
        if asked.path in self.replies:
            return self.replies[asked.path]
        if asked.path == "/versions":
            return envelope([{"version": v, "url": f"{self.server.url}/{v}"} for v in self.versions])
        if (version := asked.path.removeprefix("/")) in self.versions:
            base = self.server.url if version == "2.3.0" else f"{self.server.url}/{version}"
            rows = [{"identifier": i, "role": r, "url": f"{base}/{i}/{r}"} for i, r in self.endpoints]
            return envelope({"version": version, "endpoints": rows})
        return envelope()


def credentials_url(token: str, platform: str, version: str = "2.3.0") -> str:
    versions = ask("GET", platform, token).json()["data"]
    details = ask("GET", next(v["url"] for v in versions if v["version"] == version), token).json()["data"]
    found: list[str] = [e["url"] for e in details["endpoints"] if e["identifier"] == "credentials"]
    assert len(found) == 1
    return found[0]


def ask(method: str, url: str, token: str, body: Any = None) -> httpx.Response:
    return httpx.request(method, url, json=body, headers={"Authorization": authorization(token)}, timeout=30)


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["status_code"]
