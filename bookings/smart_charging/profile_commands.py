"""What chargers are told of their power: profiles that differ from what stands, as far as they may be sent now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bookings.models import ChargingProfile
from bookings.models.power_schedules import PowerSchedule
from bookings.smart_charging.allocation import sendable
from bookings.smart_charging.demand import STANDBY_W
from bookings.smart_charging.depot_state import TX, TX_DEFAULT, DepotState, EvseState
from bookings.smart_charging.expiry import (
    LASTS,
    LEFT_FOR,
    RENEWED_BEFORE,
    expires_at,
    expiring,
    is_to_be_renewed,
    rises_at,
    rising,
)
from depots.charging_profile_forms import form_for, most_periods, payload_in
from depots.models import Charger, ChargerCommand
from depots.operations import queue_commands

Action = ChargerCommand.Action

# What the plan writes of a profile; an answer writes the rest (profile_answers), under the same lock of its row.
COLUMNS = {
    "transaction": "text", "wanted_w": "bigint", "serial": "bigint", "sent_w": "bigint", "sent_steps": "jsonb",
    "sent_at": "timestamptz", "unclear_w": "bigint", "unclear_steps": "jsonb", "accepted_w": "bigint",
    "accepted_steps": "jsonb", "accepted_at": "timestamptz", "verified_w": "bigint", "verified_at": "timestamptz",
}  # fmt: skip
# A charger that was not told by then is asked for anew; nobody waits for an answer longer.
SENT_WITHIN = timedelta(minutes=1)
LOST_AFTER = timedelta(minutes=3)
VERIFIED_FOR_S = 60
# A schedule by the clock began so long ago that it has begun by a slow one, too.
BEGUN_BEFORE = timedelta(minutes=10)


def tell(depot: DepotState, *, now: datetime) -> None:
    """Queue what may be sent now; rows say what is on its way. Their caller saves them (COLUMNS)."""
    limited = {evse_id for limit in depot.limits for evse_id in limit.feeds}
    tellable = [state for state in depot.states.values() if state.is_tellable]
    for state in tellable:
        _give_up_lost(state, now)
        _want(state, is_limited=state.evse_id in limited)
    counted = {evse_id: state.counted_w() for evse_id, state in depot.states.items()}
    wanted = {state.evse_id: _most_wanted(state) for state in tellable}
    higher = set(sendable(depot.limits, counted, wanted, urgency=lambda e: _urgency(depot.states[e])).higher)
    commands = []
    for state in tellable:
        for profile in (state.tx_default, state.tx):
            may_rise = state.evse_id in higher
            at_most = None if may_rise else counted[state.evse_id]
            schedule = _schedule(depot, state, profile, is_limited=state.evse_id in limited)
            if command := _command(state, profile, schedule, at_most):
                commands.append(command)
    queue_commands(commands, now=now)


def _give_up_lost(state: EvseState, now: datetime) -> None:
    """No answer came, and nobody asks again: it may stand or not."""
    for profile in (state.tx, state.tx_default):
        if profile.sent_at is not None and profile.sent_at <= now - LOST_AFTER:
            profile.doubt(profile.sent)
            profile.withdraw()


def _want(state: EvseState, *, is_limited: bool) -> None:
    """The limit of what runs, and of what may begin. Without a limit to keep only a booking's own session is told anything."""
    session, share = state.session, state.power.share_w
    assert state.evse.charger is not None
    takes_tx = session is not None and session.transaction and form_for(state.evse.charger, TX) is not None
    if session is not None and takes_tx and state.tx.transaction != session.transaction:
        _begin_transaction(state.tx, session.transaction)
    if session is None:
        state.tx.wanted_w = None
        state.tx_default.wanted_w = share if is_limited else None
        return
    is_told = is_limited or state.booking is not None or state.wished_w is not None
    state.tx.wanted_w = state.at_most_wished(share) if is_told and takes_tx else None
    if not is_limited:
        state.tx_default.wanted_w = None
    elif takes_tx:
        state.tx_default.wanted_w = min(STANDBY_W, share)
    else:  # it limits what runs by its default
        state.tx_default.wanted_w = share


def _begin_transaction(profile: ChargingProfile, transaction: str) -> None:
    profile.transaction = transaction
    profile.settle(None, None)
    profile.verified_w = profile.verified_at = None
    profile.serial += 1  # late answers are about another one


def _most_wanted(state: EvseState) -> int:
    wanted = [profile.wanted_w for profile in (state.tx, state.tx_default) if profile.wanted_w is not None]
    return max(wanted, default=state.counted_w())


def _schedule(
    depot: DepotState, state: EvseState, profile: ChargingProfile, *, is_limited: bool
) -> PowerSchedule | None:
    """What is wanted, and what becomes of it by itself where a limit binds, as far as the charger takes periods."""
    if profile.wanted_w is None:
        return None
    charger, margin = state.evse.charger, state.clock_margin
    if not is_limited or not state.can_expire or charger is None or margin is None:
        return PowerSchedule(profile.wanted_w)
    if state.can_rise and (found := _rising(state, profile, margin)):
        return found
    found = _expiring(depot, state, profile.wanted_w, margin)
    return PowerSchedule(found.watts, found.steps[: most_periods(charger) - 1])


