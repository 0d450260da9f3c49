"""A planned trip as its page shows it: a strip of the route, and the stops in order with what holds each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from bookings.pages.forms.trips import TripForm
from bookings.pages.slot_payments import SlotPayments
from bookings.rules.driving_times import DRIVING_PERIOD, least_time
from bookings.search.along_route import OnTheWay, depots_on_the_way
from bookings.search.routing import Route
from bookings.search.slots import SlotOffer
from bookings.search.trip_plan import NoPlan, ProposedStop, Trip, TripPlan, plan_trip
from bookings.search.where import Where
from depots.templatetags.berth import money

# Dots of depots closer together than that, in percent of the strip, are one.
_DOT = 0.8


@dataclass(frozen=True)
class StopCard:
    """A slot to hold with one click. Times as the clock on the depot's wall shows them: naive, as templates print them."""

    stop: ProposedStop
    carried: dict[str, Any]
    number: int = 0
    needs_decision: bool = False
    others: tuple[StopCard, ...] = ()

    @property
    def as_text(self) -> str:
        """The whole slot in one field, for a form that sends several."""
        return urlencode(self.carried)

    @property
    def offer(self) -> SlotOffer:
        return self.stop.offer

    @property
    def depot(self) -> Any:
        return self.stop.place.depot

    @property
    def arrives_at(self) -> datetime:
        return _wall(self.stop.arrives_at, self.depot.zone)

    @property
    def starts_at(self) -> datetime:
        return _wall(self.offer.period.starts_at, self.depot.zone)

    @property
    def ends_at(self) -> datetime:
        return _wall(self.offer.period.ends_at, self.depot.zone)

    @property
    def leaves_at(self) -> datetime:
        return _wall(self.stop.leaves_at, self.depot.zone)

    @property
    def drives(self) -> str:
        return hours(self.stop.drives)

    @property
    def waits(self) -> str:
        """Worth a word from five minutes on."""
        return hours(self.stop.waits) if self.stop.waits >= timedelta(minutes=5) else ""

    @property
    def pause_min(self) -> int:
        return round(self.stop.pause / timedelta(minutes=1))

    @property
    def stands_min(self) -> int:
        return round(self.offer.period.duration / timedelta(minutes=1))

    @property
    def rest(self) -> str:
        return hours(self.stop.rest) if self.stop.rest else ""

    @property
    def charged_kwh(self) -> int:
        return round(self.stop.charged_wh / 1000)

    @property
    def price(self) -> str:
        quote = self.offer.quote
        return money(quote.total, quote.currency) if quote else ""

    @property
    def button(self) -> str:
        if self.offer.is_hint:
            return "Ask by best effort" if self.offer.is_best_effort else "Ask the partner"
        return "Reserve"

    @property
    def at_once(self) -> str:
        return "" if self.offer.is_hint else "Ask now" if self.needs_decision else "Book now"


@dataclass(frozen=True)
class TripPage:
    """What stands below the question."""

    trip: Trip
    places: list[Where]
    depots_found: int
    strip: SafeString
    stops: list[StopCard]
    plan: TripPlan | None
    failure: str

    @classmethod
    def of(cls, form: TripForm) -> TripPage:
        """Of a valid form. Raises OppositePoints."""
        trip, places = form.trip(), form.cleaned_data["places"]
        on_the_way = depots_on_the_way(trip.journey, trip.search.fleet, now=trip.search.now)
        found = plan_trip(trip, places=on_the_way)
        plan = found if isinstance(found, TripPlan) else None
        stops = plan.stops if plan else ()
        failure = _failure(found, trip) if isinstance(found, NoPlan) else ""
        strip = route_strip(trip.journey.route, on_the_way, stops)
        return cls(trip, places, len(on_the_way), strip, _cards(trip, stops), plan, failure)

    @property
    def route(self) -> Route:
        return self.trip.journey.route

    @property
    def destination(self) -> Where:
        return self.places[-1]

    @property
    def is_bookable(self) -> bool:
        """Together: for one fleet, and all of it known."""
        return bool(self.stops) and self.trip.search.vehicle is not None

    @property
    def needs_answers(self) -> int:
        """How many of the stops somebody decides on."""
        return sum(card.needs_decision or card.offer.is_hint for card in self.stops)

    @property
    def length_km(self) -> int:
        return round(self.route.length_km)

    @property
    def driving(self) -> str:
        return hours(self.trip.journey.driving(self.route.length_km))

    @property
    def least(self) -> str:
        """With the breaks and rests that no plan can do without."""
        journey = self.trip.journey
        return hours(least_time(journey.driving(self.route.length_km), journey.duty))

    @property
    def departs_at(self) -> datetime:
        return _wall(self.trip.journey.depart_at, self.places[0].zone)

    @property
    def departs_in(self) -> str:
        return self._zone_name(self.trip.journey.depart_at, self.places[0].zone)

    @property
    def arrives_at(self) -> datetime | None:
        return _wall(self.plan.arrives_at, self.destination.zone) if self.plan else None

    @property
    def arrives_in(self) -> str:
        return self._zone_name(self.plan.arrives_at, self.destination.zone) if self.plan else ""

    @property
    def last_leg(self) -> str:
        return hours(self.plan.last_leg) if self.plan else ""

    @property
    def has_rest(self) -> bool:
        return any(card.stop.rest for card in self.stops)

    @property
    def soc_at_end(self) -> int | None:
        energy = self.trip.energy
        return round(energy.percent(self.plan.energy_wh)) if energy and self.plan else None

    @property
    def kwh_per_100km(self) -> str:
        return f"{self.trip.energy.wh_per_km / 10:g}" if self.trip.energy else ""

    @property
    def price(self) -> str:
        """Of all stops, where each has one in the same currency."""
        quotes = [card.offer.quote for card in self.stops]
        known = [quote for quote in quotes if quote]
        currencies = {quote.currency for quote in known}
        if not known or len(known) < len(quotes) or len(currencies) > 1:
            return ""
        return money(sum((quote.total for quote in known), Decimal()), known[0].currency)

    @staticmethod
    def _zone_name(moment: datetime, zone: ZoneInfo) -> str:
        return moment.astimezone(zone).tzname() or zone.key


