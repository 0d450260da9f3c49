"""What is known of chargers, read from the tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet

from depots.cards import card_ending
from depots.models import Charger, ChargerCertificate, ChargerCommand, ChargingSession, EvseChargingState
from depots.models.charging import UNDER_WAY
from depots.token_numbers import normalise

LAST_COMMANDS, LAST_SESSIONS, LAST_CERTIFICATES = 20, 5, 5
LONGEST_RESERVATION = timedelta(days=2)
# What a charger dates is right within this, once its clock is allowed for (depots.operations.clock_correction).
DATED_WITHIN = timedelta(minutes=1)
# A status of charging that comes with its start; what was told earlier is of the session before.
TOLD_BEFORE_START = timedelta(minutes=1)
# A driver plugs in after the charger has agreed to begin.
PLUGS_IN_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True)
class Armed:
    """A reservation that a charger accepted and, as far as was heard, still holds."""

    reservation_id: int
    evse_number: int
    token: str
    group: str
    since: datetime
    expires_at: datetime


def find_charger(identity: str) -> Charger | None:
    """By its OCPP identity, without regard to case."""
    return Charger.objects.select_related("depot").filter(identity__iexact=identity).first()


def is_online(charger: Charger, *, now: datetime) -> bool:
    """Does some gateway hold its socket? A lease that ran out belongs to a gateway that died."""
    return bool(charger.lease_holder) and charger.lease_until is not None and charger.lease_until > now


def was_asked_to_begin(session: ChargingSession) -> bool:
    """Whether its charger had agreed to begin with its token there, shortly before."""
    if session.evse is None:
        return False
    asked = session.charger.commands.filter(
        action=ChargerCommand.Action.REMOTE_START,
        answer="accepted",
        payload__evse=session.evse.number,
        payload__token=session.token_uid,
        answered_at__gte=session.start_received_at - PLUGS_IN_WITHIN,
        answered_at__lte=session.start_received_at,
    )
    return asked.exists()


def armed_reservations(charger: Charger, *, now: datetime) -> list[Armed]:
    """What stands at the charger: the last settled answer for each reservation, until it expires or is used.

    A boot makes everything before it unknown.
    """
    settled = _of_reservations(charger, since=now - LONGEST_RESERVATION).filter(
        state=ChargerCommand.State.ANSWERED
    )
    return _held(settled, charger.sessions.all(), now)


def reservations_at(charger: Charger, *, at: datetime) -> list[Armed]:
    """What stood there at a moment that is over, whatever has become of it since; what was being taken back by then did not."""
    asked = _of_reservations(charger, since=at - LONGEST_RESERVATION)
    accepted = Q(action=ChargerCommand.Action.RESERVE, state=ChargerCommand.State.ANSWERED)
    taken_back = Q(action=ChargerCommand.Action.CANCEL_RESERVATION, sent_at__lte=at)
    by_then = asked.filter(accepted & Q(answered_at__lte=at) | taken_back)
    return _held(by_then, charger.sessions.filter(announced_at__lte=at), at)


def _of_reservations(charger: Charger, *, since: datetime) -> QuerySet[ChargerCommand]:
    return charger.commands.filter(
        answered_at__gte=max(charger.booted_at or since, since),
        action__in=[ChargerCommand.Action.RESERVE, ChargerCommand.Action.CANCEL_RESERVATION],
        reservation_id__isnull=False,
    )


def _held(
    commands: QuerySet[ChargerCommand], sessions: QuerySet[ChargingSession], now: datetime
) -> list[Armed]:
    """By the last of these about each reservation; what one of the sessions has used is gone."""
    latest: dict[int, ChargerCommand] = {}
    for command in commands.order_by("id"):
        if command.reservation_id is not None:
            latest[command.reservation_id] = command
    used = _used(sessions, latest)
    armed = [_armed(command) for command in latest.values() if command.pk not in used and _stands(command)]
    return sorted((a for a in armed if a.expires_at > now), key=lambda a: a.reservation_id)


def standing_reservations(chargers: Collection[Charger], *, now: datetime) -> set[tuple[int, int]]:
    """(charger's id, reservation) of what `armed_reservations` would give of many, and of what is used already."""
    since = Q(charger__booted_at__isnull=True) | Q(answered_at__gte=F("charger__booted_at"))
    answered = ChargerCommand.objects.filter(
        since,
        charger__in=chargers,
        answered_at__gte=now - LONGEST_RESERVATION,
        action__in=[ChargerCommand.Action.RESERVE, ChargerCommand.Action.CANCEL_RESERVATION],
        state=ChargerCommand.State.ANSWERED,
        reservation_id__isnull=False,
    )
    latest = answered.order_by("charger_id", "reservation_id", "-id").distinct("charger_id", "reservation_id")
    return {
        (command.charger_id, command.reservation_id)
        for command in latest
        if command.reservation_id is not None and _stands(command) and _armed(command).expires_at > now
    }


def charging_states(session: ChargingSession) -> list[tuple[datetime, str]]:
    """What held while the session ran (ChargingState), each from its moment on, in order of time; none where nothing told.

    A transaction of 2.x says so itself. Of 1.6 the EVSE's statuses do, and one is often sent a moment before the start.
    """
    own = (
        session.events.exclude(charging_state="").order_by("at", "seq_no").values_list("at", "charging_state")
    )
    if told := list(own):
        return told
    since = session.started_at - TOLD_BEFORE_START
    around = EvseChargingState.objects.filter(evse=session.evse_id, at__gte=since)
    if session.ended_at is not None:
        around = around.filter(at__lt=session.ended_at)
    rows = around.order_by("at", "id").values_list("at", "state") if session.evse_id else ()
    return [(at, state) for at, state in rows if at >= session.started_at or state in UNDER_WAY]


def describe_charger(charger: Charger, *, now: datetime) -> dict[str, Any]:
    """A charger as `show_charger` prints it; times in UTC, of cards and groups the ending."""
    commands = charger.commands.order_by("-id")[:LAST_COMMANDS]
    sessions = charger.sessions.select_related("evse").order_by("-started_at", "-id")[:LAST_SESSIONS]
    return {
        "identity": charger.identity,
        "depot": charger.depot.code,
        "protocol": charger.protocol,
        "spoken_protocol": charger.spoken_protocol,
        "online": is_online(charger, now=now),
        "connected_at": _text(charger.connected_at),
        "booted_at": _text(charger.booted_at),
        "last_seen_at": _text(charger.last_seen_at),
        "clock_offset_s": charger.clock_offset_s,
        "clock_seen_at": _text(charger.clock_seen_at),
        "vendor": charger.vendor,
        "model": charger.model,
        "serial_number": charger.serial_number,
        "firmware_version": charger.firmware_version,
        "security": _security_out(charger),
        "capabilities": {"told": charger.told, "measured": charger.measured},
        "evses": [
            {"uid": evse.uid, "number": evse.number, "status": evse.status, "error_code": evse.error_code}
            for evse in charger.evses.order_by("number")
        ],
        "armed": [_armed_out(armed, charger) for armed in armed_reservations(charger, now=now)],
        "commands": [_command_out(command) for command in commands],
        "sessions": [_session_out(session) for session in sessions],
        "deviations": charger.deviations,
    }


def _stands(command: ChargerCommand) -> bool:
    return command.action == ChargerCommand.Action.RESERVE and command.answer == "accepted"


def _used(sessions: QuerySet[ChargingSession], latest: dict[int, ChargerCommand]) -> set[int]:
    """Commands whose reservation was consumed by a session that began after it was armed."""
    if not latest:
        return set()
    by_token = {_number(command.payload): command for command in latest.values()}
    oldest = min(command.created_at for command in latest.values())
    used = set()
    for session in sessions.filter(is_entitled=True, announced_at__gte=oldest):
        number = normalise(session.token_uid, session.token_type)
        command = latest.get(session.reservation_id or 0) or by_token.get(number)
        if command and _began_after(session, command):
            used.add(command.pk)
    return used


def _began_after(session: ChargingSession, command: ChargerCommand) -> bool:
    """Whether it can have used what this asked for. It may begin before the answer is written down; one that began before it was
    asked for, and was heard of later, used nothing."""
    if command.sent_at is None or session.announced_at is None:
        return False
    return session.announced_at >= command.sent_at and session.started_at >= command.sent_at - DATED_WITHIN


def _number(reservation: Mapping[str, Any]) -> str:
    return normalise(reservation.get("token", ""), reservation.get("token_type", ""))


def _armed(command: ChargerCommand) -> Armed:
    payload = command.payload
    return Armed(
        reservation_id=command.reservation_id or 0,
        evse_number=payload["evse"],
        token=payload.get("token", ""),
        group=payload.get("group", ""),
        since=command.answered_at or command.created_at,
        expires_at=datetime.fromisoformat(payload["expires_at"]),
    )


def _security_out(charger: Charger) -> dict[str, Any]:
    certificates = charger.certificates.exclude(state=ChargerCertificate.State.REPLACED).order_by("-pk")
    return {
        "profile": charger.security_profile,
        "next_profile": charger.next_security_profile,
        "password_since": _text(charger.password_at),
        "certificates": [
            {
                "serial_number": each.serial_number,
                "state": each.state,
                "not_before": _text(each.not_before),
                "not_after": _text(each.not_after),
            }
            for each in certificates[:LAST_CERTIFICATES]
        ],
    }


def _armed_out(armed: Armed, charger: Charger) -> dict[str, Any]:
    uids = {evse.number: evse.uid for evse in charger.evses.all()}
    return {
        "reservation_id": armed.reservation_id,
        "evse": armed.evse_number,
        "evse_uid": uids.get(armed.evse_number, ""),
        "token": card_ending(armed.token),
        "group": card_ending(armed.group) if armed.group else "",
        "expires_at": _text(armed.expires_at),
    }


def _session_out(session: ChargingSession) -> dict[str, Any]:
    return {
        "transaction": session.transaction,
        "evse_uid": session.evse.uid if session.evse else None,
        "started_at": _text(session.started_at),
        "ended_at": _text(session.ended_at),
        "energy_wh": session.energy_wh,
        "flags": session.flags,
    }


def _command_out(command: ChargerCommand) -> dict[str, Any]:
    return {
        "id": command.pk,
        "action": command.action,
        "reservation_id": command.reservation_id,
        "payload": command.shown_payload,
        "state": command.state,
        "answer": command.answer,
        "answer_text": command.shown_answer_text,
        "created_at": _text(command.created_at),
        "sent_at": _text(command.sent_at),
        "answered_at": _text(command.answered_at),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
