"""ChargingProfiles between OCPI and our words: tables and pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bookings.models.power_schedules import Step
from bookings.smart_charging import Wish
from depots.charging_profile_forms import watts_per_ampere
from depots.models import ChargingSession
from roaming.commands.received import CommandRefused
from roaming.commands.told import ToldActiveProfile, ToldResponse, ToldResult
from roaming.models import ReceivedCommand
from roaming.ocpi.times import read_time
from roaming.ocpi.v2_3_0.charging_profiles.schemas import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfile,
    ChargingProfilePeriod,
    ChargingProfileResponse,
    ChargingProfileResponseType,
    ChargingProfileResult,
    ChargingProfileResultType,
    ChargingRateUnit,
)
from roaming.ocpi.wire_object import UnreadableError

Result = ReceivedCommand.Result
RESULT: dict[Result, ChargingProfileResultType] = {
    Result.ACCEPTED: ChargingProfileResultType.ACCEPTED,
    Result.NO_LIMIT: ChargingProfileResultType.UNKNOWN,
}  # all else is REJECTED
RESPONSE_WORDS = {
    ChargingProfileResponseType.REJECTED: "It refuses.",
    ChargingProfileResponseType.NOT_SUPPORTED: "It does not offer this.",
    ChargingProfileResponseType.TOO_OFTEN: "It was asked too often.",
    ChargingProfileResponseType.UNKNOWN_SESSION: "It does not know the session.",
}
RESULT_WORDS = {
    ChargingProfileResultType.REJECTED: "The charger refused.",
    ChargingProfileResultType.UNKNOWN: "The charger had no limit of this kind.",
}
# No session lasts so long; what ends later does not end.
LONGEST_S = 10 * 365 * 24 * 3600


def wish_in(profile: ChargingProfile, session: ChargingSession) -> Wish:
    """What a profile wants of a session. Raises CommandRefused for one that cannot be meant, or not be said in watts."""
    periods = sorted(profile.charging_profile_period, key=lambda period: period.start_period)
    starts = [period.start_period for period in periods]
    if not periods:
        raise CommandRefused("charging_profile_period: a profile without periods limits nothing.")
    if len(set(starts)) < len(starts):
        raise CommandRefused("charging_profile_period: two periods begin at once.")
    unit_w = _unit_w(profile, session)
    begins_at = profile.start_date_time or session.started_at
    ends_at = None
    if profile.duration is not None and profile.duration < LONGEST_S:
        ends_at = begins_at + timedelta(seconds=profile.duration)
    steps = [
        Step(begins_at + timedelta(seconds=period.start_period), int(period.limit * unit_w))
        for period in periods
        if period.start_period < LONGEST_S
    ]
    return Wish(steps, ends_at, int((profile.min_charging_rate or 0) * unit_w))


def _unit_w(profile: ChargingProfile, session: ChargingSession) -> int:
    """Raises CommandRefused."""
    if profile.charging_rate_unit == ChargingRateUnit.W:
        return 1
    watts = watts_per_ampere(session.evse) if session.evse is not None else None
    if watts is None:
        raise CommandRefused("charging_rate_unit: at a DC plug amperes say nothing of power; say W.")
    return watts


def response_out(result: ChargingProfileResponseType, timeout_s: int) -> ChargingProfileResponse:
    return ChargingProfileResponse(result=result, timeout=timeout_s)


def result_out(received: ReceivedCommand) -> ChargingProfileResult:
    result = RESULT.get(Result(received.result), ChargingProfileResultType.REJECTED)
    if received.kind != ReceivedCommand.Kind.SHOW_LIMIT:
        return ChargingProfileResult(result=result)
    report = received.report
    if result != ChargingProfileResultType.ACCEPTED:
        return ActiveChargingProfileResult(result=result)
    shown = active_out(report["limits"], read_time(report["starts_at"]), timedelta(seconds=report["lasts_s"]))
    return ActiveChargingProfileResult(result=result, profile=shown)


def active_out(limits: Sequence[tuple[int, int]], at: datetime, lasts: timedelta) -> ActiveChargingProfile:
    """`limits` in seconds from `at` and watts."""
    return ActiveChargingProfile(start_date_time=at, charging_profile=_profile(limits, at, lasts))


def limit_out(watts: int, now: datetime) -> ChargingProfile:
    """From now on, to the end of the session."""
    return _profile([(0, watts)], now, None)


def _profile(limits: Sequence[tuple[int, int]], at: datetime, lasts: timedelta | None) -> ChargingProfile:
    return ChargingProfile(
        start_date_time=at,
        duration=int(lasts.total_seconds()) if lasts is not None else None,
        charging_rate_unit=ChargingRateUnit.W,
        charging_profile_period=[
            ChargingProfilePeriod(start_period=second, limit=watts) for second, watts in limits
        ],
    )


def response_in(told: ChargingProfileResponse) -> ToldResponse:
    is_taken = told.result == ChargingProfileResponseType.ACCEPTED
    return ToldResponse(
        is_taken, timedelta(seconds=told.timeout), "" if is_taken else RESPONSE_WORDS[told.result]
    )


def result_in(told: ChargingProfileResult) -> ToldResult:
    is_done = told.result == ChargingProfileResultType.ACCEPTED
    active = getattr(told, "profile", None)
    words = "" if is_done else RESULT_WORDS[told.result]
    return ToldResult(is_done, words, active_in(active) if active is not None else None)


def active_in(told: ActiveChargingProfile) -> ToldActiveProfile:
    """In its own unit: it does not say how many phases a partner's EVSE has. Raises UnreadableError for times nobody means."""
    periods = sorted(told.charging_profile.charging_profile_period, key=lambda period: period.start_period)
    if periods and periods[-1].start_period > LONGEST_S:
        raise UnreadableError("charging_profile.charging_profile_period", "begins in years")
    return ToldActiveProfile(
        starts_at=told.start_date_time,
        unit=told.charging_profile.charging_rate_unit.value,
        limits=[(period.start_period, period.limit) for period in periods],
    )
