"""What a manager has a charger do from its page: looked at first, refused where it cannot be, and asked once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from bookings.actors import Actor
from bookings.errors import BookingError, ChangedMeanwhile, ChargerCannot, ChargerOffline
from bookings.maintenance.gaps import bookings_in, running_sessions
from bookings.models import Booking
from bookings.rules.content_version import version_of
from depots.capabilities import why_not
from depots.commissioning import begin_round
from depots.models import (
    Charger,
    ChargerCommand,
    ChargerUpload,
    ChargingSession,
    SecurityRaise,
    SettingsCheck,
)
from depots.operations import queue_command
from depots.operations.locking import lock_evses_of
from depots.operations.security_raise import CannotRaiseError, begin_raise
from depots.periods import Period, utc_text
from depots.queries import is_online
from depots.secrets import hash_token, new_token

Action = ChargerCommand.Action

# A manager looks at the page: what was not sent by then is not sent any more.
WAITS = timedelta(seconds=35)
# So far ahead bookings count as in the way of what takes a charger out of service for some minutes.
AHEAD = timedelta(hours=1)
# A charger sends its log within this, or is asked again.
UPLOAD_OPEN_FOR = timedelta(hours=2)


@dataclass(frozen=True)
class InTheWay:
    """Who would be harmed by what is asked of a charger, as its form shows it."""

    sessions: list[ChargingSession]
    bookings: list[Booking]
    last_asked: int

    @property
    def version(self) -> int:
        """Another one once somebody else has asked for something, has come, or has booked."""
        shown = [[session.pk for session in self.sessions], self.last_asked]
        return version_of([shown, [[booking.pk, str(booking.period)] for booking in self.bookings]])


def in_the_way(charger: Charger, *, now: datetime, period: Period | None = None) -> InTheWay:
    """What runs, and what is booked within the hour, or in the period that is meant."""
    asked = charger.commands.exclude(asked_by="").order_by("-id").values_list("pk", flat=True).first()
    booked = bookings_in(charger, period or Period(now, now + AHEAD))
    return InTheWay(running_sessions(charger), booked, asked or 0)


def check_askable(
    charger: Charger, action: str, payload: dict[str, Any] | None = None, *, now: datetime
) -> None:
    """Raises ChargerOffline, or ChargerCannot with the reason."""
    if not is_online(charger, now=now):
        raise ChargerOffline
    if reason := why_not(charger, action, payload):
        raise ChargerCannot(reason)


def why_not_askable(charger: Charger, action: str, *, now: datetime) -> str:
    """The reason in a sentence; empty where it may be asked."""
    try:
        check_askable(charger, action, now=now)
    except BookingError as refusal:
        return str(refusal)
    return ""


def ask_charger(
    *,
    charger: Charger,
    action: str,
    payload: dict[str, Any],
    seen_version: int,
    period: Period | None = None,
    actor: Actor,
    now: datetime,
) -> ChargerCommand:
    """Put a command in its queue now. Raises ChangedMeanwhile where its form showed others in the way, ChargerOffline and
    ChargerCannot."""
    with transaction.atomic():
        lock_evses_of(charger.pk)
        check_askable(charger, action, payload, now=now)
        check_in_the_way(charger, seen_version, period=period, now=now)
        return queue_command(
            charger=charger,
            action=action,
            payload=payload,
            asked_by=actor.name,
            not_after=now + WAITS,
            now=now,
        )


def check_in_the_way(
    charger: Charger, seen_version: int, *, period: Period | None = None, now: datetime
) -> None:
    """Raises ChangedMeanwhile."""
    if in_the_way(charger, now=now, period=period).version != seen_version:
        raise ChangedMeanwhile("Something has changed at this charger since you looked.")


def ask_for_log(
    *, charger: Charger, is_security: bool, since: datetime | None, location: str, seen_version: int, actor: Actor,
    now: datetime,
) -> ChargerCommand:  # fmt: skip
    """Have it send its log to `location`, or to an address of ours that takes one file. Raises as `ask_charger`."""
    token = new_token()
    payload = {
        "request": secrets.randbelow(2**31 - 1) + 1,
        "location": location or upload_address(token),
        "is_security": is_security,
        "since": utc_text(since) if since else None,
    }
    with transaction.atomic():
        command = ask_charger(
            charger=charger, action=Action.GET_DIAGNOSTICS, payload=payload, seen_version=seen_version, actor=actor,
            now=now,
        )  # fmt: skip
        if not location:
            ChargerUpload.objects.create(
                command=command, secret_hash=hash_token(token), open_until=now + UPLOAD_OPEN_FOR
            )
    return command


def ask_for_profile(
    *, charger: Charger, profile: int, interface: str, seen_version: int, actor: Actor, now: datetime
) -> SecurityRaise:
    """Have its security profile raised, step by step. Raises as `ask_charger`."""
    with transaction.atomic():
        lock_evses_of(charger.pk)
        check_askable(charger, Action.SET_SECURITY_PROFILE, now=now)
        check_in_the_way(charger, seen_version, now=now)
        try:
            return begin_raise(
                charger_id=charger.pk, profile=profile, interface=interface, asked_by=actor.name, now=now
            )
        except CannotRaiseError as refusal:
            raise ChargerCannot(str(refusal)) from None


def upload_address(token: str) -> str:
    """Where a charger may send one file."""
    return f"{settings.BERTH_BASE_URL}{reverse('depots:charger_upload', args=[token])}"


def mend_settings(
    *, charger: Charger, does_apply: bool, seen_version: int, actor: Actor, now: datetime
) -> None:
    """Look through its settings now, and set what differs where `does_apply`. Raises as `ask_charger`."""
    with transaction.atomic():
        lock_evses_of(charger.pk)
        check_askable(charger, Action.READ_SETTINGS, now=now)
        if settings_version(charger, checked_settings(charger)) != seen_version:
            raise ChangedMeanwhile("Its settings were looked at since.")
        begin_round(charger_id=charger.pk, does_apply=does_apply, asked_by=actor.name, now=now)


def checked_settings(charger: Charger) -> SettingsCheck | None:
    """How its settings were found last, without all that it has (a large column)."""
    return SettingsCheck.objects.filter(charger=charger).defer("inventory").first()


def settings_version(charger: Charger, check: SettingsCheck | None) -> int:
    """Another one with every round."""
    return version_of([charger.pk, check.began_at if check else None])
