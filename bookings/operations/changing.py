from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bookings import fitting, lifecycle, occupancy, power, pricing, queries, rules
from bookings.errors import (
    DoesNotFit,
    EndsBeforeStart,
    NothingToChange,
    PartnerSilent,
    SlotTaken,
    WrongStatus,
)
from bookings.fitting import Needs
from bookings.locking import lock_booking
from bookings.models import Booking, BookingRequest, BookingStatus, BookingToken, Occupancy, Vehicle
from bookings.operations import requests
from bookings.operations.making import assign, candidates, decide_until, refusals, sweep_holds
from bookings.operations.tokens import TokenName, entitled, own_vehicle
from bookings.signals import partner_asked
from depots.cards import card_number
from depots.models import Evse
from depots.periods import Period

CHANGEABLE = {BookingStatus.REQUESTED, BookingStatus.CONFIRMED}


@dataclass
class Change:
    """A booking as it is to become. `evse_asked` tells a wish for one EVSE from keeping what there is."""

    period: Period
    evse: Evse | None
    vehicle: Vehicle | None
    tokens: list[BookingToken] | None
    power_w: int | None
    evse_asked: bool
    needs: Needs
    plate: str = ""
    authorization_reference: str = ""


def change_booking(
    *,
    booking_id: int,
    period: Period | None = None,
    evse: Evse | None = None,
    vehicle: Vehicle | None = None,
    tokens: Sequence[TokenName] | None = None,
    power_w: int | None = None,
    needs: Needs | None = None,
    plate: str = "",
    authorization_reference: str = "",
    by: str = Booking.Side.FLEET,
    received: dict[str, Any] | None = None,
    fingerprint: str = "",
    actor: str,
    now: datetime,
) -> Booking:
    """Change what is given and keep the rest. The depot may move what it hosts. The fleet is bound by deadlines and,
    where the depot decides, by approval: the old period stays in force then, the new one is kept beside it until decided.

    When only the time changes and its EVSE is not free then, another one of the same option is taken.
    Raises a BookingError; the booking is as it was then.
    """
    known = Booking.objects.select_related("depot__operator", "option", "fleet", "vehicle", "evse").get(
        pk=booking_id
    )
    if vehicle is not None:
        own_vehicle(vehicle, known.fleet)
    change = _planned(known, period, evse, vehicle, tokens, power_w, needs)
    change.plate, change.authorization_reference = plate, authorization_reference
    asked = requests.asked_of(
        period, evse=evse, vehicle=vehicle, tokens=change.tokens, power_w=power_w,
        plate=plate, authorization_reference=authorization_reference, needs=needs,
    )  # fmt: skip
    pool = _pool(known, change, by)
    with (
        refusals(known.terms, change.period, lambda: pool, now=now),
        lifecycle.one_operation(),
    ):
        binding = known.is_ours and power.can_bind(known.depot)
        booking = lock_booking(booking_id, also=[e.pk for e in pool], depot=binding)
        _check(booking, known, change, by, now)
        if not booking.is_ours:
            return _ask_partner(booking, asked, actor, now)
        if not _is_undecided(booking, by):
            requests.decline_pending(booking, "Replaced by a later change.", actor=actor, now=now)
        named = [*booking.tokens.all(), *(change.tokens or [])]
        vehicles = [booking.vehicle_id, change.vehicle.pk if change.vehicle else None]
        occupancy.queue_to_claim(booking.terms, named, vehicles)
        given_up = occupancy.drop_pending(booking)
        sweep_holds(
            [e.pk for e in pool],
            change.period.widened(booking.terms.early_start, booking.terms.tail),
            now=now,
        )
        target = _target(booking, change, pool, now)
        waits = by == Booking.Side.FLEET and booking.terms.approval
        if by == Booking.Side.FLEET:
            requests.log(
                booking, BookingRequest.Kind.CHANGE, {**asked, "evse_id": target.pk, "evse": target.uid},
                accepted=not waits, received=received, fingerprint=fingerprint, actor=actor, now=now,
            )  # fmt: skip
        if waits:
            _keep_beside(booking, change, target, actor, now)
        else:
            apply(booking, change, target, by=by, actor=actor, now=now)
        lifecycle.tell_calendars(given_up, at=now)
    return booking


