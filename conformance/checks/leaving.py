"""Lines 8 and 9: another version, and the end. What comes after is judged by silence."""

from __future__ import annotations

import time

from conformance import specification
from conformance.checks import getting_in
from conformance.run import Fault, Line, Run, Skipped

SILENCE_S = 1.0


def other_version(run: Run) -> str:
    others = [one for one in specification.VERSIONS if one in run.version_urls and one != run.version]
    if not others:
        raise Skipped("only one version is offered that we speak, too")
    first, endpoints = run.version, dict(run.endpoints)
    try:
        _switch(run, others[0])
    finally:
        run.version, run.endpoints = first, endpoints
    _switch(run, first)
    return f"{first} to {others[0]} and back"


def _switch(run: Run, version: str) -> None:
    """PUT on the credentials of that version: it must read ours, and go on with it."""
    getting_in.read_details(run, version)
    run.version = version
    mark = run.listener.mark
    getting_in.renewed(run)
    if not any(call.path == f"/{version}" for call in run.listener.since(mark)):
        raise Fault(f"our details of {version} were not read")


def leave(run: Run) -> str:
    run.success(run.caller.send("DELETE", getting_in.credentials_url(run), routed=False))
    run.is_registered = False
    dead = run.caller.send("GET", run.settings.versions_url, routed=False)
    if dead.status != 401:
        raise Fault(f"the token still opens the versions: {dead}")
    mark = run.listener.mark
    time.sleep(SILENCE_S)  # what is under way may still arrive
    mark = run.listener.mark if run.listener.since(mark) else mark
    time.sleep(SILENCE_S)
    if late := [call for call in run.listener.since(mark) if call.is_push]:
        raise Fault(f"{late[0].method} {late[0].path} came after we had left")
    return ""


LINES = (
    Line(8, "PUT on the other version's credentials switches the version", other_version),
    Line(9, "DELETE credentials ends the token and all pushes", leave),
)
