"""Chargers that remember by themselves what they were told, apart from our tables: what really stands at the plug."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from depots import operations as depots
from depots.models import ChargerCommand, ChargingSession
from depots.ocpp.batches import TOGETHER
from depots.operations.transaction_reports import ReportResult

Action = ChargerCommand.Action
LEASE = timedelta(minutes=5)
# Profiles that keep an EVSE for a booking are numbered from here on (bookings.models.keeping).
KEEPING_FROM = 2**30


def together(operation: Callable[..., Any], calls: Sequence[dict[str, Any]]) -> dict[Any, Any]:
    """As a gateway writes what comes in the same moment: in one transaction what can be, the rest one by one. Results by key."""
    set_wise, key = TOGETHER[operation]
    defaults = {
        name: given.default
        for name, given in inspect.signature(operation).parameters.items()
        if given.default is not given.empty
    }
    whole = [{**defaults, **call} for call in calls]
    done = set_wise(whole) if whole else {}
    return {call[key]: done[call[key]] if call[key] in done else operation(**call) for call in whole}


def _alone(operation: Callable[..., Any], **call: Any) -> Any:
    (outcome,) = together(operation, [call]).values()
    return outcome


@dataclass
class StandIn:
    """One charger, beside its row. Keys of what it holds are EVSE numbers, but for its list (uid: until)."""

    charger_id: int
    numbers: list[int]
    keeps_reservations: bool
    forgets: bool
    seed: int
    protocol: str = "ocpp1.6"
    holder: str = ""
    reserved: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    inoperative: set[int] = field(default_factory=set)
    profiles: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    local_list: dict[str, str] = field(default_factory=dict)
    sessions: dict[int, ChargingSession] = field(default_factory=dict)
    meters: dict[int, int] = field(default_factory=dict)
    unanswered: list[tuple[int, str]] = field(default_factory=list)
    # When it was away: (since, until, was its gateway killed); the last may still last.
    away: list[tuple[datetime, datetime | None, bool]] = field(default_factory=list)
    # What it said of its EVSEs: (when, number, status).
    told: list[tuple[datetime, int, str]] = field(default_factory=list)
    seq_nos: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def come(self, now: datetime, *, boots: bool = False) -> None:
        """A new socket, at one of two gateways; what its old one knew is nobody's any more."""
        come_together([self], now, boots=boots)

    def connects(self, now: datetime) -> dict[str, Any]:
        self.holder = f"gw{self.random.randrange(2)}/{self.random.randrange(10**9)}"
        self.unanswered = []
        if self.away and self.away[-1][1] is None:
            since, _, was_killed = self.away[-1]
            self.away[-1] = (since, now, was_killed)
        return {
            "charger_id": self.charger_id, "holder": self.holder, "protocol": self.protocol, "lease": LEASE, "now": now,
        }  # fmt: skip

    def boot(self, now: datetime) -> None:
        for number in list(self.sessions):
            self.stop(number, now)
        if self.forgets:
            self.reserved, self.local_list = {}, {}
        _alone(depots.record_boot, charger_id=self.charger_id, vendor="V", model="M", now=now)
        for number in self.numbers:
            self.show(number, now)

    def leave(self, now: datetime, *, killed: bool) -> None:
        """The line drops, or its gateway dies without a word."""
        if not killed:
            _alone(depots.close_connection, charger_id=self.charger_id, holder=self.holder, now=now)
        self.is_gone(now, killed=killed)

    def is_gone(self, now: datetime, *, killed: bool) -> None:
        if self.holder:
            self.away.append((now, None, killed))
        self.holder, self.unanswered = "", []

    def renew(self, now: datetime) -> None:
        depots.renew_leases(heard={self.charger_id: self.holder}, silent={}, lease=LEASE, now=now)

    def serve(self, now: datetime, *, is_calm: bool = False) -> ChargerCommand | None:
        """Take the next command and do it; the answer may come later, or never."""
        if self.unanswered:
            command_id, answer = self.unanswered.pop()
            _alone(depots.settle_command, command_id=command_id, answer=answer, now=now)
            return None
        command: ChargerCommand | None = _alone(depots.take_command, **self.asks(now))
        if command is not None and (said := self.takes(command, now, is_calm=is_calm)):
            _alone(depots.settle_command, **said)
        return command

    def asks(self, now: datetime) -> dict[str, Any]:
        return {"charger_id": self.charger_id, "holder": self.holder, "now": now}

    def takes(
        self, command: ChargerCommand, now: datetime, *, is_calm: bool = False
    ) -> dict[str, Any] | None:
        """What it says to a command; None where that comes later."""
        fate = (
            "answers"
            if is_calm
            else self.random.choice(["answers"] * 6 + ["late", "lost", "silent", "error"])
        )
        answer = "error" if fate == "error" else "" if fate == "silent" else self._do(command, now)
        if fate == "late":
            self.unanswered.append((command.pk, answer))
            return None
        if fate in {"lost", "silent"}:
            return {"command_id": command.pk, "state": "unclear", "now": now}
        return {"command_id": command.pk, "answer": answer, "now": now}

    def _do(self, command: ChargerCommand, now: datetime) -> str:
        told: dict[str, Any] = command.payload
        match command.action:
            case Action.RESERVE:
                return self._reserve(told, now)
            case Action.CANCEL_RESERVATION:
                return self._cancel(told["reservation_id"])
            case Action.AVAILABILITY:
                (self.inoperative.discard if told["operative"] else self.inoperative.add)(told["evse"])
            case Action.SET_CHARGING_PROFILE | Action.CLEAR_CHARGING_PROFILE:
                return self._limit(told)
            case Action.SEND_LOCAL_LIST:
                self._list(told)
            case Action.REMOTE_STOP:
                return "accepted" if self._runs(told["transaction"]) else "rejected"
            case Action.READ_SETTINGS | Action.ASK_INVENTORY | Action.GET_COMPOSITE_SCHEDULE:
                return "not_supported"
        return "accepted"

    def _cancel(self, reservation_id: int) -> str:
        held = [number for number, (each, _) in self.reserved.items() if each == reservation_id]
        for number in held:
            del self.reserved[number]
        return "accepted" if held else "rejected"

    def _limit(self, told: dict[str, Any]) -> str:
        if "limits" not in told:
            return "accepted" if self.profiles.pop(told["profile_id"], None) else "unknown"
        if told["purpose"] == "tx" and not self._runs(told["transaction"]):
            return "rejected"
        self.profiles[told["profile_id"]] = (told["evse"], told["purpose"], told["limits"][0][1])
        return "accepted"

    def _list(self, told: dict[str, Any]) -> None:
        held = {} if told["full"] else self.local_list
        gone = {entry["uid"].upper() for entry in told["remove"]}
        put = {entry["uid"].upper(): entry["until"] for entry in told["put"]}
        self.local_list = {uid: until for uid, until in held.items() if uid not in gone} | put

    def _reserve(self, told: dict[str, Any], now: datetime) -> str:
        number = told["evse"]
        if not self.keeps_reservations:
            return "rejected"
        if number in self.inoperative:
            return "unavailable"
        other = self.reserved.get(number)
        is_others = other is not None and other[0] != told["reservation_id"] and other[1] > now
        if number in self.sessions or is_others:
            return "occupied"
        self.reserved[number] = (told["reservation_id"], datetime.fromisoformat(told["expires_at"]))
        return "accepted"

    def _runs(self, transaction: str) -> bool:
        return any(session.transaction == transaction for session in self.sessions.values())

    def status(self, number: int, now: datetime) -> str:
        if number in self.sessions:
            return "charging"
        if number in self.inoperative:
            return "unavailable"
        return "reserved" if number in self.reserved and self.reserved[number][1] > now else "available"

    def show(self, number: int, now: datetime, status: str = "") -> None:
        _alone(depots.report_status, **self.shows(number, now, status))

    def shows(self, number: int, now: datetime, status: str = "") -> dict[str, Any]:
        status = status or self.status(number, now)
        self.told.append((now, number, status))
        return {"charger_id": self.charger_id, "evse_number": number, "status": status, "at": now, "now": now}

    def lose_reservation(self, number: int, now: datetime) -> None:
        """Somebody has pressed it away, or tapped a card and walked off: 2.x says so, 1.6 shows it and no more."""
        self.show(number, now)
        reservation_id, _ = self.reserved.pop(number)
        if self.protocol != "ocpp1.6":
            outcomes = ["removed", "expired", *(["no_transaction"] if self.protocol == "ocpp2.1" else [])]
            outcome = self.random.choice(outcomes)
            depots.report_reservation_ended(
                charger_id=self.charger_id, reservation_id=reservation_id, outcome=outcome, now=now
            )
        self.show(number, now)

    def start(self, number: int, token: str, now: datetime) -> None:
        if self.protocol == "ocpp1.6":
            begun = depots.Start(
                evse_number=number, token_uid=token, key=f"{number} {now}", at=now, meter_wh=self.meters.get(number, 0)
            )  # fmt: skip
            answered = depots.start_session(charger_id=self.charger_id, start=begun, now=now)
        else:
            answered = self._plug_in(number, token, now)
        self.sessions[number] = answered.session
        if answered.answer is not None and not answered.answer.allowed:
            self.stop(number, now)
        elif number in self.reserved:
            del self.reserved[number]

    def _plug_in(self, number: int, token: str, now: datetime) -> ReportResult:
        """The cable goes in first, or the card is read first; some events are told twice."""
        transaction = f"T{number}-{now:%H%M%S%f}-{self.random.randrange(10**6)}"
        reading = depots.Reading(now, self.meters.get(number, 0), is_begin=True)
        first = {"token_uid": token, "charging_state": "charging"}
        if self.random.random() < 0.5:
            self._report("started", number, transaction, now, readings=[reading], charging_state="plugged")
            return self._report("updated", number, transaction, now, **first)
        return self._report("started", number, transaction, now, readings=[reading], **first)

    def _report(self, kind: str, number: int, transaction: str, now: datetime, **told: Any) -> ReportResult:
        seq_no = self.seq_nos.get(transaction, 0)
        self.seq_nos[transaction] = seq_no + 1
        report = depots.TransactionReport(transaction, seq_no, kind, now, evse_number=number, **told)
        answered: ReportResult = _alone(
            depots.record_transaction, charger_id=self.charger_id, report=report, now=now
        )
        if self.random.random() < 0.1:
            _alone(depots.record_transaction, charger_id=self.charger_id, report=report, now=now)
        return answered

    def meter(self, number: int, now: datetime) -> None:
        """Perhaps late: of a minute ago, after newer ones were told."""
        self.meters[number] = self.meters.get(number, 0) + self.random.randrange(2000)
        reading = depots.Reading(now, self.meters[number], power_w=self.random.randrange(200_000))
        transaction = self.sessions[number].transaction
        if self.protocol != "ocpp1.6":
            self._report("updated", number, transaction, now, readings=[reading])
            return
        _alone(
            depots.add_readings, charger_id=self.charger_id, evse_number=number, transaction_id=transaction,
            readings=[reading], flags=(), now=now,
        )  # fmt: skip

    def stop(self, number: int, now: datetime) -> None:
        session = self.sessions.pop(number)
        if self.protocol == "ocpp1.6":
            ended = depots.Stop(transaction=session.transaction, at=now, meter_wh=self.meters.get(number, 0))
            depots.stop_session(charger_id=self.charger_id, stop=ended, now=now)
        else:
            last = depots.Reading(now, self.meters.get(number, 0))
            self._report(
                "ended", number, session.transaction, now, readings=[last], charging_state="unplugged"
            )
        of_it = [pk for pk, (evse, purpose, _) in self.profiles.items() if (evse, purpose) == (number, "tx")]
        for pk in of_it:
            del self.profiles[pk]

    def may_take(self, number: int, most_w: int) -> int:
        """By what it holds of ours: its transaction's limit while one runs, else its default; all it can where there is none."""
        held = {
            purpose: w for pk, (n, purpose, w) in self.profiles.items() if n == number and pk < KEEPING_FROM
        }
        default = held.get("tx_default", most_w)
        return min(most_w, held.get("tx", default) if number in self.sessions else default)