def apply(booking: Booking, change: Change, target: Evse, *, by: str, actor: str, now: datetime) -> None:
    """Write a change under the locks of both EVSEs: place, claims, price, event."""
    before = _shown(booking)
    old_evse_id = booking.evse_id
    booking.period, booking.evse, booking.vehicle = change.period, target, change.vehicle
    if change.plate or change.vehicle is not None:
        booking.plate = change.plate or (change.vehicle.plate if change.vehicle else "")
    booking.authorization_reference = change.authorization_reference or booking.authorization_reference
    span = occupancy.span_for(target, change.period, booking.terms, now=now, holder=booking.pk)
    booking.promised_power_w = power.promise(
        target, span, change.power_w, change.needs.max_power_w, holder=booking.pk
    )
    price = pricing.quote(
        booking.option, booking.fleet, booking.period,
        power_w=booking.promised_power_w, vehicle=booking.vehicle, now=now,
    )  # fmt: skip
    booking.quote = price.to_json() if price else {}
    if change.tokens is not None:
        _replace_tokens(booking, change.tokens)
    _move_place(booking, target, span, old_evse_id)
    occupancy.claim(booking, list(booking.tokens.all()))
    fields = [
        "starts_at", "ends_at", "evse", "vehicle", "plate", "authorization_reference", "promised_power_w", "quote",
        "decide_until",
    ]  # fmt: skip
    if by == Booking.Side.DEPOT:
        booking.changed_by_depot_at = now
        fields.append("changed_by_depot_at")
    detail = {"by": by, "before": before, "after": _shown(booking)}
    lifecycle.record(booking, kind="changed", actor=actor, at=now, detail=detail, fields=fields)
    lifecycle.tell_calendars([old_evse_id, target.pk], at=now)


def planned_from_request(booking: Booking, request: BookingRequest) -> tuple[Change, Evse]:
    """The change a pending request asks for, with the EVSE that is kept for it."""
    asked = request.asked
    target = queries.evses_with_bays().get(pk=asked["evse_id"])
    vehicle = Vehicle.objects.filter(pk=asked.get("vehicle_id")).first() or booking.vehicle
    tokens = [BookingToken(**token) for token in asked["tokens"]] if "tokens" in asked else None
    needs = Needs.from_json(asked["needs"]) if "needs" in asked else Needs.of(vehicle)
    period = _read_period(asked["period"]) if "period" in asked else booking.period
    change = Change(
        period, target, vehicle, tokens, asked.get("power_w"), True, needs,
        plate=asked.get("plate", ""), authorization_reference=asked.get("authorization_reference", ""),
    )  # fmt: skip
    return change, target


def _planned(
    booking: Booking,
    period: Period | None,
    evse: Evse | None,
    vehicle: Vehicle | None,
    tokens: Sequence[TokenName] | None,
    power_w: int | None,
    needs: Needs | None,
) -> Change:
    party = (booking.customer_country, booking.customer_party)
    named: list[BookingToken] | None = None
    if tokens is not None or vehicle is not None:
        named = entitled(tokens, vehicle, booking.fleet, party)
    after = vehicle or booking.vehicle
    if needs is None or needs == Needs():
        needs = Needs.of(vehicle) if vehicle else requests.needs_of(booking)
    return Change(
        period=period.in_utc() if period else booking.period,
        evse=evse or booking.evse,
        vehicle=after,
        tokens=named,
        power_w=power_w,
        evse_asked=evse is not None,
        needs=needs,
    )


def _pool(booking: Booking, change: Change, by: str) -> list[Evse]:
    """Where it may go: the EVSE asked for (the depot may take any of its own), else its own and others of the option."""
    if not booking.is_ours:
        return []
    rows = queries.evses_with_bays()
    if change.evse_asked and by == Booking.Side.DEPOT:
        return list(rows.filter(depot=booking.depot_id, pk__in=[change.evse.pk] if change.evse else []))
    pool = list(rows.filter(options=booking.option_id))
    if change.evse_asked:
        return candidates(pool, change.needs, change.evse)
    kept = [e for e in rows.filter(pk__in=[booking.evse_id]) if not fitting.misfits(change.needs, e)]
    others = [e for e in pool if e.pk != booking.evse_id and not fitting.misfits(change.needs, e)]
    if not kept and not others:
        raise DoesNotFit("The vehicle fits none of the EVSEs of this offer.")
    return kept + others


def _check(booking: Booking, known: Booking, change: Change, by: str, now: datetime) -> None:
    if booking.status not in CHANGEABLE:
        raise WrongStatus(
            booking.status,
            "changed",
            f"A booking that is {booking.get_status_display().lower()} cannot be changed.",
        )
    if by == Booking.Side.FLEET:
        rules.check_change(booking, now=now)
    if change.period != booking.period:
        keeps_start = change.period.starts_at == booking.starts_at
        check = rules.check_end if keeps_start else rules.check_period
        check(booking.terms, booking.depot, change.period, now=now)
    if _is_same(booking, change):
        raise NothingToChange("This is what is booked already.")


