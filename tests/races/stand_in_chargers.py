"""Chargers that remember by themselves what they were told, apart from our tables: what really stands at the plug."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from depots import operations as depots
from depots.models import ChargerCommand, ChargingSession

Action = ChargerCommand.Action
LEASE = timedelta(minutes=5)
# Profiles that keep an EVSE for a booking are numbered from here on (bookings.models.keeping).
KEEPING_FROM = 2**30


@dataclass
class StandIn:
    """One charger, beside its row. Keys of what it holds are EVSE numbers, but for its list (uid: until)."""

    charger_id: int
    numbers: list[int]
    keeps_reservations: bool
    forgets: bool
    seed: int
    holder: str = ""
    reserved: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    inoperative: set[int] = field(default_factory=set)
    profiles: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    local_list: dict[str, str] = field(default_factory=dict)
    sessions: dict[int, ChargingSession] = field(default_factory=dict)
    meters: dict[int, int] = field(default_factory=dict)
    unanswered: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def come(self, now: datetime, *, boots: bool = False) -> None:
        """A new socket, at one of two gateways; what its old one knew is nobody's any more."""
        self.holder = f"gw{self.random.randrange(2)}/{self.random.randrange(10**9)}"
        self.unanswered = []
        depots.open_connection(
            charger_id=self.charger_id, holder=self.holder, protocol="ocpp1.6", lease=LEASE, now=now
        )
        if boots:
            self._boot(now)
        depots.reconcile(charger_id=self.charger_id, holder=self.holder, rebooted=boots, now=now)

    def _boot(self, now: datetime) -> None:
        for number in list(self.sessions):
            self.stop(number, now)
        if self.forgets:
            self.reserved, self.local_list = {}, {}
        depots.record_boot(charger_id=self.charger_id, vendor="V", model="M", now=now)
        for number in self.numbers:
            self.show(number, now)

    def leave(self, now: datetime, *, killed: bool) -> None:
        """The line drops, or its gateway dies without a word."""
        if not killed:
            depots.close_connection(charger_id=self.charger_id, holder=self.holder, now=now)
        self.holder, self.unanswered = "", []

    def renew(self, now: datetime) -> None:
        depots.renew_leases(heard={self.charger_id: self.holder}, silent={}, lease=LEASE, now=now)

    def serve(self, now: datetime, *, is_calm: bool = False) -> ChargerCommand | None:
        """Take the next command and do it; the answer may come later, or never."""
        if self.unanswered:
            command_id, answer = self.unanswered.pop()
            depots.settle_command(command_id=command_id, answer=answer, now=now)
            return None
        command = depots.take_command(charger_id=self.charger_id, holder=self.holder, now=now)
        if command is None:
            return None
        fate = (
            "answers"
            if is_calm
            else self.random.choice(["answers"] * 6 + ["late", "lost", "silent", "error"])
        )
        answer = "error" if fate == "error" else "" if fate == "silent" else self._do(command, now)
        if fate == "late":
            self.unanswered.append((command.pk, answer))
        elif fate in {"lost", "silent"}:
            depots.settle_command(command_id=command.pk, state="unclear", now=now)
        else:
            depots.settle_command(command_id=command.pk, answer=answer, now=now)
        return command

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
        status = status or self.status(number, now)
        depots.report_status(
            charger_id=self.charger_id, evse_number=number, status=status, at=now, now=now
        )  # fmt: skip

    def start(self, number: int, token: str, now: datetime) -> None:
        begun = depots.Start(
            evse_number=number, token_uid=token, key=f"{number} {now}", at=now, meter_wh=self.meters.get(number, 0)
        )  # fmt: skip
        answered = depots.start_session(charger_id=self.charger_id, start=begun, now=now)
        self.sessions[number] = answered.session
        if not answered.answer.allowed:
            self.stop(number, now)
        elif number in self.reserved:
            del self.reserved[number]

    def meter(self, number: int, now: datetime) -> None:
        """Perhaps late: of a minute ago, after newer ones were told."""
        self.meters[number] = self.meters.get(number, 0) + self.random.randrange(2000)
        reading = depots.Reading(now, self.meters[number], power_w=self.random.randrange(200_000))
        depots.add_readings(
            charger_id=self.charger_id, evse_number=number, transaction_id=self.sessions[number].transaction,
            readings=[reading], flags=(), now=now,
        )  # fmt: skip

    def stop(self, number: int, now: datetime) -> None:
        session = self.sessions.pop(number)
        ended = depots.Stop(transaction=session.transaction, at=now, meter_wh=self.meters.get(number, 0))
        depots.stop_session(charger_id=self.charger_id, stop=ended, now=now)
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
