"""A charger's security profile raised over OCPP, step after step, without a moment in which the charger is locked out.

Each answer and the step that follows it are one transaction, so a gateway that is killed leaves either the step that was
sent, which is asked again, or the next one. Until the charger has come with the new profile the one before opens as well;
from then on it never does. Nothing here lowers one.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from depots.certificates import read_pem
from depots.models import CertificateAuthority, Charger, ChargerCertificate, ChargerCommand, SecurityRaise
from depots.operations.commands import queue_command
from depots.operations.locking import lock_evses_of

Action = ChargerCommand.Action
State = ChargerCommand.State
Step = SecurityRaise.Step

PRIORITY = "OCPPCommCtrlr.NetworkConfigurationPriority"
# Slots of network profiles that are tried; which there are no charger tells by a variable's value.
SLOTS = (1, 2, 3, 0, 4)
LONGEST_ROOT = 5500
# A certificate that expires sooner is replaced before the charger depends on it.
CERTIFICATE_LASTS = timedelta(days=30)
# A step that is not answered while the charger is there; and one that has been told all and does not come.
SILENT_AFTER = timedelta(hours=1)
COMES_WITHIN = timedelta(minutes=10)
# Connections by the old profile after a restart: it cannot connect by the new one.
MOST_WITHOUT = 3


class CannotRaiseError(Exception):
    """Why a charger's profile cannot be raised, in a sentence."""


def begin_raise(
    *, charger_id: int, profile: int, interface: str = "wired", asked_by: str = "", now: datetime
) -> SecurityRaise:
    """Have it come with `profile` (2 or 3) from now on. `interface` is how it is connected, which 2.x has to be told.

    Begun anew where one is under way. Raises CannotRaiseError.
    """
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        root = _server_root()
        _check(charger, profile, now)
        _drop_waiting(charger)
        found, _ = SecurityRaise.objects.update_or_create(
            charger=charger,
            defaults={
                "profile": profile, "step": Step.ROOT, "command": None, "asked_by": asked_by[:150], "asked_at": now,
                "network": {} if charger.speaks_1_6 else {"interface": interface}, "moved_at": now,
                "restarted_at": None, "came_without": 0, "ended_at": None, "why": "",
            },
        )  # fmt: skip
        action, payload = (
            (Action.INSTALL_CERTIFICATE, {"certificate": root})
            if root
            else (Action.INSTALLED_CERTIFICATES, {})
        )
        _ask(found, Step.ROOT, action, payload, now)
    return found


def why_no_profile_is_raised() -> str:
    """Of any charger here, in a sentence; empty where it can be."""
    if settings.BERTH_OCPP_PUBLIC_URL:
        return ""
    return "Chargers cannot be told where Berth is over TLS: BERTH_OCPP_PUBLIC_URL is not set."


def take_raise_answer(command: ChargerCommand, *, now: datetime) -> None:
    """The next step after an answer; a lost one is asked for again by itself. In the transaction that settles it."""
    is_certificate = command.action == Action.CERTIFICATE_SIGNED
    if command.action not in _STEPS_OF or (command.state == State.UNCLEAR and not is_certificate):
        return
    under_way = (
        SecurityRaise.objects.select_for_update(of=("self",), no_key=True)
        .select_related("command", "charger")
        .filter(charger=command.charger_id, ended_at__isnull=True, step=_STEPS_OF[Action(command.action)])
        .first()
    )
    if under_way is not None and _is_awaited(under_way, command):
        try:
            _FOLLOW[Step(under_way.step)](under_way, command, now)
        except CannotRaiseError as fault:
            _end(under_way, str(fault), now)


