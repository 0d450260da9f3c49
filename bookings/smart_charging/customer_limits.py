"""What customers wish of their sessions: set and lifted by them, kept within the depot's plan, told of when it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bookings.core import power_marks
from bookings.errors import ChargerCannot, ChargerOffline, NothingToLift, SessionOver
from bookings.models import ChargingProfile, SessionLimit
from bookings.models.power_schedules import PowerSchedule, Step
from bookings.signals import customer_limit_settled, given_power_changed
from bookings.smart_charging.depot_state import TX, EvseState
from depots.charging_profile_forms import form_for, was_seen
from depots.models import ChargingSession
from depots.queries import is_online


@dataclass(frozen=True)
class Wish:
    """`steps` in watts, the first with the moment from which it holds; `least_w` as the vehicle charges at least."""

    steps: Sequence[Step]
    ends_at: datetime | None = None
    least_w: int = 0


def limit_session(*, session_id: int, wish: Wish, now: datetime) -> SessionLimit:
    """Have a session take no more than its customer wishes, in place of what was wished before. Whether its charger keeps it
    comes with customer_limit_settled. Raises SessionOver, ChargerOffline, ChargerCannot."""
    with transaction.atomic():
        session = _running(session_id)
        why_not_limited(session, now=now)
        return _wish(session, wish, now)


def lift_session_limit(*, session_id: int, now: datetime) -> SessionLimit:
    """Nothing is wished any more. Raises NothingToLift, SessionOver, ChargerOffline."""
    with transaction.atomic():
        session = _running(session_id)
        if not is_online(session.charger, now=now):
            raise ChargerOffline
        known = SessionLimit.objects.filter(session=session).first()
        if known is None or not known.steps:
            raise NothingToLift
        return _wish(session, Wish([]), now)


def drop_limit(*, session_id: int, serial: int, now: datetime) -> None:
    """The customer hears that the wish of this number is not kept: nothing of it stands. A later one does."""
    with transaction.atomic():
        rows = SessionLimit.objects.select_for_update(no_key=True, of=("self",))
        awaited = rows.filter(session=session_id, serial=serial, is_awaited=True)
        limit = awaited.select_related("session__charger").first()
        if limit is not None:
            limit.wish([], None, 0)
            limit.is_awaited = False
            limit.save()
            power_marks.mark_depot(limit.session.charger.depot_id, due_at=now)


def why_not_limited(session: ChargingSession, *, now: datetime) -> None:
    """Raises ChargerOffline, ChargerCannot."""
    if not is_online(session.charger, now=now):
        raise ChargerOffline
    if not _can_be_limited(session):
        raise ChargerCannot("The charger takes no limits of power.")


def given_limits(
    sessions: Collection[ChargingSession], *, lasts: timedelta, now: datetime
) -> dict[int, list[tuple[int, int]]]:
    """What sessions, each at an EVSE, may take for a while, as [(seconds from now, watts)…] by session id: what stands at their
    chargers, and what their customers wish later. Where nothing stands the EVSE's maximum. Two queries."""
    limits = SessionLimit.objects.in_bulk([session.pk for session in sessions])
    rows = ChargingProfile.objects.filter(purpose=TX, evse__in={session.evse_id for session in sessions})
    profiles = {(row.evse_id, row.transaction): row for row in rows}
    return {
        session.pk: _given(session, profiles.get((session.evse_id or 0, session.transaction)), limits.get(session.pk), lasts, now)
        for session in sessions
    }  # fmt: skip


def _given(
    session: ChargingSession, profile: ChargingProfile | None, limit: SessionLimit | None, lasts: timedelta, now: datetime
) -> list[tuple[int, int]]:  # fmt: skip
    assert session.evse is not None
    most = session.evse.max_power_w
    standing: PowerSchedule | None = profile.standing(session.charger) if profile is not None else None
    given = most if standing is None else min(standing.watts_at(now), most)
    found = [(0, given)]
    if limit is None:
        return found
    wished = limit.watts_at(now)
    is_wish_that_binds = wished is not None and given >= min(wished, most)
    for at in limit.changes(now):
        seconds = int((at - now).total_seconds())
        if seconds >= lasts.total_seconds():
            break
        most_then, wished_then = most if is_wish_that_binds else given, limit.watts_at(at)
        watts = most_then if wished_then is None else min(most_then, wished_then)
        if watts != found[-1][1]:
            found.append((seconds, watts))
    return found


def follow(states: Iterable[EvseState], *, now: datetime) -> None:
    """After a plan: what customers wait for is known where nothing is on its way, and what is given may be another amount."""
    changed = []
    for state in states:
        if state.customer_limit is None or state.session is None:
            continue
        if state.customer_limit.is_awaited:
            _settle(state, state.customer_limit, now)
        if state.customer_limit.was_kept and _is_given_anew(state, state.customer_limit):
            changed.append(state.session.pk)
    if changed:
        given_power_changed.send(sender=SessionLimit, session_ids=changed, at=now)


def _running(session_id: int) -> ChargingSession:
    """Raises SessionOver."""
    rows = ChargingSession.objects.select_related("charger", "evse")
    session = rows.get(pk=session_id)
    if session.ended_at is not None or session.evse is None:
        raise SessionOver
    return session


def _wish(session: ChargingSession, wish: Wish, now: datetime) -> SessionLimit:
    SessionLimit.objects.bulk_create([SessionLimit(session=session)], ignore_conflicts=True)
    limit = SessionLimit.objects.select_for_update(no_key=True).get(session=session)
    limit.wish(wish.steps, wish.ends_at, wish.least_w)
    limit.save()
    power_marks.mark_depot(session.charger.depot_id, due_at=now)
    return limit


def _can_be_limited(session: ChargingSession) -> bool:
    charger = session.charger
    takes_it = bool(session.transaction) and form_for(charger, TX) is not None
    return takes_it and not was_seen(charger, "ignores")


def _settle(state: EvseState, limit: SessionLimit, now: datetime) -> None:
    """Whoever wished something else meanwhile waits for that."""
    assert state.session is not None
    is_kept = _is_kept(state)
    if is_kept is None:
        return
    asked = SessionLimit.objects.filter(pk=limit.pk, serial=limit.serial, is_awaited=True)
    told: dict[str, Any] = {"was_kept": True} if is_kept else {"steps": [], "ends_at": None, "least_w": 0}
    if not asked.update(is_awaited=False, **told):
        return
    limit.is_awaited = False
    limit.was_kept = limit.was_kept or is_kept
    if not is_kept:
        power_marks.mark_depot(state.evse.depot_id, due_at=now)
    customer_limit_settled.send(sender=SessionLimit, session_id=limit.pk, is_kept=is_kept, at=now)


def _is_kept(state: EvseState) -> bool | None:
    """None as long as an answer is awaited."""
    charger, wished = state.evse.charger, state.wished_w
    if wished is not None and (charger is None or state.ignores_profiles or form_for(charger, TX) is None):
        return False
    if state.tx.on_its_way() is not None:
        return None
    standing = state.standing_w(state.tx)
    if wished is None:
        return True
    return True if standing is not None and standing <= wished else None


def _is_given_anew(state: EvseState, limit: SessionLimit) -> bool:
    if state.tx.on_its_way() is not None:
        return False
    standing = state.standing_w(state.tx)
    given = state.evse.max_power_w if standing is None else standing
    if given == limit.given_w:
        return False
    SessionLimit.objects.filter(pk=limit.pk).update(given_w=given)
    return True
