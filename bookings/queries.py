"""What can be booked by whom on which terms, and what a booking looks like from outside."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from bookings import availability, fitting, pricing, rules, trouble
from bookings.errors import (
    BookingError,
    BookingUnknown,
    DoesNotFit,
    OptionUnknown,
    PowerUnavailable,
    SlotTaken,
)
from bookings.fitting import Needs
from bookings.models import (
    Booking,
    BookingOption,
    Occupancy,
    OfferedSlot,
    TermsOverride,
    Vehicle,
)
from bookings.power import Supply
from bookings.pricing import Quote
from bookings.terms import Terms
from depots.models import Depot, Evse, Organisation
from depots.periods import Period, united


def bookable_options(fleet: Organisation, *, now: datetime) -> QuerySet[BookingOption]:
    """What a fleet or a partner network may book: its own depots, those opened to it, and (fleets) partners' depots."""
    visible = _open_to(fleet, now) if fleet.is_partner else _open_to(fleet, now) | Q(is_mirror=True)
    return (
        BookingOption.objects.filter(visible, is_withdrawn=False, depot__is_withdrawn=False)
        .select_related("depot__operator")
        .prefetch_related(
            "depot__opening_hours",
            Prefetch("evses", evses_with_bays()),
        )
        .distinct()
    )  # fmt: skip


def evses_with_bays() -> QuerySet[Evse]:
    """EVSEs with all that fitting and availability ask of them."""
    rows = Evse.objects.select_related("charger", "depot__operator")
    return rows.prefetch_related("connectors", "depot__opening_hours")


def bookable_depots(fleet: Organisation, *, now: datetime) -> QuerySet[Depot]:
    options = bookable_options(fleet, now=now).values("depot_id")
    return Depot.objects.filter(pk__in=options).select_related("operator").order_by("is_mirror", "name")


def find_option(code: str, fleet: Organisation, *, now: datetime) -> BookingOption:
    """An option by its id, whatever its capitals; our own before a partner's. Raises OptionUnknown."""
    found = list(bookable_options(fleet, now=now).filter(code__iexact=code).order_by("is_mirror")[:3])
    if not found:
        raise OptionUnknown(f"No booking option {code!r} is open to {fleet}.")
    if len(found) > 1 and found[0].is_mirror == found[1].is_mirror:
        raise OptionUnknown(
            f"{code!r} is offered at several depots: {', '.join(o.depot.code for o in found)}."
        )
    return found[0]


def terms_for(option: BookingOption, fleet: Organisation, *, now: datetime) -> Terms:
    """The terms a booking made now would be made under."""
    return terms_by_option([option], fleet, now=now)[option.pk]


def terms_by_option(
    options: Collection[BookingOption], fleet: Organisation, *, now: datetime
) -> dict[int, Terms]:
    """Terms of many options, by option id, in one query: depot, then agreement (all, then own), then option."""
    depot_ids = {option.depot_id for option in options}
    agreed = Q(agreement__depot__in=depot_ids, agreement__starts_at__lte=now) & (
        Q(agreement__ends_at__isnull=True) | Q(agreement__ends_at__gt=now)
    )
    mine = Q(agreement__guest=fleet) | Q(agreement__guest__isnull=True)
    rows = list(
        TermsOverride.objects.filter(
            Q(depot__in=depot_ids) | Q(option__in=[o.pk for o in options]) | (agreed & mine)
        ).select_related("agreement")
    )
    return {option.pk: Terms.resolve(_overrides(rows, option)) for option in options}


@dataclass(frozen=True)
class SlotOffer:
    """One EVSE of an option in the searched period: bookable as shown, or `refusal` says why not (and what is nearest).

    `evse` is None at a partner that assigns it later. `is_hint` marks a partner's calendar: only its answer is binding.
    `trouble` says what stands in the way at the EVSE now, if the period starts within the hour (bookings.trouble).
    """

    option: BookingOption
    evse: Evse | None
    period: Period
    terms: Terms
    power_w: int
    quote: Quote | None
    refusal: BookingError | None = None
    nearest: Period | None = None
    is_hint: bool = False
    trouble: str = ""

    @property
    def is_free(self) -> bool:
        return self.refusal is None


def find_slots(
    *,
    fleet: Organisation,
    period: Period,
    depot: Depot | None = None,
    vehicle: Vehicle | None = None,
    needs: Needs | None = None,
    zone: str = "",
    now: datetime,
) -> list[SlotOffer]:
    """What the fleet may book in a period: what is free and ready, then what is free but in trouble right now, then what
    would be nearest; each by fit, time and place. Constant number of queries.

    Every EVSE shows once, under its own option when it has one; `needs` defaults to the vehicle's; `zone` keeps to the
    depots of one time zone.
    """
    found = bookable_options(fleet, now=now)
    if zone:
        found = found.filter(depot__time_zone=zone)
    options = list(found.filter(depot=depot) if depot else found)
    terms = terms_by_option(options, fleet, now=now)
    needs = needs or Needs.of(vehicle)
    search = _Search(fleet, period, vehicle, needs, terms, now)
    offers = search.own([o for o in options if not o.is_mirror]) + search.at_partners(
        [o for o in options if o.is_mirror]
    )
    return sorted(offers, key=lambda offer: rank(offer, needs))


