"""What a charger's page offers to have it do: a verb each, with its form and its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bookings.actors import Actor
from bookings.errors import WrongStatus
from bookings.maintenance.charger_requests import ask_charger, ask_for_log, ask_for_profile, why_not_askable
from bookings.models import Booking, BookingStatus, Token
from bookings.operations import start_remotely, stop_remotely
from bookings.pages.charger_security import HIGHEST_PROFILE
from bookings.pages.forms import charger as forms
from depots.commissioning import family_of
from depots.models import Charger, ChargerCommand, SecurityRaise
from depots.operations.security_raise import why_no_profile_is_raised
from depots.periods import Period, utc_text
from depots.token_numbers import spellings

Action = ChargerCommand.Action

# How long installing firmware keeps a charger out of service, at a guess that is rather long.
INSTALLING = timedelta(hours=1)


@dataclass(frozen=True)
class Asked:
    """A valid form of somebody who may send it."""

    charger: Charger
    given: Mapping[str, Any]
    seen_version: int
    actor: Actor
    now: datetime

    def send(self, action: str, payload: dict[str, Any], period: Period | None = None) -> ChargerCommand:
        """Raises BookingError."""
        return ask_charger(
            charger=self.charger, action=action, payload=payload, seen_version=self.seen_version, period=period,
            actor=self.actor, now=self.now,
        )  # fmt: skip

    @property
    def number(self) -> int | None:
        """The EVSE's that was chosen."""
        evse = self.given.get("evse")
        return evse.number if evse is not None else None


@dataclass(frozen=True)
class Verb:
    """`harms` who charges there or has booked, which the form then shows; `say` is the button in the form."""

    name: str
    action: str
    label: str
    icon: str
    title: str
    text: str
    say: str
    form: type[forms.ChargerForm]
    do: Callable[[Asked], object]
    harms: bool = False


def _start(asked: Asked) -> ChargerCommand:
    card, evse = asked.given["card"], asked.given["evse"]
    if card:
        kind = Token.objects.filter(uid__card__in=spellings(card)).values_list("type", flat=True).first()
        payload = {"evse": evse.number, "token": card, "token_type": kind or Token.Type.RFID.value}
        return asked.send(Action.REMOTE_START, payload)
    here = Booking.objects.filter(
        evse=evse, status__in=[BookingStatus.CONFIRMED, BookingStatus.CHARGING], ends_at__gt=asked.now
    )
    for booking in here.order_by("starts_at"):
        if booking.starts_at - booking.terms.early_start <= asked.now:
            return start_remotely(booking_id=booking.pk, actor=asked.actor, now=asked.now)
    raise WrongStatus("", "started", "Nobody has booked there now: name a card.")


def _stop(asked: Asked) -> ChargerCommand:
    transaction = asked.given["session"]
    running = Booking.objects.filter(
        status=BookingStatus.CHARGING, session__charger=asked.charger, session__transaction=transaction,
        session__ended_at__isnull=True,
    ).first()  # fmt: skip
    if running is not None:
        return stop_remotely(booking_id=running.pk, actor=asked.actor, now=asked.now)
    return asked.send(Action.REMOTE_STOP, {"transaction": transaction})


def _log(asked: Asked) -> ChargerCommand:
    given = asked.given
    return ask_for_log(
        charger=asked.charger, is_security=given["kind"] == "security", since=given["since"],
        location=given["location"], seen_version=asked.seen_version, actor=asked.actor, now=asked.now,
    )  # fmt: skip


def _firmware(asked: Asked) -> ChargerCommand:
    """Fetched and installed then; 2.x may fetch at once and install then."""
    at = asked.given["at"]
    fetches_early = family_of(asked.charger) == "2.x" or bool(asked.given["signature"])
    payload = {
        "request": _request_id(asked.now),
        "location": asked.given["location"],
        "retrieve_at": utc_text(asked.now if fetches_early else at),
        "install_at": utc_text(at) if fetches_early else None,
        "certificate": asked.given["certificate"],
        "signature": asked.given["signature"],
    }
    return asked.send(Action.UPDATE_FIRMWARE, payload, installing(at))


