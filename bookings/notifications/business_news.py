"""News of what is no event of a booking, written in the transaction in which it happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.models import (
    AgreementEvent,
    AgreementProposal,
    Booking,
    BookingSeries,
    Closure,
    Invoice,
    Trip,
    WaitlistEntry,
)
from bookings.notifications.feed import WAITLIST_EXPIRED, WAITLIST_OFFERED
from bookings.notifications.kinds import DEPOT, KINDS
from bookings.notifications.occurrences import leave_word, word_from_waitlist
from bookings.notifications.resolving import params_of
from bookings.operations.closure_offers import asks_of
from depots.models import Agreement, Organisation
from depots.periods import Period, spanning, utc_text


def tell_of_invoices(invoices: Sequence[Invoice], *, at: datetime) -> None:
    """Whose customers are organisations here: their accountants."""
    for invoice in invoices:
        if invoice.customer.is_partner:
            continue
        params = {
            "number": invoice.number, "operator": invoice.issuer.name, "amount": str(invoice.total),
            "currency": invoice.currency,
        }  # fmt: skip
        leave_word(
            "invoice_issued", invoice.customer_id, params=params, link=f"/invoices/{invoice.pk}/", at=at
        )


def tell_of_agreement(kind: str, about: Agreement | AgreementProposal, *, actor: Actor, at: datetime) -> None:
    """The other side of an agreement that was asked for, offered, answered or ended; one with everybody has none."""
    guest, operator = about.guest, about.depot.operator
    told = operator if KINDS[kind].side == DEPOT else guest
    if guest is None or told is None or told.is_partner:
        return
    params = {"operator": operator.name, "depot": about.depot.name, "fleet": guest.name}
    if isinstance(about, AgreementProposal):
        params["reason"] = about.message if about.waits else about.answer
    path = "agreements/proposals" if isinstance(about, AgreementProposal) else "agreements"
    name = actor.name if actor.is_person else ""
    leave_word(kind, told, params=params, link=f"/{path}/{about.pk}/", actor_name=name, at=at)


def tell_of_closures(evse_ids: Sequence[int], *, at: datetime) -> None:
    """Fleets whose bookings stand in a closure that was made just now; who is moved, cancelled or offered another time hears of
    that."""
    closures = list(Closure.objects.filter(evse__in=evse_ids, created_at=at, lifted_at=None))
    span = spanning(closure.period for closure in closures)
    if span is None:
        return
    standing = Booking.objects.live().filter(evse__in=[closure.evse_id for closure in closures])
    rows = standing.overlapping(span).filter(fleet__is_partner=False)
    rows = rows.select_related("depot__operator", "evse", "vehicle", "fleet").order_by("starts_at", "pk")
    asks = asks_of(rows)
    for booking in rows:
        ask = asks.get(booking.pk)
        is_offered = ask is not None and ask.is_last_word
        closure = next((c for c in closures if _runs_into(booking, c)), None)
        if closure is not None and not is_offered:
            params = {**params_of(booking), "reason": closure.reason}
            link = booking.get_absolute_url()
            leave_word("closure", booking.fleet_id, params=params, link=link, booking=booking, at=at)


def _runs_into(booking: Booking, closure: Closure) -> bool:
    return booking.evse_id == closure.evse_id and booking.period.overlaps(closure.period)


def tell_of_missed_days(series: BookingSeries, missed: Mapping[str, Any], *, at: datetime) -> None:
    """Its fleet's dispatchers: days that waited for the horizon could not be booked when their time came. One word for all, as
    of BookingSeries.untold."""
    depot = series.option.depot
    params = {"plate": series.vehicle.plate, "depot": depot.name, "zone": depot.time_zone, **missed}
    leave_word("series_missed", series.fleet_id, params=params, link=series.get_absolute_url(), at=at)


def tell_of_trip(trip: Trip, *, at: datetime) -> None:
    """One that waited for answers, and is booked or came to nothing. Who cancels it knows."""
    kinds = {Trip.Status.BOOKED.value: "trip_booked", Trip.Status.FAILED.value: "trip_failed"}
    if (kind := kinds.get(trip.status)) is None:
        return
    stops = list(
        trip.stops.select_related("depot__operator", "evse", "vehicle", "fleet").order_by("starts_at", "pk")
    )
    params = {**params_of(stops[0]), "stops": len(stops), "reason": trip.failure}
    leave_word(kind, trip.fleet_id, params=params, link=trip.get_absolute_url(), at=at)


def tell_of_offer(entry: WaitlistEntry, *, at: datetime) -> None:
    """To the fleet that waits, and its systems."""
    offered = entry.offered
    assert offered is not None
    assert entry.offered_until is not None
    params = {**_waited(entry, offered), "until": utc_text(entry.offered_until)}
    word_from_waitlist("waitlist_offer", WAITLIST_OFFERED, entry, params=params, at=at)


def tell_of_expired(entries: Sequence[WaitlistEntry], why: str, *, at: datetime) -> None:
    """The same once nothing comes of it any more."""
    for entry in entries:
        params = {**_waited(entry, entry.period), "reason": why}
        word_from_waitlist("waitlist_expired", WAITLIST_EXPIRED, entry, params=params, at=at)


def _waited(entry: WaitlistEntry, period: Period) -> dict[str, Any]:
    depot = entry.option.depot
    return {
        "plate": entry.vehicle.plate if entry.vehicle else "", "depot": depot.name, "zone": depot.time_zone,
        "starts_at": utc_text(period.starts_at), "ends_at": utc_text(period.ends_at),
    }  # fmt: skip


def tell_of_reopening(event: AgreementEvent, *, at: datetime) -> None:
    """An end was taken back: to the guest of the agreement, and of one with everybody to those whose bookings were cancelled."""
    agreement, depot = event.agreement, event.agreement.depot
    counts = {agreement.guest_id: Counter[str]()} if agreement.guest_id is not None else {}
    gone = {name: event.detail.get(name, ()) for name in ("again", "lost")}
    fleets = dict(Booking.objects.filter(pk__in=[*gone["again"], *gone["lost"]]).values_list("pk", "fleet"))
    for name, booking_ids in gone.items():
        for pk in booking_ids:
            counts.setdefault(fleets[int(pk)], Counter())[name] += 1
    for fleet in Organisation.objects.filter(pk__in=counts, is_partner=False):
        params = {
            "operator": depot.operator.name, "depot": depot.name, "fleet": fleet.name,
            "again": counts[fleet.pk]["again"], "lost": counts[fleet.pk]["lost"],
        }  # fmt: skip
        link = f"/agreements/{agreement.pk}/"
        name = event.by_name if event.by.is_person else ""
        leave_word("agreement_reopened", fleet, params=params, link=link, actor_name=name, at=at)