def take_shown_profile(*, charger_id: int, shown: int, now: datetime) -> None:
    """The charger has come with this much: at what it was told to, its profile is that, and what is less opens no more."""
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        wanted = charger.next_security_profile
        if wanted is None:
            return
        rows = SecurityRaise.objects.select_for_update(of=("self",), no_key=True).filter(charger=charger)
        raised = rows.filter(profile=wanted).first()
        if shown >= wanted:
            _keep(charger, wanted)
            if raised is not None:
                _end(raised, "", now)
        elif raised is not None and raised.ended_at is None and raised.step == Step.COMING:
            _count_without(raised, now)


def look_after_raises(*, now: datetime) -> None:
    """One that has been told all and does not come is restarted, once; one that answers nothing, or does not come even so, is
    broken off. A certificate that it was to ask for, and has not, is spoken of again: its request may have been lost.
    """
    waiting = SecurityRaise.objects.exclude(step=Step.RESTART).filter(
        ended_at__isnull=True, moved_at__lte=now - COMES_WITHIN
    )
    for charger_id in list(waiting.order_by("pk").values_list("charger_id", flat=True)):
        with transaction.atomic():
            lock_evses_of(charger_id)
            rows = waiting.select_for_update(of=("self",), no_key=True).select_related("command", "charger")
            for raised in rows.filter(charger=charger_id):
                _look_after(raised, now)


def _look_after(raised: SecurityRaise, now: datetime) -> None:
    is_silent = raised.moved_at <= now - SILENT_AFTER
    if raised.step == Step.CERTIFICATE and raised.asked_at > now - SILENT_AFTER:
        _speak_of_certificate(raised, now)
    elif raised.step == Step.COMING and raised.restarted_at is None:
        _move(raised, Step.RESTART, now)
    elif raised.step == Step.COMING and is_silent:
        _end(raised, "It has not come since it was to restart.", now)
    elif is_silent:
        _end(raised, "It did not answer, or did not do what it said it would.", now)


def _speak_of_certificate(raised: SecurityRaise, now: datetime) -> None:
    if raised.command is None or raised.command.state not in {State.QUEUED, State.SENT}:
        _ask(raised, Step.CERTIFICATE, Action.RENEW_CERTIFICATE, {}, now)


def note_restart(raised: SecurityRaise, *, now: datetime) -> None:
    """A restart has been asked for: it comes with the new profile, or shows that it cannot."""
    raised.restarted_at = now
    _move(raised, Step.COMING, now)


def _check(charger: Charger, profile: int, now: datetime) -> None:
    """Raises CannotRaiseError."""
    if profile <= charger.security_profile:
        raise CannotRaiseError(f"Its security profile is {charger.security_profile} already.")
    if reason := why_no_profile_is_raised():
        raise CannotRaiseError(reason)
    if profile == 2 and not charger.password_hash:
        raise CannotRaiseError("It has no password to come with over TLS.")
    if profile == 3 and not (_has_certificate(charger, now) or CertificateAuthority.objects.exists()):
        raise CannotRaiseError(
            "It has no certificate, and there is no authority that could give it one (charger_ca create)."
        )


def _server_root() -> str:
    """PEM of the root that chargers trust Berth by; empty where they are to have it. Raises CannotRaiseError."""
    if not settings.BERTH_OCPP_SERVER_ROOT:
        return ""
    try:
        text = Path(settings.BERTH_OCPP_SERVER_ROOT).read_text(encoding="ascii").strip()
        read_pem(text)
    except (OSError, ValueError) as fault:
        raise CannotRaiseError(f"BERTH_OCPP_SERVER_ROOT cannot be used: {fault}") from None
    if len(text) > LONGEST_ROOT:
        raise CannotRaiseError(f"BERTH_OCPP_SERVER_ROOT has more than {LONGEST_ROOT} characters.")
    return text


def _is_awaited(raised: SecurityRaise, command: ChargerCommand) -> bool:
    """The very command, or a repeat of it. The certificate comes because the charger asks for it."""
    if command.action == Action.CERTIFICATE_SIGNED:
        return command.created_at >= raised.asked_at and "for" not in command.payload
    asked = raised.command
    return asked is not None and (asked.action, asked.payload) == (command.action, command.payload)


