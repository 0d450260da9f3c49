"""What the page of one partner shows, a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from roaming.console import deliveries_shown, messages, operations, overview, traffic
from roaming.console.forms import NotesForm, SwitchesForm
from roaming.console.resyncing import progress_of
from roaming.console.tokens_exchanged import tokens_exchanged
from roaming.console.traffic import Hour
from roaming.console.unmatched import unmatched
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of

LAST_MESSAGES, LAST_EVENTS, MOST_WAITING = 8, 12, 8
# Of a chart, in units of its picture (roaming/_traffic.html).
BAR_HEIGHT, BAR_WIDTH = 60, 10


@dataclass(frozen=True)
class Module:
    """One module, and where each side has its interfaces: {"SENDER": url, "RECEIVER": url}."""

    name: str
    ours: dict[str, str]
    theirs: dict[str, str]


@dataclass(frozen=True)
class Bar:
    """An hour of a chart: heights of what was answered, refused and failed, from the bottom, in units of its picture."""

    hour: Hour
    x: int
    ok: int
    refused: int
    failed: int

    @property
    def refused_y(self) -> int:
        return BAR_HEIGHT - self.ok - self.refused

    @property
    def failed_y(self) -> int:
        return self.refused_y - self.failed

    @property
    def ok_y(self) -> int:
        return BAR_HEIGHT - self.ok


def seen_parts(partner: Partner, now: datetime) -> dict[str, Any]:
    """For everybody who meets the network: how it gets on."""
    context: dict[str, Any] = {"now": now}
    for part in (_state, _agreed, _charts):
        context |= part(partner, now)
    return context


def run_parts(partner: Partner, now: datetime) -> dict[str, Any]:
    """For who looks after the platform: what was said, what waits, and what can be done."""
    context: dict[str, Any] = {}
    for part in RUN_PARTS:
        context |= part(partner, now)
    return context


def modules(partner: Partner) -> list[Module]:
    """By name, those of either side."""
    ours = _by_name(dialect_of(partner).registration.endpoints(partner)) if partner.is_registered else {}
    theirs = _by_name(partner.endpoints)
    return [Module(name, ours.get(name, {}), theirs.get(name, {})) for name in sorted({*ours, *theirs})]


def bars(hours: list[Hour]) -> list[Bar]:
    """As high as the busiest hour; what there was of something is seen, however little."""
    most = max((hour.fared.calls for hour in hours), default=0)

    def height(number: int) -> int:
        return max(2, number * (BAR_HEIGHT - 6) // most) if number else 0

    return [
        Bar(
            hour,
            at * (BAR_WIDTH + 2),
            height(hour.fared.answered),
            height(hour.fared.refused),
            height(hour.fared.failed),
        )
        for at, hour in enumerate(hours)
    ]


def _state(partner: Partner, now: datetime) -> Mapping[str, Any]:
    [state] = overview.states([partner], now=now)
    return {"state": state, "oldest_s": state.queue.age_s(now)}


def _agreed(partner: Partner, now: datetime) -> Mapping[str, Any]:
    return {
        "modules": modules(partner),
        "our_versions_url": f"{settings.BERTH_BASE_URL}/ocpi/versions",
        "tokens": tokens_exchanged(partner),
    }


def _charts(partner: Partner, now: datetime) -> Mapping[str, Any]:
    out, incoming = (traffic.hours(partner.pk, is_incoming=way, now=now) for way in (False, True))
    return {"charts": [("What we sent", bars(out)), ("What it sent", bars(incoming))]}


def _versions(partner: Partner, now: datetime) -> Mapping[str, Any]:
    return {
        "sending_version": operations.sending_version(partner),
        "circuit_version": operations.circuit_version(partner),
        "deviations_version": operations.deviations_version(partner),
    }


def _both_ways(partner: Partner, now: datetime) -> Mapping[str, Any]:
    return {"resync": progress_of(partner, now)}


def _queue(partner: Partner, now: datetime) -> Mapping[str, Any]:
    return {"queue": deliveries_shown.named(deliveries_shown.waiting(partner)[:MOST_WAITING])}


def _messages(partner: Partner, now: datetime) -> Mapping[str, Any]:
    newest = messages.Filters().narrowed(partner).defer("request_body", "response_body")
    return {"messages_seen": messages.shown(partner, list(newest[:LAST_MESSAGES]))}


def _forms(partner: Partner, now: datetime) -> Mapping[str, Any]:
    return {
        "switches_form": SwitchesForm.of(partner),
        "switches_version": operations.switches_version(partner),
        "notes_form": NotesForm(initial={"notes": partner.notes}),
        "notes_version": operations.notes_version(partner),
    }


def _unmatched(partner: Partner, now: datetime) -> Mapping[str, Any]:
    return {"unmatched": [(one, one.advice(now)) for one in unmatched(partner)]}


def _events(partner: Partner, now: datetime) -> Mapping[str, Any]:
    return {"events": partner.events.order_by("-at", "-pk")[:LAST_EVENTS]}


def _by_name(endpoints: Iterable[Mapping[str, str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for endpoint in endpoints:
        found.setdefault(endpoint["identifier"], {})[endpoint["role"].upper()] = endpoint["url"]
    return found


RUN_PARTS: tuple[Callable[[Partner, datetime], Mapping[str, Any]], ...] = (
    _versions,
    _both_ways,
    _queue,
    _messages,
    _forms,
    _unmatched,
    _events,
)
