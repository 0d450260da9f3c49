"""Of which kinds of news an event is, and what their words are filled with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bookings.actors import TELEMATICS, ActorKind
from bookings.models import Booking, BookingEvent, BookingStatus, Enforcement, Occurrence
from bookings.notifications.kinds import DEPOT, FLEET, KINDS
from bookings.operations.counter_offer import NOT_TAKEN
from bookings.rules.terms import Overstay
from depots.periods import utc_text


@dataclass(frozen=True)
class News:
    """One thing to be told to the people of one organisation; who did it themselves is not told."""

    kind: str
    organisation_id: int
    at: datetime
    params: dict[str, Any] = field(default_factory=dict)
    link: str = ""
    booking_id: int | None = None
    actor_name: str = ""


def news_of(event: BookingEvent, booking: Booking, *, heard: tuple[str, str] | None = None) -> Iterator[News]:
    """What people of its fleet and of its depot are to hear of this; networks that are partners hear by their protocol.
    `heard` is what they know of how the slot is kept: the state and why."""
    for kind in _kinds(event, booking, heard):
        side = KINDS[kind].side
        organisation = booking.fleet if side == FLEET else booking.depot.operator
        if organisation.is_partner or (side == DEPOT and booking.depot.is_mirror):
            continue
        is_person = event.actor.is_person
        params = params_of(booking, event)
        if kind in OVER_BY and heard and heard[0] == Enforcement.AT_RISK:
            params["was_at_risk"] = True
        yield News(
            kind, organisation.pk, event.at, params, booking.get_absolute_url(), booking.pk,
            event.actor_name if is_person else "",
        )  # fmt: skip


def news_of_occurrence(occurrence: Occurrence) -> News:
    return News(
        occurrence.kind, occurrence.organisation_id, occurrence.at, occurrence.params, occurrence.link,
        occurrence.booking_id, occurrence.actor_name,
    )  # fmt: skip


def params_of(booking: Booking, event: BookingEvent | None = None) -> dict[str, Any]:
    """The booking as it is now, and what the event says of before; moments as UTC text."""
    depot = booking.depot
    found: dict[str, Any] = {
        "reference": booking.reference,
        "plate": booking.vehicle.plate if booking.vehicle else booking.plate,
        "fleet": booking.fleet.name,
        "depot": depot.name,
        "zone": depot.time_zone,
        "evse": booking.evse.uid if booking.evse else "",
        "starts_at": utc_text(booking.starts_at),
        "ends_at": utc_text(booking.ends_at),
    }
    if event is None:
        return found
    stop = _stop_of(booking) if event.kind in {"ending", "overstay"} else {}
    return found | _told_by(event) | stop


def _told_by(event: BookingEvent) -> dict[str, Any]:
    detail = event.detail
    found = {
        name: detail[name] for name in ("reason", "note", "limit_kw", "why", "waived") if detail.get(name)
    }
    before, after = detail.get("before"), detail.get("after")
    if isinstance(offer := detail.get("until"), str) and event.kind == "offered":
        found["until"] = offer
        found["is_last"] = bool(detail.get("cancels"))
        found |= (
            {"offered": after["period"], "offered_evse": after["evse"]} if isinstance(after, dict) else {}
        )
    elif isinstance(before, dict) and isinstance(after, dict):
        found["changed"] = sorted(name for name in after if after[name] != before.get(name))
        found["before"] = {name: before[name] for name in ("period", "evse") if before.get(name)}
    if event.kind == "power_limited" and "expected_w" in detail:
        found["power"] = {name: detail[name] for name in ("period", "limit_w", "expected_w", "promised_w")}
    return found


def _stop_of(booking: Booking) -> dict[str, Any]:
    """When its charger is told to stop who stays, by its terms."""
    patience = booking.terms.stop_after
    if patience is None:
        return {}
    stops_at = utc_text(booking.ends_at + patience)
    return {"stops_at": stops_at, "is_for_next": booking.terms.overstay == Overstay.STOP_FOR_NEXT}


def _kinds(event: BookingEvent, booking: Booking, heard: tuple[str, str] | None) -> Iterator[str]:
    if event.kind == "status":
        yield from _of_status(event, booking)
    elif event.kind == "enforcement":
        yield from _of_enforcement(event, heard)
    elif event.kind == "changed":
        yield from _of_change(event)
    elif event.kind == "offer_ended":
        yield "offer_declined" if event.detail.get("offer") in NOT_TAKEN else "offer_withdrawn"
    elif event.kind == "change_requested":
        yield from ("change_waits",) if event.actor_kind != ActorKind.MANAGER else ()
    elif event.kind == "overstay":
        yield from ("will_not_stop",) if event.detail.get("in_vain") else ("overstay", "overstay_here")
    else:
        yield from _OTHERS.get(event.kind, ())


_OF_ENFORCEMENT: dict[str, tuple[str, ...]] = {
    Enforcement.AT_RISK: ("at_risk", "at_risk_here"),
    Enforcement.SOFT: ("soft",),
}
# What says that a risk is over, by what told of it. The latter has `was_at_risk` where another risk had been told of before.
OVER_BY = {"at_risk": "kept_again", "at_risk_here": "kept_again_here"}
# Ways in which a slot is kept that people hear of, or that end what they heard.
HEARD = [Enforcement.ARMED, Enforcement.AT_RISK, Enforcement.SOFT]
_OTHERS: dict[str, tuple[str, ...]] = {
    "change_accepted": ("change_granted",),
    "change_declined": ("change_declined",),
    "arrived": ("arrived",),
    "eta_late": ("eta_late",),
    "offered": ("offered",),
    "ending": ("ending_soon",),
    "interrupted": ("interrupted",),
    "resumed": ("resumed",),
    "power_limited": ("power_limited",),
    "power_limit_lifted": ("power_limit_lifted",),
}


def _of_enforcement(event: BookingEvent, heard: tuple[str, str] | None) -> tuple[str, ...]:
    """What they know already is not told again; that a risk is over is told to whoever heard of it."""
    if heard == (event.after, str(event.detail.get("why") or "")):
        return ()
    if event.after == Enforcement.ARMED:
        return ("kept_again", "kept_again_here") if heard and heard[0] == Enforcement.AT_RISK else ()
    return _OF_ENFORCEMENT.get(event.after, ())


def _of_status(event: BookingEvent, booking: Booking) -> Iterator[str]:
    after, before = event.after, event.before
    if event.detail.get("offer") in NOT_TAKEN:
        yield "offer_declined"
    if after == BookingStatus.REQUESTED and booking.is_ours and booking.terms.approval:
        yield "request_waits"
    elif after == BookingStatus.CONFIRMED and before == BookingStatus.REQUESTED:
        yield from ("granted",) if booking.trip_id is None else ()  # all of a trip's stops are told as one
    elif after == BookingStatus.CANCELLED and before != BookingStatus.HELD:
        yield from _of_cancellation(event)
    else:
        yield from _OF_STATUS.get(after, ()) if before else ()


_OF_STATUS: dict[str, tuple[str, ...]] = {
    BookingStatus.DECLINED: ("declined",),
    BookingStatus.FAILED: ("failed",),
    BookingStatus.NO_SHOW: ("no_show", "no_show_here"),
    BookingStatus.COMPLETED: ("complete",),
}


def _of_cancellation(event: BookingEvent) -> Iterator[str]:
    """What Berth does in the depot's name, where that was not offered to its fleet before, is news for the depot as well."""
    if event.detail.get("by") == Booking.Side.FLEET:
        yield "cancelled_by_fleet"
        return
    yield "cancelled_by_depot"
    if event.actor_kind == ActorKind.BERTH and not event.detail.get("offer"):
        yield "cancelled_here"


def _of_change(event: BookingEvent) -> Iterator[str]:
    """Who asked is not told; a change that the depot granted is the fleet's news, an offer that it accepted is both sides'."""
    if event.detail.get("offer"):
        yield from ("offer_accepted", "change_granted")
    elif event.detail.get("by") == Booking.Side.DEPOT:
        yield from (
            ("swapped", "swapped_here") if event.actor_kind == ActorKind.BERTH else ("changed_by_depot",)
        )
    elif event.actor_kind == ActorKind.MANAGER:
        yield "change_granted"
    elif event.actor == TELEMATICS:
        yield from ("slid", "changed_by_fleet")
    else:
        yield "changed_by_fleet"
