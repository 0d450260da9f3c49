"""The checklist from its first line to its last, carried out in the order a partnership has."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress

from conformance.checks import (
    cpo_changes,
    cpo_decisions,
    cpo_no_show,
    cpo_offers,
    cpo_requests,
    cpo_steps,
    cpo_visit,
    emsp,
    emsp_dispatcher,
    getting_in,
    leaving,
    money,
    other_modules,
    transport,
)
from conformance.listener import Listener
from conformance.report import Report
from conformance.run import CPO, EMSP, Fault, Line, Run, Settings, Skipped
from conformance.wire import Caller, NoAnswer

AT_A_CPO: tuple[Line, ...] = (
    *cpo_offers.LINES, *cpo_requests.LINES, *cpo_changes.LINES, *cpo_offers.AFTER_BOOKING,
)  # fmt: skip
# What somebody at the other side, or time, has a part in: last, so that all else is judged when nobody comes.
WITH_SOMEBODY_THERE: tuple[Line, ...] = (
    *emsp_dispatcher.LINES, *cpo_decisions.LINES, *cpo_visit.LINES, *cpo_no_show.LINES,
)  # fmt: skip
EVERY_LINE: tuple[Line, ...] = (
    *getting_in.WITH_TOKEN_A, *getting_in.HANDSHAKE, *getting_in.REGISTERED, *getting_in.AT_THE_END,
    *transport.LINES, *transport.AT_THE_END, *cpo_offers.OFFERS, *AT_A_CPO, *cpo_offers.AT_THE_END, *emsp.LINES,
    *other_modules.LINES, *money.LINES, *WITH_SOMEBODY_THERE, *leaving.LINES,
)  # fmt: skip


def check(settings: Settings, *, listen: tuple[str, int], public_url: str = "") -> Report:
    """Run it all against one platform, and leave as we came. Raises OSError where our server cannot listen."""
    listener = Listener(listen, public_url, secrets.token_urlsafe(32))
    # An address of another host, as far as one machine has one: another port.
    foreign = Listener((listen[0], 0), "", listener.token)
    caller = Caller(settings.token_a, settings.party)
    run = Run(settings, caller, listener)
    run.noted["foreign"] = foreign
    listener.shown.foreign_next = f"{foreign.url}/cpo/2.3.0/locations?offset=4"
    for server in (listener, foreign):
        server.start()
    try:
        _carry_out(run)
    finally:
        _clean_up(run)
        caller.close()
        for server in (listener, foreign):
            server.stop()
    findings = tuple(run.findings[number] for number in sorted(run.findings))
    return Report(settings.versions_url, run.roles, run.version, findings)


def _carry_out(run: Run) -> None:
    try:
        _judge(run, getting_in.WITH_TOKEN_A)
        if run.roles:
            emsp.show(run)
            _quietly(run, getting_in.not_registered)
            _judge(run, getting_in.HANDSHAKE)
        if not run.is_registered:
            return
        _judge(run, getting_in.REGISTERED)
        if CPO in run.roles:
            _judge(run, cpo_offers.OFFERS)
            _quietly(run, cpo_offers.find_place)
        if EMSP in run.roles:
            _judge(run, emsp.LINES[:1])
        _judge(run, transport.LINES)
        _judge(run, AT_A_CPO)
        _judge(run, emsp.LINES)
        _judge(run, (*other_modules.LINES, *money.LINES, *WITH_SOMEBODY_THERE))
        _judge(run, getting_in.AT_THE_END)
        _judge(run, (*transport.AT_THE_END, *cpo_offers.AT_THE_END))
        _take_back(run)
        _judge(run, leaving.LINES)
    finally:
        reason = "" if run.is_registered else "we are not registered"
        for line in EVERY_LINE:
            run.skip(line, reason or "the run ended before it")


def _judge(run: Run, lines: Iterable[Line]) -> None:
    for line in lines:
        # A line that both roles have is judged for the first that is checked.
        if not line.role or line.role in run.roles:
            run.judge(line)
        elif not any(other.number == line.number and other.role in run.roles for other in EVERY_LINE):
            run.skip(line, f"a line for a {line.role}, which was not checked")


def _quietly(run: Run, step: Callable[[Run], object]) -> None:
    """A step that judges nothing; what goes wrong in it shows in the lines that build on it."""
    with suppress(Fault, Skipped, NoAnswer, KeyError, TypeError, ValueError):
        step(run)


def _take_back(run: Run) -> None:
    if CPO in run.roles:
        _quietly(run, cpo_steps.cancel_all)
        _quietly(run, cpo_visit.withdraw)
    if EMSP in run.roles:
        _quietly(run, emsp.withdraw)


def _clean_up(run: Run) -> None:
    """For a run that was broken off: what it booked is cancelled, and the registration ended."""
    if run.is_registered:
        _take_back(run)
        _quietly(run, leaving.leave)
