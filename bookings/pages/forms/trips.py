"""The question of a trip: from where to where, when, with which vehicle, and how the driver takes breaks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Any

from django import forms

from bookings.models import Vehicle
from bookings.pages.forms.fields import FARTHEST, MomentField, RowField, moment_in
from bookings.pages.forms.place_input import UNKNOWN_PLACE, PlaceInput
from bookings.rules.driving_times import EXTENDED_DAY, RESTED, Breaks, Duty
from bookings.rules.periods import LATE_TOLERANCE
from bookings.rules.vehicle_range import EnergyUse, usual_wh_per_km
from bookings.search.along_route import MOST_CORRIDOR_KM, USUAL_CORRIDOR_KM, USUAL_SPEED_KMH, Journey
from bookings.search.bookable import bookable_depots
from bookings.search.routing import MOST_VIAS, route_through
from bookings.search.slots import SlotSearch
from bookings.search.trip_plan import Trip
from bookings.search.where import Where, place_meant
from depots.gazetteer import MOST_LETTERS
from depots.models import Organisation
from depots.periods import Period
from depots.routes import distance_km

USUAL_START = time(6)
# Further than that nobody drives in one go, and a plan would have no end.
MOST_KM = 6_000
_BREAKS = [(Breaks.WHOLE, "45 minutes at once"), (Breaks.IN_PARTS, "15 and then 30 minutes")]


class TripForm(forms.Form):
    """Whatever is not given has a default but the two ends; `places` has what they mean, of a valid form."""

    fleet = RowField[Organisation](missing="You do not book for this fleet.", none="", label="For")
    vehicle = RowField[Vehicle](
        missing="There is no such vehicle in your fleet.", none="Any vehicle", label="Vehicle"
    )
    origin = forms.CharField(label="From", max_length=MOST_LETTERS, widget=PlaceInput)
    destination = forms.CharField(label="To", max_length=MOST_LETTERS, widget=PlaceInput)
    depart_at = MomentField(label="Departure")
    via = forms.CharField(
        label="Via", required=False, max_length=300, widget=PlaceInput,
        help_text="Several with a semicolon between.",
    )  # fmt: skip
    breaks = forms.ChoiceField(label="Breaks", choices=_BREAKS)
    soc = forms.IntegerField(label="Battery at departure, %", min_value=1, max_value=100)
    kwh_per_100km = forms.FloatField(
        label="kWh on 100 km", required=False, min_value=10, max_value=1000,
        help_text="Empty: as such vehicles use, loaded.",
    )  # fmt: skip
    speed_kmh = forms.FloatField(label="Average km/h", min_value=20, max_value=130)
    corridor_km = forms.FloatField(label="Off the route, km at most", min_value=1, max_value=MOST_CORRIDOR_KM)
    min_power_kw = forms.IntegerField(label="Least power, kW", required=False, min_value=1, max_value=100_000)
    is_long_day = forms.BooleanField(label="A day of ten hours (at most two a week)", required=False)

    def __init__(
        self, given: Mapping[str, Any], *, fleets: list[Organisation], vehicles: list[Vehicle], now: datetime
    ) -> None:
        super().__init__()
        self.now, self.fleets = now, fleets
        self.is_asked = any(given.get(name) for name in ("origin", "destination"))
        self._rows("fleet").offer(fleets, lambda f: f.name, lambda f: f.name)
        self._rows("vehicle").offer(
            vehicles, lambda v: v.plate, lambda v: v.plate, heading=lambda v: v.fleet.name
        )
        vehicle = self._rows("vehicle").row(given.get("vehicle"))
        fleet = self._rows("fleet").row(given.get("fleet"))
        self.chosen_fleet = vehicle.fleet if vehicle else fleet or self._fleet_of(vehicles)
        if len(fleets) == 1:
            del self.fields["fleet"]
        self.depots = bookable_depots(self.chosen_fleet, now=now) if self.is_asked else []
        self.is_bound = self.is_asked
        named = {name: given[name] for name in [*self.fields, "depart_at_turn"] if name in given}
        self.initial = self.data = {**self._defaults(vehicles), **named}

    @property
    def several(self) -> bool:
        return len(self.fleets) > 1

    @property
    def finer(self) -> list[Any]:
        """The fields that most trips leave as they are."""
        names = (
            "via",
            "breaks",
            "soc",
            "kwh_per_100km",
            "speed_kmh",
            "corridor_km",
            "min_power_kw",
            "is_long_day",
        )
        return [self[name] for name in names]

    @property
    def has_finer_errors(self) -> bool:
        return any(field.errors for field in self.finer)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        origin, destination = self._place("origin"), self._place("destination")
        vias = self._vias()
        if origin is None or destination is None or vias is None:
            return cleaned
        cleaned["places"] = [origin, *vias, destination]
        points = [place.point for place in cleaned["places"]]
        if sum(distance_km(a, b) for a, b in pairwise(points)) > MOST_KM:
            self.add_error("destination", f"That is more than {MOST_KM:,} km away.")
        if (given := cleaned.get("depart_at")) is not None:
            cleaned["depart_at"] = self._departure(given, origin)
        return cleaned

    def trip(self) -> Trip:
        """Of a valid form. Raises OppositePoints."""
        cleaned, vehicle = self.cleaned_data, self.cleaned_data["vehicle"]
        route = route_through([place.point for place in cleaned["places"]])
        duty = Duty(limits=EXTENDED_DAY) if cleaned["is_long_day"] else RESTED
        journey = Journey(
            route, cleaned["depart_at"], corridor_km=cleaned["corridor_km"], speed_kmh=cleaned["speed_kmh"],
            duty=duty,
        )  # fmt: skip
        least_kw = cleaned["min_power_kw"]
        search = SlotSearch(
            self.chosen_fleet, Period(journey.depart_at, journey.depart_at + timedelta(hours=1)), self.now,
            vehicle=vehicle, min_power_w=least_kw * 1000 if least_kw else None, fitting_only=True,
        )  # fmt: skip
        energy = self._energy(vehicle)
        in_it = energy.battery_wh * cleaned["soc"] / 100 if energy else 0
        return Trip(journey, search, Breaks(cleaned["breaks"]), energy, in_it)

    def _energy(self, vehicle: Vehicle | None) -> EnergyUse | None:
        if vehicle is None or not vehicle.battery_wh:
            return None
        given = self.cleaned_data["kwh_per_100km"]
        wh = round(given * 10) if given else usual_wh_per_km(vehicle.vehicle_type)
        return EnergyUse(vehicle.battery_wh, wh, vehicle.max_power_w, vehicle.charge_curve)

    def _place(self, name: str) -> Where | None:
        text = self.cleaned_data.get(name)
        found = place_meant(text, self.depots) if text else None
        if text and found is None:
            self.add_error(name, UNKNOWN_PLACE)
        return found

    def _vias(self) -> list[Where] | None:
        texts = [text for text in (self.cleaned_data.get("via") or "").split(";") if text.strip()]
        if len(texts) > MOST_VIAS:
            self.add_error("via", f"At most {MOST_VIAS} places.")
            return None
        found = [place_meant(text, self.depots) for text in texts]
        known = [place for place in found if place is not None]
        if len(known) < len(texts):
            missing = texts[found.index(None)].strip()
            self.add_error("via", f"{missing}: {UNKNOWN_PLACE}")
            return None
        return known

    def _departure(self, given: datetime, origin: Where) -> datetime | None:
        moment = moment_in(self, "depart_at", given, origin.zone)
        if moment is None:
            return None
        if moment < self.now - LATE_TOLERANCE:
            self.add_error("depart_at", "The trip begins in the past.")
        if moment > self.now + FARTHEST:
            self.add_error("depart_at", "This is more than a year ahead.")
        return moment

    def _fleet_of(self, vehicles: list[Vehicle]) -> Organisation:
        with_vehicles = {vehicle.fleet_id for vehicle in vehicles}
        return next((fleet for fleet in self.fleets if fleet.pk in with_vehicles), self.fleets[0])

    def _defaults(self, vehicles: list[Vehicle]) -> dict[str, Any]:
        mine = [vehicle for vehicle in vehicles if vehicle.fleet_id == self.chosen_fleet.pk]
        tomorrow = datetime.combine(self.now.date() + timedelta(days=1), USUAL_START)
        return {
            "fleet": self._rows("fleet").value_of(self.chosen_fleet) if self.several else "",
            "vehicle": self._rows("vehicle").value_of(mine[0]) if len(mine) == 1 else "",
            "depart_at": f"{tomorrow:%Y-%m-%dT%H:%M}",
            "breaks": Breaks.WHOLE.value,
            "soc": 100,
            "speed_kmh": f"{USUAL_SPEED_KMH:g}",
            "corridor_km": f"{USUAL_CORRIDOR_KM:g}",
        }

    def _rows(self, name: str) -> RowField[Any]:
        field = self.fields.get(name) or self.base_fields[name]
        assert isinstance(field, RowField)
        return field
