"""What a person does about a partner. Each leaves an event; what was shown has a version, and one that is old changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.errors import ChangedMeanwhile
from bookings.rules.content_version import version_of
from roaming import deviations
from roaming.mirror import reservable_evses
from roaming.mirror.reservable_evses import is_best_effort
from roaming.models import Delivery, Partner, PartnerEvent, PartnerObject, PartnerPull
from roaming.outbound import pull_plan
from roaming.outbound.doubts import doubted
from roaming.outbound.waking import wake_sender
from roaming.registration import resume
from roaming.switches import SWITCHES

Kind = PartnerEvent.Kind
LONGEST_NOTES = 5_000


@dataclass(frozen=True)
class Act:
    """Who does it, to which partner, when, and the version of what was shown to them."""

    partner_id: int
    by: str
    seen_version: int
    now: datetime


def sending_version(partner: Partner) -> int:
    return version_of([partner.pk, partner.paused_at, partner.state])


def circuit_version(partner: Partner) -> int:
    """Of what "try now" shows: whether it is left alone at the moment."""
    return version_of([partner.pk, partner.paused_at, partner.closed_until])


def switches_version(partner: Partner) -> int:
    return version_of(["switches", partner.pk, partner.switches])


def notes_version(partner: Partner) -> int:
    return version_of(["notes", partner.pk, partner.notes])


def delivery_version(row: Delivery) -> int:
    return version_of([row.pk, row.wanted_version, row.delivered_version, row.next_try_at is None])


def unmatched_version(row: PartnerObject) -> int:
    return version_of([row.pk, row.received_at, row.set_aside_at, row.is_unmatched])


def deviations_version(partner: Partner) -> int:
    """A count that goes on is no other list; a rule more or less is."""
    rules = partner.deviations_seen.order_by("code", "rule").values_list("code", "rule")
    return version_of([partner.pk, [list(one) for one in rules]])


def pause(act: Act) -> Partner:
    """Nothing is pushed to it and none of its lists is read until somebody resumes; what it asks of us is answered. What waits is
    kept, and goes out as it is then. Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, sending_version)
        partner.paused_at = act.now
        partner.save(update_fields=["paused_at"])
        note(act, Kind.PAUSED)
    return partner


def resume_sending(act: Act) -> Partner:
    """All that waited is due. Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, sending_version)
        partner.paused_at = None
        partner.save(update_fields=["paused_at"])
        resume(partner, now=act.now)
        note(act, Kind.RESUMED)
    return partner


def try_now(act: Act) -> Partner:
    """Whatever waits is tried at once, and its lists that are late are read, however often it failed. Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, circuit_version)
        resume(partner, now=act.now)
        late = PartnerPull.objects.filter(partner=partner, next_at__isnull=False, failures__gt=0)
        late.update(next_at=act.now)
        note(act, Kind.TRIED)
    return partner


def try_delivery_now(act: Act, delivery_id: int) -> Delivery:
    """One object of those that wait. Raises ChangedMeanwhile."""
    with transaction.atomic():
        row = _delivery(act, delivery_id)
        if row.next_try_at is None:
            raise ChangedMeanwhile("It has been delivered meanwhile.")
        row.next_try_at = act.now
        row.save(update_fields=["next_try_at"])
        note(act, Kind.TRIED, f"{row.get_kind_display()} {row.object_id}")
        wake_sender()
    return row


def send_again(act: Act, delivery_id: int) -> Delivery:
    """The object as it is now, whatever the partner has got of it: a stored message is never sent. Raises ChangedMeanwhile.

    An ask of ours is not repeated: it is answered once, or looked for in the partner's list.
    """
    with transaction.atomic():
        row = _delivery(act, delivery_id)
        if row.kind == Delivery.Kind.REQUEST:
            raise ChangedMeanwhile("An ask is not sent again: the booking shows what came of it.")
        row.delivered = doubted(row.delivered) if row.delivered else None
        row.delivered_version, row.next_try_at, row.attempts, row.was_refused = 0, act.now, 0, False
        row.save(update_fields=["delivered", "delivered_version", "next_try_at", "attempts", "was_refused"])
        note(act, Kind.SENT_AGAIN, f"{row.get_kind_display()} {row.object_id}")
        wake_sender()
    return row


def set_switches(act: Act, chosen: Mapping[str, Any]) -> Partner:
    """All switches as they shall be; one at its default is not kept. Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, switches_version)
        kept = {name: value for name, value in chosen.items() if value != SWITCHES[name].value}
        unknown = {name: value for name, value in partner.switches.items() if name not in SWITCHES}
        changes = [
            f"{name}: {_value(partner, name)} to {chosen[name]}"
            for name in SWITCHES
            if name in chosen and chosen[name] != _value(partner, name)
        ]
        partner.switches = {**unknown, **kept}
        partner.save(update_fields=["switches"])
        if changes:
            note(act, Kind.SWITCHED, "; ".join(changes))
        if any(change.startswith("reserve_now:") for change in changes):
            _follow_reserve_now(partner, act.now)
    return partner


def _follow_reserve_now(partner: Partner, now: datetime) -> None:
    """What can be reserved stands in its list of depots."""
    if is_best_effort(partner):
        pull_plan.read_all_again(partner, now=now)
        wake_sender()
    else:
        reservable_evses.withdraw(partner)


def write_notes(act: Act, notes: str) -> Partner:
    """Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, notes_version)
        partner.notes = notes[:LONGEST_NOTES]
        partner.save(update_fields=["notes"])
        note(act, Kind.NOTED)
    return partner


def set_aside(act: Act, object_id: int) -> PartnerObject:
    """Somebody has looked at a booking nobody asked for: it alarms nobody until the partner tells it anew. Raises
    ChangedMeanwhile."""
    with transaction.atomic():
        row = PartnerObject.objects.select_for_update(no_key=True).get(pk=object_id, partner=act.partner_id)
        if unmatched_version(row) != act.seen_version:
            raise ChangedMeanwhile("The partner has told this booking anew meanwhile.")
        row.set_aside_at = act.now
        row.save(update_fields=["set_aside_at"])
        note(act, Kind.SET_ASIDE, row.key)
    return row


def clear_deviations(act: Act) -> int:
    """Count anew, after the partner was told: what comes again is new. Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, deviations_version)
        number = deviations.forget(partner)
        note(act, Kind.CLEARED, f"{number} rules")
    return number


def locked_for(act: Act, version: Callable[[Partner], int]) -> Partner:
    """The partner, locked, as it was shown. Raises ChangedMeanwhile. Needs a transaction."""
    rows = Partner.objects.select_for_update(no_key=True, of=("self",)).select_related("organisation")
    partner = rows.get(pk=act.partner_id)
    if version(partner) != act.seen_version:
        raise ChangedMeanwhile("This partner has been changed by somebody else meanwhile.")
    return partner


def _delivery(act: Act, delivery_id: int) -> Delivery:
    row = Delivery.objects.select_for_update(no_key=True).get(pk=delivery_id, partner=act.partner_id)
    if delivery_version(row) != act.seen_version:
        raise ChangedMeanwhile("This object has been sent or changed meanwhile.")
    return row


def _value(partner: Partner, name: str) -> Any:
    return partner.switches.get(name, SWITCHES[name].value)


def note(act: Act, kind: PartnerEvent.Kind, told: str = "") -> None:
    """That somebody did it."""
    PartnerEvent.objects.create(
        partner_id=act.partner_id, at=act.now, kind=kind, by=act.by[:120], told=told[:500]
    )
    deviations.tell_of(act.partner_id)
