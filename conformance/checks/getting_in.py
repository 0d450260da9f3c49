"""Registration, lines 1 to 12: what is tried with token A, the handshake, and what follows it at once."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from conformance import specification
from conformance.checks import emsp
from conformance.run import CPO, EMSP, Fault, Line, Run, Skipped
from conformance.wire import Answer, Json, authorization

INVITED_AS = re.compile(r"\b([A-Z]{2})[*-]?([A-Z0-9]{3})\b")
# What the checked platform lists as a CPO, and as an eMSP (§1.2); only these two are needed to book.
NEEDED = {CPO: {("booking", "SENDER"), ("locations", "SENDER")}, EMSP: {("booking", "RECEIVER")}}
MODULES = {
    CPO: {
        ("tariffs", "SENDER"), ("sessions", "SENDER"), ("cdrs", "SENDER"), ("tokens", "RECEIVER"),
        ("commands", "RECEIVER"), ("chargingprofiles", "RECEIVER"),
    },
    EMSP: {
        ("locations", "RECEIVER"), ("tariffs", "RECEIVER"), ("sessions", "RECEIVER"), ("cdrs", "RECEIVER"),
        ("tokens", "SENDER"), ("commands", "SENDER"),
    },
}  # fmt: skip


def versions(run: Run) -> str:
    url = run.settings.versions_url
    found = run.success(run.caller.send("GET", url, routed=False))
    if not isinstance(found, list):
        raise Fault("data is no list")
    for one in found:
        run.version = specification.VERSIONS[0]
        run.conforms("Version", one)
        _check_url(one["url"], is_private=_is_private(url))
    run.version_urls = {one["version"]: one["url"] for one in found}
    wanted = (run.settings.version,) if run.settings.version else specification.VERSIONS
    run.version = next((one for one in wanted if one in run.version_urls), "")
    if not run.version:
        raise Fault(f"{' or '.join(wanted)} is not offered, but {', '.join(run.version_urls) or 'nothing'}")
    return f"offers {', '.join(run.version_urls)}"


def details(run: Run) -> str:
    _need_version(run)
    read_details(run, run.version)
    names = [one["identifier"].lower() for one in run.noted["endpoints"]]
    if names.count("credentials") != 1:
        raise Fault(f"credentials is listed {names.count('credentials')} times")
    listed = {(name.replace("bookings", "booking"), role) for name, role in run.endpoints}
    missing = {one for role in run.roles for one in NEEDED[role]} - listed
    if missing or not run.roles:
        raise Fault(f"not listed: {_named(missing) or 'Booking in any role'}")
    absent = {one for role in run.roles for one in MODULES[role]} - listed
    return f"not listed: {_named(absent)}" if absent else ""


def read_details(run: Run, version: str) -> None:
    """The endpoints of a version, and which roles can be checked there. Raises Fault."""
    found = run.success(run.caller.send("GET", run.version_urls[version], routed=False))
    run.conforms("VersionDetails", found)
    if found["version"] != version:
        raise Fault(f"the details of {version} are those of {found['version']}")
    run.noted["endpoints"] = found["endpoints"]
    run.endpoints = {(one["identifier"].lower(), one["role"]): one["url"] for one in found["endpoints"]}
    offered = {role for name, role in run.endpoints if name in ("booking", "bookings")}
    can = [role for role, side in ((CPO, "SENDER"), (EMSP, "RECEIVER")) if side in offered]
    run.roles = tuple(role for role in run.settings.roles or can if role in can)


def aliases(run: Run) -> str:
    by_role: dict[str, dict[str, str]] = {}
    for one in run.noted.get("endpoints", []):
        if one["identifier"].lower() in ("booking", "bookings"):
            by_role.setdefault(one["role"], {})[one["identifier"]] = one["url"]
    if not by_role:
        raise Skipped("no Bookings endpoint is listed")
    for role, urls in by_role.items():
        if len({url.rstrip("/") for url in urls.values()}) > 1:
            raise Fault(f"{' and '.join(urls)} as {role} have different urls")
    return ", ".join(f"{role} as {' and '.join(urls)}" for role, urls in by_role.items())


def functional_with_token_a(run: Run) -> str:
    if run.noted.get("token A is dead"):
        raise Skipped("token A does not open the versions")
    url = run.bookings_url if CPO in run.roles else run.receiver_url
    _unauthorised(run.caller.send("GET", url))
    for headers in ({"Authorization": ""}, {"Authorization": authorization(secrets.token_hex(16))}):
        _unauthorised(run.caller.send("GET", url, headers=headers))
    return ""


def not_registered(run: Run) -> None:
    """The first half of line 6; the other is `registered_already`."""
    for method in ("PUT", "DELETE"):
        body = _credentials(run) if method == "PUT" else None
        answer = run.caller.send(method, credentials_url(run), body, routed=False)
        if answer.status != 405:
            run.noted["not registered"] = (
                f"{answer}; with token A, before any registration, HTTP 405 is right"
            )


def register(run: Run) -> str:
    """Line 4. The first role is tried with what is needed; a platform that names whom it invited is told that."""
    token_a = run.caller.token
    answer = _post(run)
    if answer.code == 2001 and (invited := _invited_party(answer.message)):
        run.settings = replace(run.settings, party=invited)
        run.caller.sender = invited
        emsp.show(run)
        answer = _post(run)
    given = run.success(answer)
    run.conforms("Credentials", given)
    run.is_registered = True
    read_back = [call.path for call in run.listener.since(0) if call.method == "GET" and call.status == 200]
    run.caller.token = given["token"]
    run.noted["token A"] = token_a
    run.noted["credentials"] = given
    run.parties = [
        (one["role"], one["country_code"].upper(), one["party_id"].upper()) for one in given["roles"]
    ]
    if "/versions" not in read_back or f"/{run.version}" not in read_back:
        raise Fault(
            f"our versions and details were not read before the answer; read: {read_back or 'nothing'}"
        )
    run.get(run.settings.versions_url, routed=False)
    dead = run.caller.send(
        "GET", run.settings.versions_url, routed=False, headers={"Authorization": authorization(token_a)}
    )
    if dead.status != 401:
        raise Fault(f"token A still opens the versions: {dead}")
    return ""


def _post(run: Run) -> Answer:
    return run.caller.send("POST", credentials_url(run), _credentials(run), routed=False)


def registered_already(run: Run) -> str:
    answer = _post(run)
    if answer.status != 405:
        raise Fault(f"{answer}; POST by somebody who is registered: HTTP 405 is right")
    if "not registered" in run.noted:
        raise Fault(run.noted["not registered"])
    return ""


def call_back_fails(run: Run) -> str:
    """By PUT, since a failed POST could cost token A, and with it the run."""
    run.listener.shown.broken_versions = True
    try:
        unread = _put(run)
    finally:
        run.listener.shown.broken_versions = False
    run.listener.shown.without_modules = True
    try:
        without = _put(run)
    finally:
        run.listener.shown.without_modules = False
    run.get(run.settings.versions_url, routed=False)
    run.refused(unread, 3001)
    if without.is_success:
        return "judged by PUT; a partner without modules is accepted"
    run.refused(without, 3003)
    return "judged by PUT, with which nothing may change either"


def renew(run: Run) -> str:
    mark, old = run.listener.mark, run.caller.token
    run.listener.use_token(secrets.token_urlsafe(32))
    answer = _put(run)
    given = run.success(answer)
    run.conforms("Credentials", given)
    read_back = [call.path for call in run.listener.since(mark) if call.method == "GET"]
    if "/versions" not in read_back or f"/{run.version}" not in read_back:
        raise Fault("our versions and details were not read again")
    if given["token"] == old:
        raise Fault("the token of the answer is the old one")
    url, with_old = run.settings.versions_url, {"Authorization": authorization(old)}
    still = run.caller.send("GET", url, routed=False, headers=with_old)
    if not still.is_success:
        raise Fault(f"the old token was dead before the new one was used: {still}")
    run.get(url, routed=False)
    dead = run.caller.send("GET", url, routed=False, headers=with_old)
    if dead.status != 401:
        raise Fault(f"the old token is good although the new one is used: {dead}")
    return ""


def _put(run: Run) -> Answer:
    """The token of an answer is taken at once, whether the answer is right or not: it is the one that counts."""
    answer = run.caller.send("PUT", credentials_url(run), _credentials(run), routed=False)
    given = answer.data.get("token") if isinstance(answer.data, dict) else None
    if answer.is_success and isinstance(given, str):
        run.caller.token = given
    return answer


def renewed(run: Run) -> None:
    """Raises Fault where the platform does not take our credentials anew."""
    run.listener.use_token(secrets.token_urlsafe(32))
    run.conforms("Credentials", run.success(_put(run)))


def spellings(run: Run) -> str:
    token, url = run.caller.token, run.settings.versions_url
    newline = base64.b64encode(f"{token}\n".encode()).decode()
    for what, value in (("raw", token), ("base64 with a line end", newline)):
        answer = run.caller.send("GET", url, routed=False, headers={"Authorization": f"Token {value}"})
        if not answer.is_success:
            raise Fault(f"the token, {what}: {answer}")
    wrong = authorization(token[:-1] + ("a" if token[-1] != "a" else "b"))
    _unauthorised(run.caller.send("GET", url, routed=False, headers={"Authorization": wrong}))
    return ""


def outbound_header(run: Run) -> str:
    calls = run.listener.since(0)
    if not calls:
        raise Skipped("the platform has not called us")
    right = {authorization(token) for token in run.listener.accepted_tokens}
    wrong = [call for call in calls if call.headers.get("authorization") not in right]
    if wrong:
        raise Fault(
            f"{wrong[0].method} {wrong[0].path} came with {_shape(wrong[0].headers.get('authorization', ''))}"
        )
    return f"of {len(calls)} calls"


def credentials_url(run: Run) -> str:
    for (name, _), url in run.endpoints.items():
        if name == "credentials":
            return url
    raise Skipped("no credentials endpoint is listed")


def _credentials(run: Run) -> Json:
    """Ours. Both roles, so that it does not matter as which of them we were invited."""
    country, party = run.settings.party
    roles = [(EMSP, country, party), (CPO, country, party), (EMSP, *run.second_party)]
    return {
        "token": run.listener.token,
        "url": run.listener.versions_url,
        "roles": [
            {
                "role": role,
                "country_code": country_code,
                "party_id": party_id,
                "business_details": {"name": f"Conformance check {country_code}*{party_id}"},
            }
            for role, country_code, party_id in roles
        ],
    }


def _invited_party(message: str) -> tuple[str, str] | None:
    found = INVITED_AS.search(message.upper())
    return (found[1], found[2]) if found else None


def _unauthorised(answer: Answer) -> None:
    if answer.status != 401:
        raise Fault(f"{answer}; HTTP 401 is right")
    if faults := specification.envelope_faults(answer.body):
        raise Fault(f"{answer}; a 401 without envelope: {faults[0]}")
    if answer.data is not None:
        raise Fault(f"{answer}; a 401 with data")


def _check_url(url: str, *, is_private: bool) -> None:
    parts = urlsplit(url)
    if not parts.netloc or parts.scheme not in ("http", "https"):
        raise Fault(f"{url} is not absolute")
    if parts.scheme == "http" and not is_private:
        raise Fault(f"{url} is not https")


def _is_private(url: str) -> bool:
    """Plain http is for tests between addresses that nobody else reaches."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host


