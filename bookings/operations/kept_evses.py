"""Keeping an EVSE ourselves whose charger keeps no reservation: out of service, or without power, and back again.

Each step is a row before the charger is told (`KeptEvse`), in the transaction that queues the command. The lock of a row
is that of its booking.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bookings.actors import ENFORCEMENT, Actor
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import ChangedMeanwhile, WrongStatus
from bookings.models import Booking, KeptEvse
from bookings.rules.content_version import version_of
from depots import operations as depots
from depots.charging_profile_forms import ProfileForm, forms_of, highest_level, payload_in
from depots.models import ChargerCommand, Evse, Fallback
from depots.periods import utc_text

Action = ChargerCommand.Action
State = KeptEvse.State

# How often a charger is told again that has not answered.
TELL_AGAIN = timedelta(minutes=1)
# A charger that has taken an EVSE back into service needs a moment before it starts a transaction there.
OPENS_WITHIN = timedelta(seconds=3)


def keep(booking: Booking, way: str, *, now: datetime) -> KeptEvse:
    """Have the charger keep the EVSE of a booking that is locked with it. What stood there for the one before it is taken
    over: there is nothing between the two."""
    evse = booking.evse
    assert evse is not None
    assert evse.charger is not None
    before = KeptEvse.objects.filter(evse=evse, way=way, over_at__isnull=True)
    before.update(state=State.OVER, why=KeptEvse.Why.TAKEN_OVER, over_at=now, next_try_at=None)
    kept = KeptEvse.objects.create(
        booking=booking, evse=evse, charger=evse.charger, number=evse.number, way=way, asked_at=now
    )
    Evse.objects.filter(pk=evse.pk).update(kept_for=booking.reservation_id)
    evse.kept_for = booking.reservation_id
    record(kept, "asked", now=now)
    tell(kept, now=now)
    return kept


def give_back(booking: Booking, why: str, *, now: datetime, actor: Actor = ENFORCEMENT) -> bool:
    """Have the charger give back what is kept for a locked booking; whether anything was."""
    standing = list(booking.kept_evses.filter(over_at__isnull=True, state__in=KeptEvse.KEEPING))
    for kept in standing:
        lift(kept, why, now=now, actor=actor)
    return bool(standing)


def give_back_by_hand(
    *, kept_id: int, seen_version: int | None = None, actor: Actor, now: datetime
) -> KeptEvse:
    """A manager opens an EVSE that is kept for a booking, which the gate alone guards from then on. Raises WrongStatus, or
    ChangedMeanwhile where it is in another state than was seen."""
    with calendars.one_operation():
        booking_id = KeptEvse.objects.values_list("booking", flat=True).get(pk=kept_id)
        booking = lock_booking(booking_id)
        kept = booking.kept_evses.select_related("charger").get(pk=kept_id)
        if not kept.is_keeping:
            raise WrongStatus(kept.state, State.LIFTING, "It was given back already.")
        if seen_version is not None and seen_version != version_of([kept.pk, kept.state]):
            raise ChangedMeanwhile("It has changed since you looked. Look again.")
        lift(kept, KeptEvse.Why.MANAGER, now=now, actor=actor)
        return kept


def lift(kept: KeptEvse, why: str, *, now: datetime, actor: Actor = ENFORCEMENT) -> None:
    kept.state, kept.why, kept.lifted_at = State.LIFTING, why, now
    kept.save(update_fields=["state", "why", "lifted_at"])
    if kept.booking.is_live:
        record(kept, why, now=now, actor=actor)
    tell(kept, now=now)


def tell(kept: KeptEvse, *, now: datetime) -> None:
    """Send what should stand, or that it should no more; asked for again until the charger has answered."""
    action, payload = _request(kept, now)
    depots.queue_command(
        charger=kept.charger,
        action=action,
        payload=payload,
        reservation_id=kept.booking_id,
        not_after=kept.booking.no_show_at() if kept.is_keeping else None,
        now=now,
    )
    kept.next_try_at = now + TELL_AGAIN
    kept.save(update_fields=["next_try_at"])


def close(kept: KeptEvse, *, why: str = "", now: datetime) -> None:
    """Nothing stands there for the booking any more. The EVSE is locked."""
    kept.state, kept.over_at, kept.next_try_at, kept.why = State.OVER, now, None, why or kept.why
    kept.save(update_fields=["state", "over_at", "next_try_at", "why"])
    others = KeptEvse.objects.filter(evse=kept.evse_id, over_at__isnull=True)
    if not others.exists():
        Evse.objects.filter(pk=kept.evse_id).update(kept_for=None)


def record(kept: KeptEvse, step: str, *, now: datetime, actor: Actor = ENFORCEMENT) -> None:
    """In the booking's history."""
    detail = {"way": kept.way, "evse": kept.evse.uid}
    lifecycle.record(kept.booking, kind="fallback", step=("", step), actor=actor, at=now, detail=detail)


def _request(kept: KeptEvse, now: datetime) -> tuple[str, dict[str, Any]]:
    if kept.way == Fallback.AVAILABILITY:
        return Action.AVAILABILITY, {"operative": not kept.is_keeping, "evse": kept.number}
    if not kept.is_keeping:
        return Action.CLEAR_CHARGING_PROFILE, {"profile_id": kept.profile_id}
    return Action.SET_CHARGING_PROFILE, {
        "profile_id": kept.profile_id,
        "evse": kept.number,
        "purpose": "tx_default",
        "kind": "absolute",
        "starts_at": utc_text(kept.asked_at),
        # It ends by itself where nobody can lift it.
        "valid_to": utc_text(kept.booking.starts_at),
        "limits": [[0, 0]],
        **payload_in(_form(kept), kept.evse),
    }


def _form(kept: KeptEvse) -> ProfileForm:
    """At the highest level: what is told of its power beside this is weaker until the slot begins."""
    return ProfileForm(forms_of(kept.charger)[0].unit, highest_level(kept.charger))