def _raise_profile(asked: Asked) -> SecurityRaise:
    return ask_for_profile(
        charger=asked.charger, profile=int(asked.given["profile"]), interface=asked.given.get("interface") or "wired",
        seen_version=asked.seen_version, actor=asked.actor, now=asked.now,
    )  # fmt: skip


def _request_id(now: datetime) -> int:
    """By which 2.x tells what its later messages belong to."""
    return int(now.timestamp()) % 2**31


def installing(at: datetime) -> Period:
    return Period(at, at + INSTALLING)


VERBS = {
    verb.name: verb
    for verb in (
        Verb("start", Action.REMOTE_START, "Start", "player-play", "Start charging",
             "The charger is asked to begin; the cable has to be in, or comes in then.", "Start it",
             forms.StartForm, _start),
        Verb("stop", Action.REMOTE_STOP, "Stop", "player-stop", "Stop charging",
             "The session ends and is billed as far as it went.", "Stop it", forms.StopForm, _stop),
        Verb("unlock", Action.UNLOCK, "Unlock", "lock-open", "Unlock the plug",
             "A session that runs there ends first.", "Unlock it", forms.EvseForm,
             lambda asked: asked.send(Action.UNLOCK, {"evse": asked.number})),
        Verb("restart", Action.RESET, "Restart", "refresh", "Restart the charger",
             "It is gone for some minutes. Its reservations are told to it again.", "Restart it", forms.RestartForm,
             lambda asked: asked.send(Action.RESET, {"hard": asked.given["how"] == "hard", "evse": None}), harms=True),
        Verb("availability", Action.AVAILABILITY, "In or out of service", "plug-off", "Set in or out of service",
             "It stays so, restarts included, until it is set back. So that nobody books it meanwhile, it is closed "
             "as well: the page for that follows.", "Set it", forms.AvailabilityForm,
             lambda asked: asked.send(
                 Action.AVAILABILITY, {"operative": asked.given["service"] == "operative", "evse": asked.number}),
             harms=True),
        Verb("message", Action.TRIGGER, "Ask for a message", "inbox", "Ask for a message",
             "It tells what it is asked for at once.", "Ask for it", forms.MessageForm,
             lambda asked: asked.send(
                 Action.TRIGGER, {"message": asked.given["message"], "evse": asked.number})),
        Verb("cache", Action.CLEAR_CACHE, "Forget cards", "trash", "Forget the cards it remembers",
             "It asks again for every card.", "Clear it", forms.ChargerForm,
             lambda asked: asked.send(Action.CLEAR_CACHE, {})),
        Verb("everything", Action.ASK_INVENTORY, "Read all its settings", "filter", "Read all its settings",
             "They stand on a page of their own, at most 3000 of them.", "Read them", forms.ChargerForm,
             lambda asked: asked.send(Action.ASK_INVENTORY, {"request": _request_id(asked.now)})),
        Verb("log", Action.GET_DIAGNOSTICS, "Fetch its log", "list", "Fetch its log",
             "It may take minutes; how far it is stands among the last commands.", "Fetch it", forms.LogForm, _log),
        Verb("firmware", Action.UPDATE_FIRMWARE, "Update firmware", "device-floppy", "Update its firmware",
             "Suggested is the next hour in which nobody has booked.", "Update it", forms.FirmwareForm, _firmware,
             harms=True),
        Verb("security", Action.SET_SECURITY_PROFILE, "Raise security", "lock", "Raise its security profile",
             "It is told step by step, and restarted once nobody is there. Until it has come with the new profile the "
             "one before opens as well, from then on never again.", "Raise it", forms.SecurityForm, _raise_profile),
    )
}  # fmt: skip


def refusal_of(charger: Charger, verb: Verb, *, now: datetime) -> str:
    """Why its button is off; empty where it is on."""
    if verb.name == "security" and charger.security_profile == HIGHEST_PROFILE:
        return f"{charger} has to come with a certificate already."
    unasked = why_not_askable(charger, verb.action, now=now)
    return unasked or (why_no_profile_is_raised() if verb.name == "security" else "")
