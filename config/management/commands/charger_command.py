"""Have a charger do something now, and say what it answered."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.models import Booking, BookingSession, BookingStatus, Token
from bookings.operations import start_remotely, stop_remotely
from bookings.operations.remote_start import WAITS
from bookings.pages.charger_security import raise_in_words
from config.management.operator_command import OperatorCommand
from depots import operations
from depots.certificates import read_pem
from depots.models import Charger, ChargerCommand, Evse, SecurityRaise
from depots.operations.charger_passwords import rotate_charger_password
from depots.operations.security_raise import CannotRaiseError, begin_raise
from depots.queries import find_charger, is_online
from depots.token_numbers import spellings

Action = ChargerCommand.Action
State = ChargerCommand.State

VERBS = {
    "start": Action.REMOTE_START, "stop": Action.REMOTE_STOP, "unlock": Action.UNLOCK, "reset": Action.RESET,
    "trigger": Action.TRIGGER, "availability": Action.AVAILABILITY, "clear_cache": Action.CLEAR_CACHE,
    "get_configuration": Action.GET_CONFIGURATION, "rotate_password": Action.SET_PASSWORD,
    "renew_certificate": Action.RENEW_CERTIFICATE, "installed_certificates": Action.INSTALLED_CERTIFICATES,
    "install_certificate": Action.INSTALL_CERTIFICATE, "delete_certificate": Action.DELETE_CERTIFICATE,
    "raise_security": Action.SET_SECURITY_PROFILE,
}  # fmt: skip
VALUES = {
    "reset": ("soft", "hard"),
    "availability": ("operative", "inoperative"),
    "raise_security": ("2", "3"),
}
# Of those that have no usual value.
TAKE_VALUE = {"availability", "raise_security"}
# What is left of a raise is the charger's, and may wait until nobody is there.
LEFT_TO_IT = {SecurityRaise.Step.RESTART, SecurityRaise.Step.COMING}
DONE = {"accepted", "scheduled", "unlocked"}
LOOKS_EVERY_S = 0.2
LONGEST_CERTIFICATE = 5500
WRONG_USAGE = 2


class Command(OperatorCommand):
    help = "Have a charger do something; waits for its answer and prints it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("identity", help="its OCPP identity, as in DEMO-1")
        parser.add_argument("verb", choices=VERBS)
        parser.add_argument("--evse", metavar="UID", help="where it has more than one, and one is meant")
        parser.add_argument("--token", metavar="T", help="start: the card; the booking's own when left out")
        parser.add_argument("--transaction", metavar="T", help="stop: the charger's id of it")
        parser.add_argument(
            "--value",
            metavar="V",
            help="reset: soft or hard; availability: operative or inoperative; trigger: the message's name; "
            "get_configuration: keys by comma (2.x: Component.Variable); install_certificate: a PEM file with the root; "
            "delete_certificate: its hash data, as installed_certificates prints it; raise_security: 2 or 3",
        )
        parser.add_argument(
            "--interface",
            choices=("wired", "wireless"),
            default="wired",
            help="raise_security in 2.x: how the charger is connected",
        )

    def handle(self, *args: Any, identity: str, verb: str, **options: Any) -> None:
        charger = find_charger(identity)
        if charger is None:
            raise CommandError(f"There is no charger {identity!r}.")
        self._check_value(verb, options["value"])
        evse = _evse(charger, options["evse"])
        if not is_online(charger, now=timezone.now()):
            self._tell("offline", "The charger is not connected.")
            return
        if verb == "raise_security":
            self._tell(*_raise(charger, int(options["value"]), options["interface"]))
            return
        command = _send(charger, verb, evse, options)
        _wait(command)
        self._tell(*_outcome(command))

    def _check_value(self, verb: str, value: str | None) -> None:
        known = VALUES.get(verb)
        if (known and (value or known[0]) not in known) or (verb in TAKE_VALUE and value is None):
            raise CommandError(f"{verb} takes --value {' or '.join(known or ())}.", returncode=WRONG_USAGE)
        if verb == "trigger" and not value:
            raise CommandError("trigger takes --value with the name of the message.", returncode=WRONG_USAGE)

    def _tell(self, answer: str, detail: Any) -> None:
        """The line is printed whatever came of it; the exit code says whether the charger does it."""
        self.say({"answer": answer, "detail": detail})
        if answer.lower() not in DONE:
            self.stdout.flush()
            sys.exit(1)


def _raise(charger: Charger, profile: int, interface: str) -> tuple[str, str]:
    """(Accepted once it comes with it, or has been told all and it is left to it; else why not, or how far it is)"""
    try:
        raised = begin_raise(
            charger_id=charger.pk,
            profile=profile,
            interface=interface,
            asked_by=COMMAND.name,
            now=timezone.now(),
        )
    except CannotRaiseError as refusal:
        return "rejected", str(refusal)
    until = time.monotonic() + WAITS.total_seconds()
    while raised.ended_at is None and raised.step not in LEFT_TO_IT and time.monotonic() < until:
        time.sleep(LOOKS_EVERY_S)
        raised.refresh_from_db()
    if raised.ended_at is not None:
        return ("rejected", raised.why) if raised.why else ("Accepted", "It comes with it.")
    return "Accepted" if raised.step in LEFT_TO_IT else "timeout", raise_in_words(raised)


def _evse(charger: Charger, uid: str | None) -> Evse | None:
    evses = list(charger.evses.order_by("number"))
    if uid is None:
        return evses[0] if len(evses) == 1 else None
    found = next((evse for evse in evses if evse.uid.upper() == uid.strip().upper()), None)
    if found is None:
        raise CommandError(f"{charger} has no EVSE {uid!r}.")
    return found


def _send(charger: Charger, verb: str, evse: Evse | None, options: dict[str, Any]) -> ChargerCommand:
    if verb == "start":
        return _start(charger, evse, options["token"])
    if verb == "rotate_password":
        return rotate_charger_password(charger_id=charger.pk, now=timezone.now())
    if verb == "stop":
        return _stop(charger, evse, options["transaction"])
    number = evse.number if evse is not None and (options["evse"] or verb == "unlock") else None
    value = (options["value"] or "").strip()
    if verb == "unlock" and number is None:
        raise CommandError(f"{charger} has several EVSEs: say which with --evse.", returncode=WRONG_USAGE)
    payloads: dict[str, dict[str, Any]] = {
        "unlock": {"evse": number},
        "reset": {"hard": value == "hard", "evse": number},
        "trigger": {"message": value, "evse": number},
        "availability": {"operative": value == "operative", "evse": number},
        "install_certificate": {"certificate": _certificate(value)} if verb == "install_certificate" else {},
        "delete_certificate": {"hash": _hash(value)} if verb == "delete_certificate" else {},
        "get_configuration": {"keys": [key.strip() for key in value.split(",") if key.strip()]},
    }
    return _queue(charger, verb, payloads.get(verb, {}))


def _start(charger: Charger, evse: Evse | None, token: str | None) -> ChargerCommand:
    if token is None:
        return start_remotely(booking_id=_booking(charger, evse).pk, actor=COMMAND, now=timezone.now())
    if evse is None:
        raise CommandError(f"{charger} has several EVSEs: say which with --evse.", returncode=WRONG_USAGE)
    kinds = Token.objects.filter(uid__card__in=spellings(token)).values_list("type", flat=True)
    payload = {"evse": evse.number, "token": token, "token_type": kinds.first() or Token.Type.RFID.value}
    return _queue(charger, "start", payload)


def _stop(charger: Charger, evse: Evse | None, transaction: str | None) -> ChargerCommand:
    running = charger.sessions.filter(ended_at__isnull=True).order_by("-started_at")
    if transaction is None:
        found = list(running.filter(evse=evse) if evse is not None else running)
        if len(found) != 1:
            raise CommandError(f"{len(found)} transactions run there: say which with --transaction.")
        transaction = found[0].transaction
    visit = BookingSession.objects.filter(session__in=running.filter(transaction=transaction)).first()
    if visit is not None and visit.booking.status == BookingStatus.CHARGING:
        return stop_remotely(booking_id=visit.booking_id, actor=COMMAND, now=timezone.now())
    return _queue(charger, "stop", {"transaction": transaction})


def _booking(charger: Charger, evse: Evse | None) -> Booking:
    """The one whose slot it is now."""
    now = timezone.now()
    evses = [evse] if evse else list(charger.evses.all())
    here = Booking.objects.filter(
        evse__in=evses,
        status__in=[BookingStatus.CONFIRMED, BookingStatus.CHARGING],
        ends_at__gt=now,
    )
    for booking in here.order_by("starts_at"):
        if booking.starts_at - booking.terms.early_start <= now:
            return booking
    raise CommandError("Nobody has booked there now: name a card with --token.")


def _queue(charger: Charger, verb: str, payload: dict[str, Any]) -> ChargerCommand:
    now = timezone.now()
    return operations.queue_command(
        charger=charger, action=VERBS[verb], payload=payload, not_after=now + WAITS, now=now
    )


def _wait(command: ChargerCommand) -> None:
    until = time.monotonic() + WAITS.total_seconds()
    while command.state in {State.QUEUED, State.SENT} and time.monotonic() < until:
        time.sleep(LOOKS_EVERY_S)
        command.refresh_from_db()


def _outcome(command: ChargerCommand) -> tuple[str, Any]:
    """(the charger's status as OCPP spells it, or our word for none; what it said beside it)."""
    if command.state != State.ANSWERED:
        return "timeout", command.answer_text or "The charger has not answered."
    if (
        command.action in {Action.GET_CONFIGURATION, Action.INSTALLED_CERTIFICATES}
        and command.answer == "accepted"
    ):
        return "Accepted", _settings(command.answer_text)
    if command.answer in {"not_supported", "error"}:
        return command.answer, command.answer_text
    return "".join(part.capitalize() for part in command.answer.split("_")), command.answer_text


def _certificate(path: str) -> str:
    """One root in PEM. OCPP takes 5,500 characters at most."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
        read_pem(text)
    except (OSError, ValueError) as fault:
        raise CommandError(f"{path!r} is no certificate in PEM: {fault}", returncode=WRONG_USAGE) from None
    if len(text) > LONGEST_CERTIFICATE:
        raise CommandError(f"OCPP takes certificates of at most {LONGEST_CERTIFICATE} characters.")
    return text


def _hash(text: str) -> dict[str, Any]:
    parts = _settings(text)
    names = {"hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber"}
    if not isinstance(parts, dict) or parts.keys() != names:
        raise CommandError(
            f"delete_certificate takes --value with an object of {', '.join(sorted(names))}.",
            returncode=WRONG_USAGE,
        )
    return parts


def _settings(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