def rank(offer: SlotOffer, needs: Needs) -> tuple[Any, ...]:
    """The order of offers, best first: possible at all, ready, then fit, time, and the place only where those are equal."""
    return (
        not offer.is_free,
        isinstance(offer.refusal, DoesNotFit),
        bool(offer.trouble),
        offer.is_hint,
        _fit(offer, needs),
        _distance(offer),
        offer.option.depot.name,
        offer.evse.pk if offer.evse else 0,
    )


class _Search:
    """One search: its arguments, and the rows read once for all options."""

    def __init__(
        self,
        fleet: Organisation,
        period: Period,
        vehicle: Vehicle | None,
        needs: Needs,
        terms: dict[int, Terms],
        now: datetime,
    ) -> None:
        self.fleet, self.period, self.vehicle = fleet, period, vehicle
        self.needs, self.terms, self.now = needs, terms, now

    def own(self, options: list[BookingOption]) -> list[SlotOffer]:
        shown: dict[int, BookingOption] = {}
        for option in sorted(options, key=lambda o: len(o.evses.all())):
            for evse in option.evses.all():
                shown.setdefault(evse.pk, option)
        within = self.period.widened(availability.FAR, availability.FAR)
        free = availability.free_periods(list(shown), within, now=self.now)
        tariffs = pricing.tariffs_for(options, self.fleet, now=self.now)
        supply = Supply.at({option.depot_id for option in options}, within, now=self.now)
        return [
            self._offer(option, evse, free[evse.pk], supply, tariffs[option.pk])
            for option in options
            for evse in option.evses.all()
            if shown[evse.pk] is option
        ]

    def at_partners(self, options: list[BookingOption]) -> list[SlotOffer]:
        hints = OfferedSlot.objects.filter(option__in=options, period__overlap=self.period)
        by_option: dict[int, list[OfferedSlot]] = {}
        for slot in hints:
            by_option.setdefault(slot.option_id, []).append(slot)
        return [self._hint(option, by_option.get(option.pk, [])) for option in options]

    def _offer(
        self, option: BookingOption, evse: Evse, free: list[Period], supply: Supply, tariff: Any
    ) -> SlotOffer:
        terms = self.terms[option.pk]
        watts = min(evse.max_power_w, self.needs.max_power_w or evse.max_power_w)
        refusal = self._refusal(option, evse, terms, free, supply)
        if refusal is None:
            try:
                watts = self._promise(evse, terms, free, supply)
            except PowerUnavailable as short:
                refusal = short
                refusal.nearest = self._nearest(evse, terms, free, supply)
        price = pricing.quoted(tariff, self.period, power_w=watts, vehicle=self.vehicle) if tariff else None
        return SlotOffer(
            option, evse, self.period, terms, watts, price, refusal, refusal.nearest if refusal else None,
            trouble=trouble.trouble_of(evse, self.period, now=self.now),
        )  # fmt: skip

    def _refusal(
        self, option: BookingOption, evse: Evse, terms: Terms, free: list[Period], supply: Supply
    ) -> BookingError | None:
        if misfits := fitting.misfits(self.needs, evse):
            return DoesNotFit(fitting.sentence(misfits))
        try:
            rules.check_period(terms, option.depot, self.period, now=self.now)
        except BookingError as refusal:
            return refusal
        wanted = Period(self.period.starts_at, self.period.ends_at + terms.tail)
        if any(gap.covers(wanted) for gap in free):
            return None
        return SlotTaken(nearest=self._nearest(evse, terms, free, supply))

    def _promise(self, evse: Evse, terms: Terms, free: list[Period], supply: Supply) -> int:
        gap = next(gap for gap in free if gap.contains(self.period.starts_at))
        since = max(
            self.period.starts_at - terms.early_start, gap.starts_at, min(self.now, self.period.starts_at)
        )
        span = Period(since, self.period.ends_at + terms.tail)
        return supply.promise(evse, span, None, self.needs.max_power_w, most_w=terms.max_promise_w)

    def _nearest(self, evse: Evse, terms: Terms, free: list[Period], supply: Supply) -> Period | None:
        return availability.nearest_in(terms, [(evse, free)], self.period, supply=supply, now=self.now)

    def _hint(self, option: BookingOption, slots: list[OfferedSlot]) -> SlotOffer:
        evse = next(iter(option.evses.all()), None)
        terms = self.terms[option.pk]
        refusal: BookingError | None = None
        if evse is not None and (misfits := fitting.misfits(self.needs, evse)):
            refusal = DoesNotFit(fitting.sentence(misfits))
        elif not any(span.covers(self.period) for span in united([slot.period for slot in slots])):
            refusal = SlotTaken("The partner shows no free time for this slot.")
        else:
            try:
                rules.check_period(terms, option.depot, self.period, now=self.now)
            except BookingError as against_terms:
                refusal = against_terms
        watts = min(
            [slot.max_power_w for slot in slots if slot.max_power_w] or [evse.max_power_w if evse else 0]
        )
        return SlotOffer(
            option,
            evse,
            self.period,
            terms,
            watts,
            None,
            refusal,
            refusal.nearest if refusal else None,
            is_hint=True,
        )