def _shape(header: str) -> str:
    """What an Authorization header looks like, without what it says."""
    scheme, _, value = header.partition(" ")
    return (
        f"{scheme or 'nothing'} and {len(value)} characters, not base64 of our token"
        if header
        else "no Authorization"
    )


def _named(modules: set[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {role}" for name, role in sorted(modules))


def _need_version(run: Run) -> None:
    if not run.version:
        raise Skipped("no version in common")


WITH_TOKEN_A = (
    Line(1, "GET versions lists OCPI versions with absolute URLs", versions),
    Line(2, "Version details list credentials once and the modules with their roles", details),
    Line(3, "Booking and bookings share their urls", aliases),
    Line(
        10,
        "A functional module gives 401 for token A, no token and a wrong one, in an envelope",
        functional_with_token_a,
    ),
)
HANDSHAKE = (Line(4, "POST credentials calls back, gives token C, and ends token A", register),)
REGISTERED = (
    Line(6, "POST when registered, PUT and DELETE when not: 405", registered_already),
    Line(5, "A failed call back is 3001, a missing endpoint 3003, and nothing changes", call_back_fails),
    Line(7, "PUT credentials reads endpoints again and rotates the token with an overlap", renew),
    Line(11, "base64, raw and base64-with-newline tokens open, a wrong one does not", spellings),
)
AT_THE_END = (Line(12, "The token we are called with is base64 of exactly our token", outbound_header),)
