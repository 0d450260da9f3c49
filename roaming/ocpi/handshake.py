"""The conversation by which two platforms agree: versions, version details, credentials (OCPI 2.3.0 credentials,
Registration)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from django.conf import settings

from depots.url_guard import HostileAddress, check_url
from roaming.ocpi.call_failures import CallFailed, Refused, Unreachable
from roaming.ocpi.client import Http, Peer
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.party_credentials import PartyCredentials
from roaming.ocpi.versions import read_versions
from roaming.ocpi.wire_object import UnreadableError


@dataclass(frozen=True)
class Agreed:
    """What was found at a partner, and what it gave us. `roles` and `endpoints` as Partner keeps them."""

    versions_url: str
    version: str
    endpoints: list[dict[str, str]]
    roles: list[dict[str, str]]
    token: str  # what we send from now on


class CannotAgree(Exception):
    """The handshake ends here; `status_code` is what OCPI calls the reason, `public` what the other side may read."""

    status_code = 3001

    def __init__(self, reason: str, *, public: str = "") -> None:
        super().__init__(reason)
        self.public = public or reason


class NoUseOfTheirApi(CannotAgree):
    status_code = 3001


class NoCommonVersion(CannotAgree):
    status_code = 3002


class EndpointMissing(CannotAgree):
    status_code = 3003


def our_versions_url() -> str:
    return f"{settings.BERTH_BASE_URL}/ocpi/versions"


async def look_up(
    http: Http,
    peer: Peer,
    versions_url: str,
    *,
    expected_roles: Iterable[str],
    bookings_as: str = "",
    versions: Iterable[str] = tuple(DIALECTS),
) -> tuple[str, list[dict[str, str]]]:
    """The best version both know and its endpoints. Raises CannotAgree.

    `bookings_as` is a name of the Bookings module that was agreed with this partner, beside those of the specification.
    `versions` are those that would do: all of ours, or the one whose credentials URL the partner has called.
    """
    version, url = await _best_version(http, peer, versions_url, versions)
    try:
        check_url(url)
        answer = await http.call(peer, "GET", url)
        endpoints = DIALECTS[version].registration.read_endpoints(answer.data)
        for endpoint in endpoints:
            check_url(endpoint["url"])
    except (CallFailed, HostileAddress, UnreadableError) as failure:
        raise _no_use(f"Your version {version} could not be read", failure) from failure
    _require(version, endpoints, expected_roles, bookings_as)
    return version, endpoints


async def _best_version(
    http: Http, peer: Peer, versions_url: str, versions: Iterable[str]
) -> tuple[str, str]:
    """The best version both know, with its URL. Raises NoUseOfTheirApi or NoCommonVersion."""
    try:
        check_url(versions_url)
        offered = read_versions((await http.call(peer, "GET", versions_url)).data).value
    except (CallFailed, HostileAddress, UnreadableError) as failure:
        raise _no_use("Your versions could not be read", failure) from failure
    urls = {entry.version.strip(): entry.url for entry in offered}
    version = next((ours for ours in versions if ours in urls), None)
    if version is None:
        raise NoCommonVersion(
            f"We need version {' or '.join(versions)}; you offer {', '.join(urls) or 'none'}."
        )
    return version, urls[version]


def _no_use(what: str, failure: Exception) -> NoUseOfTheirApi:
    public = failure.public if isinstance(failure, CallFailed) else str(failure)
    return NoUseOfTheirApi(f"{what}: {failure}", public=f"{what}: {public}")


async def introduce(
    http: Http,
    peer: Peer,
    versions_url: str,
    *,
    credentials: PartyCredentials,
    expected_roles: Iterable[str],
    bookings_as: str = "",
    method: str = "POST",
    versions: Iterable[str] = tuple(DIALECTS),
) -> Agreed:
    """Register with a partner whose token A `peer` holds (PUT: renew). Raises CannotAgree, Refused, Unreachable: only the
    latter two once the partner may have got our credentials."""
    version, endpoints = await look_up(
        http,
        peer,
        versions_url,
        expected_roles=expected_roles,
        bookings_as=bookings_as,
        versions=versions,
    )
    url = credentials_url(endpoints)
    dialect = DIALECTS[version]
    answer = await http.call(peer, method, url, body=dialect.registration.write_credentials(credentials))
    try:
        theirs = dialect.registration.read_credentials(answer.data).value
        check_url(theirs.versions_url)
    except (UnreadableError, HostileAddress) as error:
        raise Unreachable(f"the partner's credentials cannot be read: {error}") from error
    return Agreed(theirs.versions_url, version, endpoints, theirs.roles_with_hub, theirs.token)


async def in_their_spelling(http: Http, peer: Peer, versions_url: str) -> Peer:
    """The same peer, with its token as it is instead of in base64 (or the other way round) where only that is let in."""
    try:
        await http.call(peer, "GET", versions_url)
    except Refused as refusal:
        if refusal.http_status in (401, 403):
            other = replace(peer, sends_raw_token=not peer.sends_raw_token)
            with suppress(CallFailed):
                await http.call(other, "GET", versions_url)
                return other
    except CallFailed:
        pass  # whoever looks it up is told why
    return peer


async def given_token(http: Http, peer: Peer, version: str, endpoints: list[dict[str, str]]) -> str:
    """The token that a partner says we are to call it with (GET credentials). Raises CannotAgree, Refused, Unreachable."""
    answer = await http.call(peer, "GET", credentials_url(endpoints))
    try:
        return DIALECTS[version].registration.read_credentials(answer.data).value.token
    except UnreadableError as error:
        raise Unreachable(
            f"the partner's credentials cannot be read: {error}", maybe_received=False
        ) from error


async def take_leave(http: Http, peer: Peer, endpoints: list[dict[str, str]]) -> None:
    """DELETE our credentials at a partner. A partner that does not know us any more is content too."""
    try:
        await http.call(peer, "DELETE", credentials_url(endpoints))
    except Refused as refusal:
        if refusal.http_status not in (401, 404, 405):
            raise


def credentials_url(endpoints: list[dict[str, str]]) -> str:
    """Listed once, with a role that means nothing. Raises EndpointMissing."""
    for endpoint in endpoints:
        if endpoint["identifier"].lower() == "credentials":
            return endpoint["url"]
    raise EndpointMissing("Your version details list no credentials endpoint.")


# By version and role what a partner must offer, any of it: the side of Bookings that faces ours. To 2.2.1 Bookings are a module
# some agree on; without it there is something of the core.
NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "2.3.0": {"EMSP": ("booking RECEIVER",), "CPO": ("booking SENDER",)},
    "2.2.1": {
        "EMSP": ("booking RECEIVER", "token SENDER", "location RECEIVER", "cdr RECEIVER"),
        "CPO": ("booking SENDER", "location SENDER"),
    },
}


def _require(
    version: str, endpoints: list[dict[str, str]], expected_roles: Iterable[str], bookings_as: str
) -> None:
    """Raises EndpointMissing: credentials, and for each role what a partner needs to be of use."""
    credentials_url(endpoints)
    offered = {f"{_module(e['identifier'], bookings_as)} {e['role']}" for e in endpoints}
    for role in expected_roles:
        needed = NEEDED[version].get(role)
        if needed and offered.isdisjoint(needed):
            module, side = needed[0].split()
            raise EndpointMissing(f"Your version details list no {module.capitalize()} endpoint as {side}.")


def _module(identifier: str, bookings_as: str) -> str:
    """In the words of NEEDED."""
    named = identifier.lower()
    return "booking" if bookings_as and named == bookings_as.lower() else named.rstrip("s")
