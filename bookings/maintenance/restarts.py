"""Restarting a charger whose new settings, or security profile, wait for it, in a gap where nobody is harmed."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from bookings.core.one_by_one import each_by_itself
from bookings.models import Occupancy
from depots.commissioning import wanted_of
from depots.models import Charger, ChargerCommand, ChargingSession, SecurityRaise, SettingsCheck
from depots.operations import queue_command
from depots.operations.locking import lock_evses_of
from depots.operations.security_raise import note_restart
from depots.periods import Period
from depots.queries import armed_reservations, is_online

# Long enough to restart, be armed again, and be in order well before anybody comes.
GAP = timedelta(minutes=30)
# What was not sent by then would come when the gap is nearly over.
WAITS = timedelta(minutes=5)
AT_ONCE = 20


def restart_in_gaps(*, now: datetime) -> None:
    """Chargers whose settings wait for a restart, and that nobody uses or is about to. Once for the same settings and
    firmware: one that wants another restart for them afterwards never takes them."""
    idle = (each for each in _idle(now) if each.restarted_for != _waits_for(each))
    due = (check.charger_id for check in idle if wanted_of(check.charger).applies_itself)
    each_by_itself(list(islice(due, AT_ONCE)), lambda pk: _restart_if_idle(pk, now))
    each_by_itself(list(_to_be_raised(now)[:AT_ONCE]), lambda pk: _restart_for_profile(pk, now))


def _idle(now: datetime) -> QuerySet[SettingsCheck]:
    """Those that seem idle, the longest waiting first. All of them: one that is passed over stands in nobody's way."""
    running = ChargingSession.objects.filter(charger=OuterRef("charger"), ended_at__isnull=True)
    waiting = SettingsCheck.objects.filter(restart_wanted_at__isnull=False, charger__lease_until__gt=now)
    free = waiting.exclude(Exists(running)).exclude(Exists(_near(OuterRef("charger"), now)))
    return free.order_by("restart_wanted_at").defer("told", "inventory").select_related("charger__depot")


def _to_be_raised(now: datetime) -> QuerySet[SecurityRaise, int]:
    running = ChargingSession.objects.filter(charger=OuterRef("charger"), ended_at__isnull=True)
    waiting = SecurityRaise.objects.filter(
        ended_at__isnull=True, step=SecurityRaise.Step.RESTART, charger__lease_until__gt=now
    )
    free = waiting.exclude(Exists(running)).exclude(Exists(_near(OuterRef("charger"), now)))
    return free.order_by("moved_at").values_list("charger_id", flat=True)


def _near(charger: Charger | OuterRef, now: datetime) -> QuerySet[Occupancy]:
    soon = Occupancy.objects.filter(evse__charger=charger, span__overlap=Period(now, now + GAP))
    return soon.exclude(kind=Occupancy.Kind.CLOSURE)


def _restart_if_idle(charger_id: int, now: datetime) -> int:
    with transaction.atomic():
        lock_evses_of(charger_id)
        check = (
            SettingsCheck.objects.select_for_update(of=("self",))
            .select_related("charger")
            .get(charger=charger_id)
        )
        if check.restart_wanted_at is None or not _is_idle(check.charger, now):
            return 0
        _restart(check.charger, now)
        check.restarted_for, check.restart_wanted_at = _waits_for(check), None
        check.save(update_fields=["restarted_for", "restart_wanted_at"])
    return 1


def _restart_for_profile(charger_id: int, now: datetime) -> int:
    with transaction.atomic():
        lock_evses_of(charger_id)
        raised = (
            SecurityRaise.objects.select_for_update(of=("self",), no_key=True)
            .select_related("charger")
            .get(charger=charger_id)
        )
        if raised.step != SecurityRaise.Step.RESTART or not _is_idle(raised.charger, now):
            return 0
        _restart(raised.charger, now, asked_by=raised.asked_by)
        note_restart(raised, now=now)
    return 1


def _restart(charger: Charger, now: datetime, *, asked_by: str = "") -> None:
    queue_command(
        charger=charger,
        action=ChargerCommand.Action.RESET,
        payload={"hard": False, "evse": None},
        asked_by=asked_by,
        not_after=now + WAITS,
        now=now,
    )


def _is_idle(charger: Charger, now: datetime) -> bool:
    return (
        is_online(charger, now=now)
        and not _near(charger, now).exists()
        and not charger.sessions.filter(ended_at__isnull=True).exists()
        and not armed_reservations(charger, now=now)
        and not charger.evses.filter(told_status__in=["occupied", "charging"]).exists()
    )


def _waits_for(check: SettingsCheck) -> dict[str, object]:
    """What it was told and takes up with a restart, and its firmware then."""
    told = {key: answer for key, answer in check.answers.items() if answer["answer"] == "reboot_required"}
    return {
        "firmware": check.charger.firmware_version,
        "settings": {key: answer["wanted"] for key, answer in sorted(told.items())},
    }