def booking_by_any_id(any_id: str) -> Booking:
    """A booking by our id, its reference or a partner's id of it. Raises BookingUnknown."""
    by_id = Q(reference__iexact=any_id) | Q(remote_id__iexact=any_id)
    if any_id.isascii() and any_id.isdigit() and len(any_id) < 19:
        by_id |= Q(pk=int(any_id))
    found = Booking.objects.filter(by_id).select_related(
        "depot__operator", "option", "evse", "fleet", "vehicle"
    )
    first = found.order_by("pk").first()
    if first is None:
        raise BookingUnknown(f"There is no booking {any_id}.")
    return first


def describe_booking(booking: Booking) -> dict[str, Any]:
    """The object that `show_booking`, `book` and `change_booking` print; its shape is contract.md's.

    Deliveries are roaming's to add: bookings does not know partners.
    """
    rows = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING)
    occupied = rows.first()
    return {
        "id": booking.pk,
        "ocpi_id": booking.ocpi_id or None,
        "reference": booking.reference,
        "request_id": booking.request_id,
        "route": booking.route,
        "status": booking.status,
        "remote_status": booking.remote_status or None,
        "enforcement": booking.enforcement,
        "enforcement_why": booking.enforcement_why or None,
        "interrupted": _interrupted(booking),
        "reservation_id": booking.reservation_id,
        "depot": booking.depot.code,
        "option": booking.option.code,
        "evse_uid": booking.evse.uid if booking.evse else None,
        "vehicle": booking.vehicle.plate if booking.vehicle else booking.plate or None,
        "fleet": booking.fleet.name,
        "period": booking.period.as_json(),
        "occupied": occupied.span.as_json() if occupied else None,
        "promised_power_kw": booking.promised_power_w / 1000,
        "tokens": [_token(token) for token in booking.tokens.all()],
        "terms": booking.terms_json,
        "quote": booking.quote or None,
        "cancel_reason": booking.cancel_reason or None,
        "cancelled_by": booking.cancelled_by or None,
        "version": booking.version,
        "requests": [_request(request) for request in booking.requests.all()],
        "events": [_event(event) for event in booking.events.all()],
    }


def _interrupted(booking: Booking) -> dict[str, Any] | None:
    if booking.interrupted_at is None:
        return None
    return {
        "at": _z(booking.interrupted_at),
        "why": booking.interrupted_why,
        "metered_wh": booking.metered_wh,
        "expected_wh": booking.expected_wh,
    }


def _token(token: Any) -> dict[str, str]:
    return {
        "country_code": token.country_code,
        "party_id": token.party_id,
        "uid": token.uid,
        "type": token.type,
        "contract_id": token.contract_id,
    }


def _request(request: Any) -> dict[str, Any]:
    return {
        "id": request.pk,
        "kind": request.kind,
        "decision": request.decision,
        "asked": request.asked,
        "asked_by": request.asked_by,
        "asked_at": _z(request.asked_at),
        "decided_at": _z(request.decided_at) if request.decided_at else None,
        "reason": request.reason or None,
    }


def _event(event: Any) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "version": event.version,
        "before": event.before or None,
        "after": event.after or None,
        "actor": event.actor,
        "at": _z(event.at),
        "detail": event.detail,
    }


def _z(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _open_to(fleet: Organisation, now: datetime) -> Q:
    in_force = Q(depot__agreements__starts_at__lte=now) & (
        Q(depot__agreements__ends_at__isnull=True) | Q(depot__agreements__ends_at__gt=now)
    )
    guest = Q(depot__agreements__guest=fleet) | Q(depot__agreements__guest__isnull=True)
    # `guest IS NULL` over a missing row would be true as well: the agreement itself must exist.
    agreed = Q(depot__agreements__isnull=False) & in_force & guest
    return Q(is_mirror=False) & (Q(depot__operator=fleet) | agreed)


def _overrides(rows: Iterable[TermsOverride], option: BookingOption) -> list[TermsOverride]:
    def breadth(row: TermsOverride) -> int:
        if row.depot_id:
            return 0
        if row.agreement is not None:
            return 2 if row.agreement.guest_id else 1
        return 3

    def applies(row: TermsOverride) -> bool:
        if row.agreement is not None:
            return row.agreement.depot_id == option.depot_id
        return row.depot_id == option.depot_id or row.option_id == option.pk

    return sorted(filter(applies, rows), key=breadth)


def _fit(offer: SlotOffer, needs: Needs) -> tuple[Any, ...]:
    """How much of what the vehicle can take is missing, then how much of the EVSE is wasted on it."""
    if offer.evse is None:
        return (0, needs.max_power_w or 0)
    return fitting.tightness(needs, offer.evse)


def _distance(offer: SlotOffer) -> timedelta:
    """From the time that is looked for to the one that could be had."""
    if offer.is_free:
        return timedelta()
    return abs(offer.nearest.starts_at - offer.period.starts_at) if offer.nearest else timedelta.max
