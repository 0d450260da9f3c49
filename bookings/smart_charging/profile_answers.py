"""What chargers answer to the limits they are told, and what their meters say of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from bookings.core import power_marks
from bookings.models import ChargingProfile
from bookings.models.power_schedules import PowerSchedule, Step
from depots import operations as depots
from depots.charging_profile_forms import (
    PHASE_VOLTS,
    ProfileForm,
    after_acceptance,
    after_rejection,
    has_one_level,
)
from depots.models import ChargerCommand, ChargingSession

Action = ChargerCommand.Action
State = ChargerCommand.State
OF_PROFILES = {Action.SET_CHARGING_PROFILE, Action.CLEAR_CHARGING_PROFILE, Action.GET_COMPOSITE_SCHEDULE}
# A schedule may be told in whole amperes.
TOLERANCE = 1.05
TOLERANCE_W = 1000


def take_profile_answer(command: ChargerCommand, *, now: datetime) -> None:
    """An answer about a charging profile of ours, in the transaction that settles it: the row says what stands now, and the depot
    is planned anew. Commands that somebody gave by hand are about none of our rows."""
    if command.action not in OF_PROFILES or "profile_id" not in command.payload:
        return
    rows = ChargingProfile.objects.select_for_update(no_key=True, of=("self",)).select_related("evse")
    profile = rows.filter(pk=command.payload["profile_id"], evse__charger=command.charger_id).first()
    if profile is None:
        _doubt_defaults(command, now)
        return
    if command.action == Action.GET_COMPOSITE_SCHEDULE:
        _take_schedule(profile, command, now)
    elif command.payload.get("serial") is not None:
        _take_answer(profile, command, now)
    profile.save()
    power_marks.mark_depot(profile.evse.depot_id, due_at=now, is_urgent=False)


def _doubt_defaults(command: ChargerCommand, now: datetime) -> None:
    """Somebody else's profile: where there is one level it has taken the place of ours."""
    if command.action == Action.GET_COMPOSITE_SCHEDULE or not has_one_level(command.charger):
        return
    ours = ChargingProfile.objects.filter(
        evse__charger=command.charger_id, purpose=ChargingProfile.Purpose.TX_DEFAULT
    )
    if ours.update(accepted_w=None, accepted_at=None):
        power_marks.mark_depot(command.charger.depot_id, due_at=now, is_urgent=False)


def _take_answer(profile: ChargingProfile, command: ChargerCommand, now: datetime) -> None:
    """Of one profile the commands are carried out in their order, so that what was accepted stands until a later one is."""
    is_last = command.payload["serial"] == profile.serial
    is_of_another = command.payload.get("transaction", profile.transaction) != profile.transaction
    if is_of_another:
        return
    if command.state == State.UNCLEAR:
        profile.doubt(_told(command, profile))
    elif _is_done(command):
        _settle(profile, command, now, is_last=is_last)
    elif is_last:
        profile.withdraw()
        if command.state == State.ANSWERED and command.answer == "error":
            profile.doubt(_told(command, profile))
        elif command.state == State.ANSWERED:
            _remember_rejection(profile, command, now)


def _is_done(command: ChargerCommand) -> bool:
    done = {"accepted", "unknown"} if command.action == Action.CLEAR_CHARGING_PROFILE else {"accepted"}
    return command.state == State.ANSWERED and command.answer in done


def _settle(profile: ChargingProfile, command: ChargerCommand, now: datetime, *, is_last: bool) -> None:
    is_cleared = command.action == Action.CLEAR_CHARGING_PROFILE
    told = None if is_cleared else _told(command, profile)
    if is_last:
        profile.settle(told, now)
    else:
        profile.accept(told, now)
    if is_cleared and is_last and profile.purpose == ChargingProfile.Purpose.TX:
        profile.transaction = ""
    if not is_cleared:
        _remember_acceptance(profile, command, now)


def _remember_acceptance(profile: ChargingProfile, command: ChargerCommand, now: datetime) -> None:
    seen = after_acceptance(command.charger, profile.purpose)
    if command.charger.measured.get("profiles") is None:
        seen |= {"profiles": "works", "profiles_at": now.isoformat()}
    if seen:
        depots.record_measured(charger_id=command.charger_id, **seen)


def _told(command: ChargerCommand, profile: ChargingProfile) -> PowerSchedule | None:
    limits, begins = command.payload.get("limits"), command.payload.get("starts_at")
    if not limits:
        return profile.accepted
    steps: tuple[Step, ...] = ()
    if begins is not None:
        begins_at = datetime.fromisoformat(begins)
        steps = tuple(Step(begins_at + timedelta(seconds=second), watts) for second, watts in limits[1:])
    return PowerSchedule(int(limits[0][1]), steps)


def _remember_rejection(profile: ChargingProfile, command: ChargerCommand, now: datetime) -> None:
    """Its next way of taking profiles is tried; a charger that knows none of them is not asked again."""
    if command.action != Action.SET_CHARGING_PROFILE:
        profile.accept(None, None)  # what cannot be cleared is not there, or not ours to know
        return
    if command.answer == "not_supported":
        depots.record_measured(charger_id=command.charger_id, profiles="refuses", profiles_at=now.isoformat())
        return
    if profile.purpose == ChargingProfile.Purpose.TX and not _still_runs(profile):
        return
    form = ProfileForm(command.payload["unit"], command.payload["stack_level"])
    periods = len(command.payload["limits"])
    if seen := after_rejection(command.charger, profile.purpose, form, periods=periods, now=now):
        depots.record_measured(charger_id=command.charger_id, **seen)


def _still_runs(profile: ChargingProfile) -> bool:
    return ChargingSession.objects.filter(
        evse=profile.evse_id, transaction=profile.transaction, ended_at__isnull=True
    ).exists()


def _take_schedule(profile: ChargingProfile, command: ChargerCommand, now: datetime) -> None:
    """What it says is in force. More than it was told: it does not keep to it."""
    if command.payload.get("transaction") != profile.transaction or command.state != State.ANSWERED:
        return
    if command.answer != "accepted":
        depots.record_measured(charger_id=command.charger_id, composite_schedule=False)
        return
    told = next((watts for _, watts in read_schedule(command.answer_text)), None)
    profile.verified_w, profile.verified_at = told, now
    if told is not None and profile.accepted_w is not None and exceeds(told, profile.accepted_w):
        depots.record_measured(charger_id=command.charger_id, profiles="ignores", profiles_at=now.isoformat())


def exceeds(seen_w: int, allowed_w: int) -> bool:
    return seen_w > allowed_w * TOLERANCE + TOLERANCE_W


def read_schedule(text: str) -> list[tuple[int, int]]:
    """What a charger says is in force (the answer to `get_composite_schedule`), as [(seconds from now, watts)…]."""
    told: Any = json.loads(text) if text else None
    if not told:
        return []
    return [
        (second, round(limit if told["unit"] == "W" else limit * PHASE_VOLTS * (phases or 3)))
        for second, limit, phases in told["periods"]
    ]