def _rising(state: EvseState, profile: ChargingProfile, margin: timedelta) -> PowerSchedule | None:
    """Up to a promise whose vehicle leaves some of it, or whose slot is to begin here."""
    watts, booking, coming = profile.wanted_w or 0, state.booking, state.coming
    if profile.purpose == TX_DEFAULT:
        if state.session is not None or booking is not None or coming is None or coming.promised_w <= watts:
            return None
        return rising(
            watts, promised_w=min(coming.promised_w, state.evse.max_power_w),
            begins_at=rises_at(coming.starts_at, margin), ends_at=coming.ends_at, always_w=state.least_w,
        )  # fmt: skip
    if booking is None or state.is_short or watts >= state.promised_w:
        return None
    return rising(
        watts, promised_w=state.promised_w, begins_at=rises_at(state.now + LEFT_FOR, margin), ends_at=booking.ends_at,
        always_w=state.least_w,
    )  # fmt: skip


def _rises(schedule: PowerSchedule) -> bool:
    return bool(schedule.steps) and schedule.steps[0].watts > schedule.watts


def _expiring(depot: DepotState, state: EvseState, watts: int, margin: timedelta) -> PowerSchedule:
    booking = state.booking
    is_promised = booking is not None and state.now < booking.ends_at
    return expiring(
        watts,
        promised_w=state.promised_w,
        promise_ends_at=booking.ends_at if booking is not None and is_promised else None,
        always_w=state.least_w,
        ends_at=expires_at(depot.next_rise, margin, state.now),
    )


def _urgency(state: EvseState) -> tuple[bool, int]:
    """Promises first, then who has least."""
    is_short = state.counted_w() < state.power.promised_w
    return not is_short, state.counted_w()


def _command(
    state: EvseState, profile: ChargingProfile, wanted: PowerSchedule | None, at_most_w: int | None
) -> ChargerCommand | None:
    """The next thing to say about this profile; `at_most_w` is what the EVSE counts with anyway, None where it may rise."""
    charger = state.evse.charger
    assert charger is not None
    if wanted is None:
        return _clearing(profile, charger, state.now)
    is_risen = at_most_w is not None and wanted.watts > at_most_w
    if is_risen or not _is_news(state, profile, wanted):
        return _verifying(state, profile, charger, state.now)
    return _setting(state, profile, charger, wanted)


def _is_news(state: EvseState, profile: ChargingProfile, wanted: PowerSchedule) -> bool:
    if profile.sent_w is not None:
        return wanted.watts < profile.sent_w
    standing = state.standing(profile)
    if standing is None or profile.unclear_w is not None or wanted.watts != standing.watts_at(state.now):
        return True
    left = [step for step in standing.steps if step.at > state.now]
    if profile.purpose == TX_DEFAULT and (
        _rises(wanted) or _rises(PowerSchedule(standing.watts, tuple(left)))
    ):
        return left != list(wanted.steps)
    before = LASTS + RENEWED_BEFORE if _rises(wanted) else RENEWED_BEFORE
    return is_to_be_renewed(left, wanted.steps, evse_id=state.evse_id, now=state.now, before=before)


def _setting(
    state: EvseState, profile: ChargingProfile, charger: Charger, wanted: PowerSchedule
) -> ChargerCommand | None:
    form = form_for(charger, profile.purpose)
    if form is None:
        return None
    profile.serial += 1
    profile.send(wanted, state.now)
    payload = {
        "profile_id": profile.pk,
        "evse": state.evse.number,
        "purpose": profile.purpose,
        **_periods(wanted, state.now),
        "serial": profile.serial,
        **({"transaction": profile.transaction} if profile.purpose == TX else {}),
        **payload_in(form, state.evse),
    }
    return _queued(charger, Action.SET_CHARGING_PROFILE, payload, state.now)


def _periods(wanted: PowerSchedule, now: datetime) -> dict[str, Any]:
    """What changes does so by the clock, whenever the transaction began."""
    if not wanted.steps:
        return {"kind": "relative", "limits": [[0, wanted.watts]]}
    begins_at = now.replace(microsecond=0) - BEGUN_BEFORE
    steps = [[int((at - begins_at).total_seconds()), watts] for at, watts in wanted.steps]
    return {
        "kind": "absolute",
        "starts_at": begins_at.isoformat(),
        "limits": [[0, wanted.watts], *steps],
    }


def _clearing(profile: ChargingProfile, charger: Charger, now: datetime) -> ChargerCommand | None:
    """What stands and is wanted no more: a limit that was lifted, and what may have been kept of a transaction that is over."""
    standing = profile.accepted
    if standing is None or profile.sent_w is not None:
        return None
    profile.serial += 1
    # Until it is gone it stands; afterwards nothing of it does.
    profile.send(standing, now)
    return _queued(
        charger, Action.CLEAR_CHARGING_PROFILE, {"profile_id": profile.pk, "serial": profile.serial}, now
    )


def _verifying(
    state: EvseState, profile: ChargingProfile, charger: Charger, now: datetime
) -> ChargerCommand | None:
    """Once a transaction, whether the charger says itself what it was told."""
    is_told = profile.purpose == TX and profile.sent_w is None and state.standing_w(profile) is not None
    if not is_told or profile.verified_at is not None or charger.measured.get("composite_schedule") is False:
        return None
    form = form_for(charger, profile.purpose)
    profile.verified_at = now
    payload = {
        "profile_id": profile.pk,
        "evse": state.evse.number,
        "unit": form.unit if form else "W",
        "duration_s": VERIFIED_FOR_S,
        "transaction": profile.transaction,
    }
    return _queued(charger, Action.GET_COMPOSITE_SCHEDULE, payload, now)


def _queued(charger: Charger, action: str, payload: Mapping[str, Any], now: datetime) -> ChargerCommand:
    return ChargerCommand(
        charger=charger, action=action, payload=dict(payload), created_at=now, not_after=now + SENT_WITHIN
    )
