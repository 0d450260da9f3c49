"""Whether a partner can be reached and used, step by step and in words: its address and certificate, our token, versions,
details, credentials, each endpoint, its clock.

Everything is a GET. What is asked of a Receiver is an object that nobody has: that it does not exist is the answer we want.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from depots import url_guard
from depots.models import Organisation
from depots.periods import utc_text
from roaming import registration
from roaming.models import Partner
from roaming.ocpi import handshake
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Answer, Http, Party, Peer, joined
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.handshake import CannotAgree
from roaming.ocpi.times import time_out
from roaming.ocpi.versions import read_versions
from roaming.ocpi.wire_object import UnreadableError

TIME_LIMIT_S = 60.0
CALL_S = 8.0
MOST_ENDPOINTS = 40
AT_ONCE = 4
# Modules without lists: whatever they answer to a GET, somebody is there.
WITHOUT_LISTS = {"commands", "chargingprofiles"}
NOBODYS = "berth-connection-test"
CLOCK_OFF = timedelta(seconds=30)
EXPIRES_SOON = timedelta(days=14)


@dataclass(frozen=True)
class Step:
    """One thing that was tried. `advice` is what to do about it, empty where there is nothing to do."""

    what: str
    is_ok: bool
    found: str
    advice: str = ""
    took_ms: int | None = None


@dataclass
class _Check:
    """A check under way: what is tried, with which token and between which parties, and what came of it so far."""

    http: Http
    peer: Peer
    versions_url: str
    known: Partner | None
    parties: dict[str, tuple[Party | None, Party | None]]
    now: datetime

    def __post_init__(self) -> None:
        self.steps: list[Step] = []

    async def run(self) -> None:
        if not await self._address() or not (urls := await self._versions()):
            return
        version = self._version(urls)
        if not version:
            return
        endpoints = await self._details(version, urls[version])
        if self.known is None or endpoints is None:
            return
        await self._credentials(version, endpoints)
        await self._endpoints(version, endpoints)

    def _say(self, what: str, is_ok: bool, found: str, advice: str = "", took: float | None = None) -> None:
        self.steps.append(Step(what, is_ok, found, advice, int(took * 1000) if took is not None else None))

    async def _address(self) -> bool:
        """Name, address and certificate, before anything is asked."""
        began = time.monotonic()
        try:
            url_guard.check_url(self.versions_url)
            found = await _connected(self.versions_url, self.now)
        except (url_guard.HostileAddress, OSError) as error:
            advice = "Ask the partner for an address that is reachable over https from here."
            if "certificate" in str(error).lower():
                advice = (
                    "The partner has to install a certificate that is valid for this name, with its chain."
                )
            self._say("Address", False, str(error), advice)
            return False
        self._say("Address", not found.advice, found.found, found.advice, time.monotonic() - began)
        return True

    async def _versions(self) -> dict[str, str] | None:
        """The versions it offers, with their URLs; the same call tells what its clock shows."""
        began = time.monotonic()
        try:
            answer = await self.http.call(self.peer, "GET", self.versions_url, time_limit_s=CALL_S)
            offered = read_versions(answer.data).value
        except (CallFailed, UnreadableError) as error:
            self._say("Versions", False, str(error), await self._about_token(error))
            return None
        urls = {one.version.strip(): one.url for one in offered}
        self._say("Versions", True, f"It offers {', '.join(urls) or 'none'}.", took=time.monotonic() - began)
        self._clock(answer)
        return urls

    async def _about_token(self, error: Exception) -> str:
        """A token that is taken in its other spelling only needs a switch."""
        if not isinstance(error, Refused) or error.http_status not in (401, 403):
            return "The address must be the one of its versions endpoint; it answers with an OCPI envelope."
        other = replace(self.peer, sends_raw_token=not self.peer.sends_raw_token)
        try:
            await self.http.call(other, "GET", self.versions_url, time_limit_s=CALL_S)
        except CallFailed:
            return "The partner does not know our token: register again with a new token A."
        spelled = "as it is" if other.sends_raw_token else "in base64"
        return f"The partner takes the token {spelled}: set its switch raw_token to {other.sends_raw_token}."

    def _clock(self, answer: Answer) -> None:
        try:
            theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
        except ValueError:
            return
        theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
        off = theirs - self.now
        if abs(off) <= CLOCK_OFF:
            self._say("Clock", True, "Its clock shows our time.")
            return
        way = "ahead" if off > timedelta() else "behind"
        advice = "Bookings are refused as past or too late while clocks differ: one side has to set its clock by NTP."
        self._say("Clock", False, f"Its clock is {abs(off).total_seconds():.0f} s {way}.", advice)

    def _version(self, urls: dict[str, str]) -> str:
        agreed = self.known.version if self.known else ""
        best = next((version for version in DIALECTS if version in urls), "")
        if agreed and agreed not in urls:
            advice = f"Change to version {best}." if best else "There is no version that both sides speak."
            self._say("Version", False, f"It offers {agreed} no more, which is what was agreed.", advice)
            return ""
        if not best:
            self._say("Version", False, f"We speak {' and '.join(DIALECTS)}, and it offers neither.")
            return ""
        advice = f"{best} is better: it can be changed to." if agreed and agreed != best else ""
        self._say("Version", True, f"{agreed or best} is spoken by both.", advice)
        return agreed or best

    async def _details(self, version: str, url: str) -> list[dict[str, str]] | None:
        began = time.monotonic()
        try:
            url_guard.check_url(url)
            answer = await self.http.call(self.peer, "GET", url, time_limit_s=CALL_S)
            endpoints = DIALECTS[version].registration.read_endpoints(answer.data)
            handshake.credentials_url(endpoints)
        except (CallFailed, CannotAgree, UnreadableError, url_guard.HostileAddress) as error:
            self._say("Version details", False, str(error), f"{url} must list the endpoints of {version}.")
            return None
        changed = self.known is not None and _as_set(endpoints) != _as_set(self.known.endpoints)
        advice = (
            "They are not those of the registration: change the tokens, which reads them anew."
            if changed
            else ""
        )
        found = f"{len(endpoints)} endpoints: {', '.join(sorted({e['identifier'] for e in endpoints}))}."
        self._say("Version details", not changed, found, advice, time.monotonic() - began)
        return endpoints

    async def _credentials(self, version: str, endpoints: list[dict[str, str]]) -> None:
        try:
            given = await handshake.given_token(self.http, self.peer, version, endpoints)
        except (CallFailed, CannotAgree) as error:
            self._say("Credentials", False, str(error), "The partner has to answer GET credentials.")
            return
        is_ours = given == self.peer.token
        found = (
            "It gives us the token that we use."
            if is_ours
            else "It gives us another token than the one we use."
        )
        self._say("Credentials", is_ours, found, "" if is_ours else "Change the tokens.")

    async def _endpoints(self, version: str, endpoints: list[dict[str, str]]) -> None:
        functional = [one for one in endpoints if one["identifier"].lower() != "credentials"][:MOST_ENDPOINTS]
        room = asyncio.Semaphore(AT_ONCE)

        async def one(endpoint: dict[str, str]) -> Step:
            async with room:
                return await self._endpoint(endpoint)

        self.steps += await asyncio.gather(*(one(endpoint) for endpoint in functional))

    async def _endpoint(self, endpoint: dict[str, str]) -> Step:
        """A Sender lists; a Receiver that says in an envelope that there is no such object is there as well."""
        module, role, url = endpoint["identifier"], endpoint["role"], endpoint["url"]
        what, began = f"{module} {role.lower()}", time.monotonic()
        ours, theirs = self.parties["SENDER" if role == "SENDER" else "RECEIVER"]
        is_routed = module.lower() != "hubclientinfo"
        peer = replace(self.peer, from_party=ours, to_party=theirs) if is_routed else self.peer
        query = None
        if role == "SENDER":
            query = {"limit": "1", "date_from": time_out(self.now - timedelta(days=1))}
        elif ours is not None:
            url = joined(url, *ours, NOBODYS)
        try:
            url_guard.check_url(url)
            await self.http.call(peer, "GET", url, query=query, time_limit_s=CALL_S)
        except Refused as refusal:
            is_listed = module.lower() not in WITHOUT_LISTS
            return _refused(what, refusal, time.monotonic() - began, is_listed=is_listed)
        except (CallFailed, url_guard.HostileAddress) as error:
            return Step(what, False, str(error), "The partner has to answer at this address.")
        return Step(what, True, "It answers.", took_ms=int((time.monotonic() - began) * 1000))


def check_partner(partner: Partner, *, now: datetime) -> list[Step]:
    """Of one that is registered, suspended too: all of it."""
    peer = registration.peer_of(partner)
    parties = {
        "SENDER": (_ours("emsp_party_id"), _theirs(partner, "CPO")),
        "RECEIVER": (_ours("cpo_party_id"), _theirs(partner, "EMSP")),
    }
    return _checked(lambda http: _Check(http, peer, partner.versions_url, partner, parties, now), now)


def check_address(
    versions_url: str, token_a: str, *, sends_raw_token: bool = False, now: datetime
) -> list[Step]:
    """Of one that has invited us: as far as its token A leads."""
    peer = Peer(token_a, sends_raw_token=sends_raw_token)
    return _checked(lambda http: _Check(http, peer, versions_url, None, {}, now), now)


def _checked(start: Callable[[Http], _Check], now: datetime) -> list[Step]:
    async def run(http: Http) -> list[Step]:
        check = start(http)
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                await check.run()
        except TimeoutError:
            check.steps.append(Step("All of it", False, f"It took longer than {TIME_LIMIT_S:.0f} s."))
        return check.steps

    return registration.converse(run, now)


@dataclass(frozen=True)
class _Found:
    found: str
    advice: str = ""


async def _connected(url: str, now: datetime) -> _Found:
    """What a connection shows. Raises HostileAddress and OSError."""
    parts = urlsplit(url)
    is_tls, host = parts.scheme == "https", parts.hostname or ""
    tls = httpx.create_ssl_context(trust_env=False) if is_tls else None
    port = parts.port or (443 if is_tls else 80)
    opened = await url_guard.connect(_Connection, host, port, tls=tls, timeout_s=CALL_S)
    try:
        return (
            _certificate(opened.transport, host, now) if is_tls else _Found(f"{host} answers, without TLS.")
        )
    finally:
        opened.transport.close()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


def _certificate(transport: asyncio.Transport, host: str, now: datetime) -> _Found:
    certificate = transport.get_extra_info("peercert") or {}
    spoken = transport.get_extra_info("ssl_object").version() or "TLS"
    try:
        until = datetime.strptime(certificate["notAfter"], "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return _Found(f"{host} answers over {spoken}.")
    advice = "The partner has to renew its certificate." if until - now < EXPIRES_SOON else ""
    return _Found(f"{host} answers over {spoken}; its certificate is valid until {utc_text(until)}.", advice)


def _refused(what: str, refusal: Refused, took: float, *, is_listed: bool) -> Step:
    took_ms = int(took * 1000)
    if refusal.http_status in (401, 403):
        return Step(what, False, str(refusal), "The partner does not let us in here.", took_ms)
    if refusal.is_their_fault or (refusal.status_code is None and refusal.http_status != 405 and is_listed):
        return Step(what, False, str(refusal), "The partner has to look into this.", took_ms)
    return Step(what, True, "It answers; there is no such object, as it should be.", took_ms=took_ms)


def _as_set(endpoints: list[dict[str, str]]) -> set[tuple[str, str, str]]:
    return {(e["identifier"].lower(), e["role"].upper(), e["url"]) for e in endpoints}


def _ours(column: str) -> Party | None:
    rows = Organisation.objects.filter(is_partner=False).exclude(country_code="").exclude(**{column: ""})
    first = rows.order_by("pk").first()
    return (first.country_code.upper(), getattr(first, column).upper()) if first else None


def _theirs(partner: Partner, role: str) -> Party | None:
    named = [(r["country_code"], r["party_id"]) for r in partner.roles if r["role"] == role]
    return named[0] if named else None
