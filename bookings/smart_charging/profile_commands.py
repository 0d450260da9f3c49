"""What chargers are told of their power: profiles that differ from what stands, as far as they may be sent now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bookings.models import PowerProfile
from bookings.smart_charging.allocation import sendable
from bookings.smart_charging.depot_state import TX, DepotState, EvseState
from bookings.smart_charging.wishes import STANDBY_W
from depots.models import Charger, ChargerCommand
from depots.operations import queue_commands
from depots.profile_forms import form_for, payload_in

Action = ChargerCommand.Action

# What the plan writes of a profile; an answer writes the rest (profile_answers), under the same lock of its row.
COLUMNS = [
    "transaction", "wanted_w", "serial", "sent_w", "sent_at", "unclear_w", "accepted_w", "accepted_at", "verified_w",
    "verified_at",
]  # fmt: skip
# A charger that was not told by then is asked for anew; nobody waits for an answer longer.
SENT_WITHIN = timedelta(minutes=1)
LOST_AFTER = timedelta(minutes=3)
VERIFIED_FOR_S = 60


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
            if command := _command(state, profile, None if may_rise else counted[state.evse_id], now):
                commands.append(command)
    queue_commands(commands, now=now)


def _give_up_lost(state: EvseState, now: datetime) -> None:
    """No answer came, and nobody asks again: it may stand or not."""
    for profile in (state.tx, state.tx_default):
        if profile.sent_at is not None and profile.sent_at <= now - LOST_AFTER:
            profile.unclear_w = profile.on_its_way_w()
            profile.sent_w = profile.sent_at = None


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
    is_told = is_limited or state.booking is not None
    state.tx.wanted_w = share if is_told and takes_tx else None
    if not is_limited:
        state.tx_default.wanted_w = None
    elif takes_tx:
        state.tx_default.wanted_w = min(STANDBY_W, share)
    else:  # it limits what runs by its default
        state.tx_default.wanted_w = share


def _begin_transaction(profile: PowerProfile, transaction: str) -> None:
    profile.transaction = transaction
    profile.sent_w = profile.sent_at = profile.unclear_w = None
    profile.accepted_w = profile.accepted_at = profile.verified_w = profile.verified_at = None
    profile.serial += 1  # late answers are about another one


def _most_wanted(state: EvseState) -> int:
    wanted = [profile.wanted_w for profile in (state.tx, state.tx_default) if profile.wanted_w is not None]
    return max(wanted, default=state.counted_w())


def _urgency(state: EvseState) -> tuple[bool, int]:
    """Promises first, then who has least."""
    is_short = state.counted_w() < state.power.floor_w
    return not is_short, state.counted_w()


def _command(
    state: EvseState, profile: PowerProfile, at_most_w: int | None, now: datetime
) -> ChargerCommand | None:
    """The next thing to say about this profile; `at_most_w` is what the EVSE counts with anyway, None where it may rise."""
    charger = state.evse.charger
    assert charger is not None
    wanted = profile.wanted_w
    if wanted is None:
        return _clearing(state, profile, charger, now)
    if profile.sent_w is not None:
        is_changed = wanted < profile.sent_w
    else:
        is_changed = wanted != state.standing_w(profile) or profile.unclear_w is not None
    if not is_changed or (at_most_w is not None and wanted > at_most_w):
        return _verifying(state, profile, charger, now)
    return _setting(state, profile, charger, wanted, now)


def _setting(
    state: EvseState, profile: PowerProfile, charger: Charger, watts: int, now: datetime
) -> ChargerCommand | None:
    form = form_for(charger, profile.purpose)
    if form is None:
        return None
    if profile.sent_w is not None:
        profile.unclear_w = profile.on_its_way_w()
    profile.serial += 1
    profile.sent_w, profile.sent_at = watts, now
    payload = {
        "profile_id": profile.pk,
        "evse": state.evse.number,
        "purpose": profile.purpose,
        "kind": "relative",
        "limits": [[0, watts]],
        "serial": profile.serial,
        **({"transaction": profile.transaction} if profile.purpose == TX else {}),
        **payload_in(form, state.evse),
    }
    return _queued(charger, Action.SET_CHARGING_PROFILE, payload, now)


def _clearing(
    state: EvseState, profile: PowerProfile, charger: Charger, now: datetime
) -> ChargerCommand | None:
    """What stands and is wanted no more: a limit that was lifted, and what may have been kept of a transaction that is over."""
    if profile.accepted_w is None or profile.sent_w is not None:
        return None
    profile.serial += 1
    # Until it is gone it stands; afterwards nothing of it does.
    profile.sent_w, profile.sent_at = profile.accepted_w, now
    return _queued(
        charger, Action.CLEAR_CHARGING_PROFILE, {"profile_id": profile.pk, "serial": profile.serial}, now
    )


def _verifying(
    state: EvseState, profile: PowerProfile, charger: Charger, now: datetime
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