def _is_undecided(booking: Booking, by: str) -> bool:
    """Whether the depot moves a booking whose making it has yet to decide on: that ask stays open.

    Raises WrongStatus when the fleet has asked for something else since: there is no one place to move it from.
    """
    if by != Booking.Side.DEPOT or booking.status != BookingStatus.REQUESTED:
        return False
    ask = requests.pending(booking)
    if ask is not None and ask.kind != BookingRequest.Kind.CREATE:
        raise WrongStatus(
            booking.status,
            "changed",
            "The fleet has asked for a change of this request: decide on that first.",
        )
    return True


def _is_same(booking: Booking, change: Change) -> bool:
    tokens = {(card_number(t.uid), t.type) for t in booking.tokens.all()}
    return (
        change.period == booking.period
        and (not change.evse_asked or (change.evse is not None and change.evse.pk == booking.evse_id))
        and change.vehicle == booking.vehicle
        and (change.tokens is None or {(card_number(t.uid), t.type) for t in change.tokens} == tokens)
        and (change.power_w is None or change.power_w == booking.promised_power_w)
        and change.plate in {"", booking.plate}
        and change.authorization_reference in {"", booking.authorization_reference}
    )


def _target(booking: Booking, change: Change, pool: Sequence[Evse], now: datetime) -> Evse:
    """Its own EVSE when that is free for the change, else the best other one. Raises SlotTaken."""
    if change.evse_asked and change.evse is not None and (reasons := fitting.misfits(change.needs, pool[0])):
        raise DoesNotFit(fitting.sentence(reasons))
    free = assign(pool, change.needs, change.period, booking.terms, now=now, holder=booking.pk)
    if not free:
        raise SlotTaken
    return next((evse for evse in free if evse.pk == booking.evse_id), free[0])


def _keep_beside(booking: Booking, change: Change, target: Evse, actor: str, now: datetime) -> None:
    """Wait for the depot: the new place is occupied as well, the old period stays in force."""
    span = occupancy.span_for(target, change.period, booking.terms, now=now, holder=booking.pk)
    power.promise(target, span, change.power_w, change.needs.max_power_w, holder=booking.pk)
    occupancy.place(booking, target, span, kind=Occupancy.Kind.PENDING)
    tokens = change.tokens if change.tokens is not None else list(booking.tokens.all())
    occupancy.claim_also(booking, change.period, tokens, change.vehicle.pk if change.vehicle else None)
    booking.decide_until = decide_until(booking.terms, booking.period, now)
    detail = {"after": {"period": change.period.as_json(), "evse": target.uid}}
    lifecycle.record(
        booking, kind="change_requested", actor=actor, at=now, detail=detail, fields=["decide_until"]
    )  # fmt: skip
    lifecycle.tell_calendars([target.pk], at=now)


def _ask_partner(booking: Booking, asked: dict[str, Any], actor: str, now: datetime) -> Booking:
    open_ask = requests.pending(booking)
    if open_ask is not None and open_ask.kind == BookingRequest.Kind.CANCEL:
        raise PartnerSilent("The partner has been asked to cancel it and has not answered yet.")
    requests.decline_pending(booking, "Replaced by a later change.", actor=actor, now=now)
    request = requests.log(booking, BookingRequest.Kind.CHANGE, asked, accepted=False, actor=actor, now=now)
    lifecycle.record(booking, kind="change_requested", actor=actor, at=now, detail={"after": asked})
    partner_asked.send(sender=BookingRequest, request=request, at=now)
    return booking


def _move_place(booking: Booking, target: Evse, span: Period, old_evse_id: int | None) -> None:
    row = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING).first()
    occupancy.place(booking, target, span)
    if row is not None and old_evse_id is not None:
        occupancy.fill_closures(old_evse_id, row.span)


def _replace_tokens(booking: Booking, tokens: list[BookingToken]) -> None:
    booking.tokens.all().delete()
    for position, token in enumerate(tokens):
        token.booking, token.position = booking, position
    BookingToken.objects.bulk_create(tokens)


def _shown(booking: Booking) -> dict[str, Any]:
    return {
        "period": booking.period.as_json(),
        "evse": booking.evse.uid if booking.evse else None,
        "vehicle": booking.plate,
        "tokens": [token.ending for token in booking.tokens.all()],
    }


def _read_period(stored: dict[str, str]) -> Period:
    try:
        return Period(datetime.fromisoformat(stored["start"]), datetime.fromisoformat(stored["end"]))
    except ValueError as broken:
        raise EndsBeforeStart("The end lies before the start.") from broken
