"""A scripted day, as its file tells it: which truck comes when and what befalls the chargers (docs/integrators/simulator.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from simulators.charger.behaviour import Behaviour
from simulators.charger.charger_file import UnreadableFile, read_options
from simulators.charger.client_tls import ClientTls
from simulators.charger.options import ChargerOptions
from simulators.charger.station import IdToken
from simulators.charger.truck import Truck

_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?")


@dataclass(frozen=True)
class Visit:
    """A truck's plan. It tries for `waits` to start, charges until `stays` is over or its battery is where it wants it,
    and then blocks the bay for `overstays`."""

    at: timedelta
    truck: str
    token: IdToken
    evse: int
    battery_wh: int = 540_000
    takes_w: int = 350_000
    soc_percent: float = 30
    until_percent: float = 80
    stays: timedelta = timedelta(hours=12)
    overstays: timedelta = timedelta()
    waits: timedelta = timedelta(minutes=20)
    plugs_in_first: bool = False

    def battery(self, begins_at: datetime) -> Truck:
        return Truck(begins_at + self.at, self.battery_wh, self.takes_w, self.soc_percent, self.until_percent)


@dataclass(frozen=True)
class Restart:
    """Power fails for a while."""

    at: timedelta
    during: timedelta


@dataclass(frozen=True)
class Offline:
    """The network fails for a while; what happens meanwhile is told afterwards."""

    at: timedelta
    during: timedelta


@dataclass(frozen=True)
class Breakdown:
    at: timedelta
    evse: int
    during: timedelta


@dataclass(frozen=True)
class WrongClock:
    """From now on so many seconds ahead, or behind."""

    at: timedelta
    ahead: timedelta


@dataclass(frozen=True)
class Change:
    """Stubborn in other ways from now on."""

    at: timedelta
    behaviour: Behaviour


@dataclass(frozen=True)
class SecurityEvent:
    """`kind` as OCPP's list of security events has it, such as `TamperDetectionActivated`."""

    at: timedelta
    kind: str
    info: str = ""


@dataclass(frozen=True)
class PartProblem:
    """Something is wrong with a part, a component of the device model of 2.x, for a while or until the day is over."""

    at: timedelta
    part: str
    variable: str = "Problem"
    value: str = "true"
    evse: int | None = None
    code: str = ""
    info: str = ""
    during: timedelta | None = None


Event = Visit | Restart | Offline | Breakdown | WrongClock | Change | SecurityEvent | PartProblem


@dataclass(frozen=True)
class ChargerScript:
    options: ChargerOptions
    events: tuple[Event, ...]


@dataclass(frozen=True)
class DayScript:
    """`begins_at` is None where the file leaves it to the moment the day is run."""

    begins_at: datetime | None
    chargers: tuple[ChargerScript, ...] = field(default=())


def read_day(path: Path, url: str, tls: ClientTls | None = None) -> DayScript:
    """Raises UnreadableFile, which names the charger and the event."""
    try:
        told = json.loads(path.read_text())
        begins_at = _moment(told["begins_at"]) if "begins_at" in told else None
        rows = list(enumerate(told["chargers"], start=1))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise UnreadableFile(f"{path} is not a scripted day: {fault}") from None
    tls = tls or ClientTls()
    made = [_charger(row, f"{path}, charger {number}", url, tls) for number, row in rows]
    return DayScript(begins_at, tuple(made))


def read_event(told: Mapping[str, Any]) -> Event:
    """Raises ValueError, KeyError, TypeError."""
    at = _duration(told["at"])
    kind = next((name for name in _READERS if name in told), None)
    if kind is None:
        raise ValueError(f"an event is one of {', '.join(_READERS)}")
    return _READERS[kind](at, told)


def _charger(row: Any, place: str, url: str, tls: ClientTls) -> ChargerScript:
    options = read_options(row, place, url, tls)
    events = []
    for number, told in enumerate(row.get("day") or [], start=1):
        try:
            events.append(read_event(told))
            _check_spoken(events[-1], options.protocol)
        except (ValueError, KeyError, TypeError) as fault:
            raise UnreadableFile(f"{place}, event {number}: {fault!r}") from None
    return ChargerScript(options, tuple(sorted(events, key=lambda event: event.at)))


def _check_spoken(event: Event, protocol: str) -> None:
    """Raises ValueError."""
    if isinstance(event, PartProblem) and protocol == "ocpp1.6":
        raise ValueError("OCPP 1.6 cannot tell of a part: breaks is what it has")


def _problem(at: timedelta, told: Mapping[str, Any]) -> PartProblem:
    texts = {"variable": 50, "value": 2500, "code": 50, "info": 500}
    return PartProblem(
        at,
        _text(told, "problem", 50),
        evse=int(told["evse"]) if "evse" in told else None,
        during=_duration(told["during"]) if "during" in told else None,
        **{name: _text(told, name, most) for name, most in texts.items() if name in told},
    )


def _text(told: Mapping[str, Any], name: str, most: int) -> str:
    """As long as OCPP lets it be."""
    text = str(told[name])
    if not 0 < len(text) <= most:
        raise ValueError(f"{name} has 1 to {most} characters")
    return text


def _visit(at: timedelta, told: Mapping[str, Any]) -> Visit:
    given = {
        "battery_wh": lambda: round(told["battery_kwh"] * 1000),
        "takes_w": lambda: round(told["takes_kw"] * 1000),
        "soc_percent": lambda: float(told["soc"]),
        "until_percent": lambda: float(told["until_soc"]),
        "stays": lambda: _duration(told["stays"]),
        "overstays": lambda: _duration(told["overstays"]),
        "waits": lambda: _duration(told["waits"]),
        "plugs_in_first": lambda: bool(told["plugs_in_first"]),
    }
    names = {
        "battery_wh": "battery_kwh",
        "takes_w": "takes_kw",
        "soc_percent": "soc",
        "until_percent": "until_soc",
    }
    options = {name: read() for name, read in given.items() if names.get(name, name) in told}
    token = IdToken(str(told["token"]), str(told.get("token_type", "ISO14443")))
    return Visit(at, str(told["truck"]), token, int(told.get("evse", 1)), **options)


_READERS: dict[str, Callable[[timedelta, Mapping[str, Any]], Event]] = {
    "truck": _visit,
    "restarts": lambda at, told: Restart(at, _duration(told["restarts"])),
    "offline": lambda at, told: Offline(at, _duration(told["offline"])),
    "breaks": lambda at, told: Breakdown(at, int(told["breaks"]), _duration(told["during"])),
    "clock_s": lambda at, told: WrongClock(at, timedelta(seconds=float(told["clock_s"]))),
    "stubborn": lambda at, told: Change(at, Behaviour.read(told["stubborn"])),
    "security_event": lambda at, told: SecurityEvent(
        at, _text(told, "security_event", 50), _text(told, "info", 255) if "info" in told else ""
    ),
    "problem": _problem,
}


def _duration(told: str) -> timedelta:
    """Hours and minutes, `1:30`, or with seconds, `0:00:45`."""
    match = _TIME.fullmatch(str(told))
    if match is None:
        raise ValueError(f"{told!r} is not a time like 1:30")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _moment(told: str) -> datetime:
    moment = datetime.fromisoformat(told)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