def come_together(chargers: Sequence[StandIn], now: datetime, *, boots: bool = False) -> None:
    """Their connections are written together, and what follows from that."""
    together(depots.open_connection, [charger.connects(now) for charger in chargers])
    for charger in chargers:
        if boots:
            charger.boot(now)
    together(depots.reconcile, [{**charger.asks(now), "rebooted": boots} for charger in chargers])


def leave_together(chargers: Sequence[StandIn], now: datetime) -> None:
    together(depots.close_connection, [charger.asks(now) for charger in chargers if charger.holder])
    for charger in chargers:
        charger.is_gone(now, killed=False)


def serve_together(chargers: Sequence[StandIn], now: datetime) -> int:
    """One command each, taken together; what is answered at once is written together. How many there were."""
    free = {charger.charger_id: charger for charger in chargers if charger.holder and not charger.unanswered}
    taken = together(depots.take_command, [charger.asks(now) for charger in free.values()])
    commands = {pk: command for pk, command in taken.items() if command is not None}
    said = [free[pk].takes(command, now) for pk, command in commands.items()]
    together(depots.settle_command, [call for call in said if call is not None])
    return len(commands)


def show_together(chargers: Sequence[StandIn], now: datetime) -> None:
    for number in sorted({number for charger in chargers for number in charger.numbers}):
        those = [charger for charger in chargers if number in charger.numbers and charger.holder]
        together(depots.report_status, [charger.shows(number, now) for charger in those])