def hours(time: timedelta) -> str:
    """`4:30 h`, to the minute."""
    minutes = round(time / timedelta(minutes=1))
    return f"{minutes // 60}:{minutes % 60:02} h"


def route_strip(route: Route, depots: Iterable[OnTheWay], stops: Iterable[ProposedStop]) -> SafeString:
    """The route as a line from left to right: a dot for each depot on the way, a number for each stop. Its words are the list
    below it."""
    dots, last = [], -_DOT
    for place in depots:
        at = _percent(place.along_km, route)
        if at - last >= _DOT:
            dots.append((f"{at:.1f}",))
            last = at
    numbers = [
        (number, f"{_percent(stop.place.along_km, route):.1f}") for number, stop in enumerate(stops, start=1)
    ]
    return format_html(
        '<svg class="trip-strip" aria-hidden="true" focusable="false" height="44" width="100%">'
        '<line class="trip-line" x1="2%" x2="98%" y1="22" y2="22"/>{}{}{}</svg>',
        format_html_join("", '<circle class="trip-depot" cx="{}%" cy="22" r="4"/>', dots),
        SafeString('<circle class="trip-end" cx="2%" cy="22" r="6"/><circle class="trip-end" cx="98%" cy="22" r="6"/>'),
        format_html_join(
            "", '<circle class="trip-stop" cx="{1}%" cy="22" r="13"/><text class="trip-number" x="{1}%" y="27">{0}</text>',
            numbers,
        ),
    )  # fmt: skip


def _percent(along_km: float, route: Route) -> float:
    """Between the ends, which stand a little inside."""
    share = along_km / route.length_km if route.length_km else 0
    return 2 + 96 * min(max(share, 0), 1)


def _cards(trip: Trip, stops: Iterable[ProposedStop]) -> list[StopCard]:
    stops = list(stops)
    offers = [one.offer for stop in stops for one in (stop, *stop.alternatives)]
    payments, key = SlotPayments.of(offers, trip.search), str(uuid4())
    return [
        _card(trip, stop, payments, key, number, tuple(_card(trip, one, payments, key) for one in stop.alternatives))
        for number, stop in enumerate(stops, start=1)
    ]  # fmt: skip


def _card(
    trip: Trip,
    stop: ProposedStop,
    payments: SlotPayments,
    key: str,
    number: int = 0,
    others: tuple[StopCard, ...] = (),
) -> StopCard:
    waits = stop.offer.terms.approval or payments.is_waited_for(stop.offer)
    return StopCard(stop, dict(_carried(trip, stop.offer, key)), number, waits, others)


def _carried(trip: Trip, offer: SlotOffer, key: str) -> Iterator[tuple[str, Any]]:
    """What bookings.pages.forms.slots.ReserveForm reads."""
    period, search = offer.period.in_utc(), trip.search
    yield "fleet", search.fleet.pk
    yield "option", offer.option.pk
    if offer.evse:
        yield "evse", offer.evse.pk
    yield "vehicle", search.vehicle.pk if search.vehicle else ""
    yield "starts_at", period.starts_at.isoformat()
    yield "ends_at", period.ends_at.isoformat()
    yield "request_id", key
    yield "shown_at", search.now.isoformat()
    yield "shown_price", f"{offer.quote.total} {offer.quote.currency}" if offer.quote else "none"


def _failure(found: NoPlan, trip: Trip) -> str:
    """Where the plan ends, and what would help."""
    where = f"between km {round(found.since_km)} and km {round(found.until_km)}"
    needs = {
        "energy": f"the battery asks for a charge {where}",
        "rest": f"the driver's day ends {where}",
        "break": f"the driver's break is due {where}, after {hours(DRIVING_PERIOD)} of driving",
    }[found.limit]
    if found.why_not:
        return f"No plan: {needs}, and no depot there has a slot in time. The first says: {found.why_not}"
    within = f"within {trip.journey.corridor_km:g} km of the route"
    return f"No plan: {needs}, and no depot that fits and is open to you lies there {within}."


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