def _after_root(raised: SecurityRaise, command: ChargerCommand, now: datetime) -> None:
    if command.action == Action.INSTALL_CERTIFICATE:
        if command.answer != "accepted":  # some refuse what they have
            _ask(raised, Step.ROOT, Action.INSTALLED_CERTIFICATES, {}, now)
            return
    elif command.answer != "not_supported" and not _lists_root(command):
        _end(raised, "It has no root to trust Berth by, or does not take it.", now)
        return
    if raised.profile == 3 and not _has_certificate(raised.charger, now):
        _ask(raised, Step.CERTIFICATE, Action.RENEW_CERTIFICATE, {}, now)
    else:
        _after_papers(raised, now)


def _lists_root(command: ChargerCommand) -> bool:
    """Ours, where it is named; any, where it is not."""
    root = _server_root()
    try:
        told = json.loads(command.answer_text)
        serials = {str(each["serialNumber"]).upper().lstrip("0") for each in told}
    except (ValueError, TypeError, KeyError):
        return False
    return bool(serials) and (not root or read_pem(root).serial_number in serials)


def _after_certificate(raised: SecurityRaise, command: ChargerCommand, now: datetime) -> None:
    """It may have taken a certificate whose answer was lost, and refuse it the second time: it asks for another one."""
    if command.state == State.UNCLEAR:
        _ask(raised, Step.CERTIFICATE, Action.RENEW_CERTIFICATE, {}, now)
    elif command.answer != "accepted":
        _end(raised, _refused("a certificate", command), now)
    elif command.action == Action.CERTIFICATE_SIGNED:
        _after_papers(raised, now)


def _after_papers(raised: SecurityRaise, now: datetime) -> None:
    if raised.network:
        _ask(raised, Step.SLOTS, Action.GET_CONFIGURATION, {"keys": [PRIORITY]}, now)
    else:
        _tell_profile(raised, now)


def _after_slots(raised: SecurityRaise, command: ChargerCommand, now: datetime) -> None:
    """A slot that is in use is left alone: by it the charger comes back where it cannot by the new one."""
    try:
        told = str(json.loads(command.answer_text)[PRIORITY] or "")
        before = [int(part) for part in told.split(",") if part.strip()]
    except (ValueError, TypeError, KeyError):
        before = []
    if not before:
        _end(raised, "It does not tell which of its network profiles are in use.", now)
        return
    free = [slot for slot in SLOTS if slot not in before]
    if not free:
        _end(raised, "All of its network profiles are in use.", now)
        return
    raised.network = {**raised.network, "before": before, "free": free}
    _tell_profile(raised, now)


def _tell_profile(raised: SecurityRaise, now: datetime) -> None:
    payload: dict[str, Any] = {"profile": raised.profile}
    if raised.network:
        slot, *free = raised.network["free"]
        raised.network = {**raised.network, "slot": slot, "free": free}
        payload |= {
            "slot": slot,
            "url": settings.BERTH_OCPP_PUBLIC_URL,
            "interface": raised.network["interface"],
        }
    else:
        _let_in_by(raised)
    _ask(raised, Step.PROFILE, Action.SET_SECURITY_PROFILE, payload, now)


def _after_profile(raised: SecurityRaise, command: ChargerCommand, now: datetime) -> None:
    if raised.network and command.answer == "accepted":
        _let_in_by(raised)
        slots = [raised.network["slot"], *raised.network["before"]]
        _ask(raised, Step.PRIORITY, Action.SET_NETWORK_PRIORITY, {"slots": slots}, now)
    elif raised.network.get("free") and command.answer in {"rejected", "failed"}:
        _tell_profile(raised, now)  # there is no such slot
    elif command.answer == "accepted":
        _move(raised, Step.COMING, now)  # 1.6 connects anew by itself
    elif command.answer == "reboot_required":
        _move(raised, Step.RESTART, now)
    else:
        Charger.objects.filter(pk=raised.charger_id).update(next_security_profile=None)
        _end(raised, _refused("the profile", command), now)


