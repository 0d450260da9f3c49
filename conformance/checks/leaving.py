"""Lines 8, 9 and 28: another version, our lists read anew, and the end. What comes after is judged by silence."""

from __future__ import annotations

import time
from collections.abc import Callable

from conformance import specification
from conformance.checks import emsp, getting_in, money
from conformance.listener import Call
from conformance.run import EMSP, Fault, Line, Run, Skipped

SILENCE_S = 1.0
NEEDS_A_RESYNC = "needs somebody at the other side who has our lists read anew (--wait-resync SECONDS)"


def other_version(run: Run) -> str:
    others = [one for one in specification.VERSIONS if one in run.version_urls and one != run.version]
    if not others:
        raise Skipped("only one version is offered that we speak, too")
    first, endpoints = run.version, dict(run.endpoints)
    money.note_prices(run)
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
    if version not in run.noted.get("prices", {}):
        money.note_prices(run)


def full_pull(run: Run) -> str:
    """What is gone from our list is withdrawn once all of it is read, and not by a look at what is new."""
    if not run.settings.wait_resync_s:
        raise Skipped(NEEDS_A_RESYNC)
    gone = emsp.offer_beside(run)
    lists = run.listener.shown.lists["bookings/booking_locations"]
    lists.append(gone)
    _read(run, "have all of our lists read anew")
    if not _comes(run, lambda: emsp.is_offered(run, gone)):
        raise Skipped(f"{gone['id']} was in our list, and GET does not give it")
    lists.remove(gone)
    mark = run.listener.mark
    _read(run, "have all of our lists read anew, a second time")
    calls = [call for call in run.listener.since(mark) if _is_of_offers(call)]
    if any(call.query.get("date_from") for call in calls):
        raise Skipped("our list was read with date_from")
    if not _comes(run, lambda: not emsp.is_offered(run, gone)):
        raise Fault(f"{gone['id']} is still offered although all of our list was read without it")
    return "withdrawn by a full pull; a filtered one was not seen"


def _comes(run: Run, is_so: Callable[[], bool]) -> bool:
    give_up_at = time.monotonic() + run.settings.patience_s
    while not is_so():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(SILENCE_S)
    return True


def _read(run: Run, what: str) -> None:
    run.have_done(what, _is_of_offers, within_s=run.settings.wait_resync_s)


def _is_of_offers(call: Call) -> bool:
    return call.method == "GET" and call.path.endswith("/booking_locations")


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
    Line(28, "A full pull withdraws what is gone", full_pull, EMSP),
    Line(8, "PUT on the other version's credentials switches the version", other_version),
    *money.AFTER_BOTH_VERSIONS,
    Line(9, "DELETE credentials ends the token and all pushes", leave),
)