def _after_priority(raised: SecurityRaise, command: ChargerCommand, now: datetime) -> None:
    if command.answer in {"accepted", "reboot_required"}:
        _move(raised, Step.RESTART, now)
    else:
        _end(raised, _refused("the new order of its network profiles", command), now)


def _let_in_by(raised: SecurityRaise) -> None:
    """From here on what it comes with counts: it may come with the new one before its answer has."""
    Charger.objects.filter(pk=raised.charger_id).update(next_security_profile=raised.profile)


def _count_without(raised: SecurityRaise, now: datetime) -> None:
    raised.came_without += 1
    if raised.restarted_at is not None and raised.came_without >= MOST_WITHOUT:
        _end(raised, "It comes back by its old profile: by the new one it cannot connect.", now)
    else:
        raised.save(update_fields=["came_without"])


def _has_certificate(charger: Charger, now: datetime) -> bool:
    """One it has come with, and which lasts."""
    return charger.certificates.filter(
        state=ChargerCertificate.State.CURRENT, not_after__gt=now + CERTIFICATE_LASTS
    ).exists()


def _ask(raised: SecurityRaise, step: Step, action: Action, payload: dict[str, Any], now: datetime) -> None:
    raised.command = queue_command(
        charger=raised.charger, action=action, payload=payload, asked_by=raised.asked_by, now=now
    )
    _move(raised, step, now)


def _move(raised: SecurityRaise, step: Step, now: datetime) -> None:
    raised.step, raised.moved_at = step, now
    raised.save(update_fields=["step", "command", "network", "moved_at", "restarted_at"])


def _keep(charger: Charger, profile: int) -> None:
    """The one before opens no more; a depot file that still names it is older than this, and does not bring it back."""
    if profile > charger.security_profile:
        if charger.replaced_security_profile is None:
            charger.replaced_security_profile = charger.security_profile
        charger.security_profile = profile
    charger.next_security_profile = None
    charger.save(update_fields=["replaced_security_profile", "security_profile", "next_security_profile"])


def _end(raised: SecurityRaise, why: str, now: datetime) -> None:
    """Done, or broken off: what it was told it may take up even so, and both profiles stay valid until it has."""
    raised.ended_at, raised.why = now, why
    raised.save(update_fields=["ended_at", "why", "came_without"])
    _drop_waiting(raised.charger)


def _drop_waiting(charger: Charger) -> None:
    """A step that was not sent yet is needless: nobody waits for its answer."""
    waits = SecurityRaise.objects.filter(charger=charger).values("command")
    ChargerCommand.objects.filter(pk__in=waits, state=State.QUEUED).update(state=State.STALE)


def _refused(what: str, command: ChargerCommand) -> str:
    told = f"{command.answer} {command.shown_answer_text}".strip().replace("_", " ")
    return f"It does not take {what}: {told or 'it was not sent in time'}."[:500]


_FOLLOW = {
    Step.ROOT: _after_root,
    Step.CERTIFICATE: _after_certificate,
    Step.SLOTS: _after_slots,
    Step.PROFILE: _after_profile,
    Step.PRIORITY: _after_priority,
}
# At which step an answer to a command counts.
_STEPS_OF = {
    Action.INSTALL_CERTIFICATE: Step.ROOT,
    Action.INSTALLED_CERTIFICATES: Step.ROOT,
    Action.RENEW_CERTIFICATE: Step.CERTIFICATE,
    Action.CERTIFICATE_SIGNED: Step.CERTIFICATE,
    Action.GET_CONFIGURATION: Step.SLOTS,
    Action.SET_SECURITY_PROFILE: Step.PROFILE,
    Action.SET_NETWORK_PRIORITY: Step.PRIORITY,
}
