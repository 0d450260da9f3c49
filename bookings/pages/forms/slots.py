from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid5
from zoneinfo import ZoneInfo

from django import forms

from bookings.models import BookingOption, Trailer, Vehicle
from bookings.operations import SlotRequest
from bookings.pages.forms.energy import ENERGY_FIELDS, EnergyFields, energy_of, written
from bookings.pages.forms.fields import (
    FARTHEST,
    TOO_LONG,
    MomentField,
    MomentInput,
    RowField,
    ShownPriceField,
    period_in,
)
from bookings.pages.forms.finder_place import PlaceFields
from bookings.rules.periods import LATE_TOLERANCE
from bookings.rules.terms import LONGEST_BOOKING
from bookings.search.bookable import bookable_depots, bookable_options
from bookings.search.slots import SlotSearch
from depots.models import Depot, Evse, Organisation
from depots.periods import Period
from depots.wall_clock import MomentUnclear, in_zone, local_text

USUAL = timedelta(hours=1)
STEP_MIN = 15
# A slot is sent with the question whose results it stood in, each field under its name with this before it.
ASKED = "asked_"
# What is left out of a question where it is not given.
OPTIONAL = (*ENERGY_FIELDS, "trailer", "latest_start", "max_price")


class TimeFault(NamedTuple):
    """Why a wall-clock time cannot be taken in one zone: at which field, and whether it only needs a Turn."""

    field: str
    sentence: str
    is_repeated: bool = False


class SearchForm(EnergyFields, PlaceFields):
    """The finder. Whatever is not given has a default, so that opening it shows something. With energy or states of charge the
    end is not asked: each slot is as long as charging it takes there."""

    fleet = RowField[Organisation](missing="You do not book for this fleet.", none="", label="For")
    depot = RowField[Depot](missing="There is no such depot open to you.", none="All depots", label="Depot")
    vehicle = RowField[Vehicle](
        missing="There is no such vehicle in your fleet.", none="Any vehicle", label="Vehicle"
    )
    trailer = RowField[Trailer](
        missing="There is no such trailer in your fleet.", none="No trailer", label="Trailer"
    )
    starts_at = MomentField(label="From")
    ends_at = MomentField(label="To")

    def __init__(
        self,
        given: Mapping[str, Any],
        *,
        fleets: list[Organisation],
        vehicles: list[Vehicle],
        trailers: Sequence[Trailer] = (),
        now: datetime,
    ) -> None:
        super().__init__()
        self.now, self.fleets = now, fleets
        self._offer("fleet", fleets, lambda f: f.name, lambda f: f.name)
        self._offer("vehicle", vehicles, lambda v: v.plate, lambda v: v.plate, heading=lambda v: v.fleet.name)
        self.chosen_fleet = self._fleet(given, vehicles)
        own = [trailer for trailer in trailers if trailer.fleet_id == self.chosen_fleet.pk]
        self._offer("trailer", own, lambda t: t.plate, lambda t: t.plate)
        self.has_trailers = bool(own)
        self.depots = bookable_depots(self.chosen_fleet, now=now)
        self._offer("depot", self.depots, lambda d: d.code, depot_label)
        if len(fleets) == 1:
            del self.fields["fleet"]
        self.is_bound = True
        names = {*self.fields, *(f"{name}_turn" for name in ("starts_at", "ends_at"))}
        self.data = {**self._defaults(vehicles), **{k: given[k] for k in names if k in given}}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        depot, first, last = (cleaned.get(name) for name in ("depot", "starts_at", "ends_at"))
        cleaned["energy"] = energy_of(self, cleaned.get("vehicle"))
        cleaned["patience"] = self.patience_from(first)
        if cleaned["energy"] and first is not None:
            last = first + USUAL
        if first is None or last is None or self.errors:
            return cleaned
        zones = {depot.time_zone} if depot else {d.time_zone for d in self.depots} or {"UTC"}
        periods: dict[str, Period] = {}
        refused: dict[str, list[TimeFault]] = {}
        for zone in sorted(zones):
            found = _period(first, last, ZoneInfo(zone))
            if isinstance(found, Period):
                periods[zone] = found
            else:
                refused[zone] = found
        cleaned["periods"] = periods
        cleaned["unclear"] = {zone: " ".join(r.sentence for r in found) for zone, found in refused.items()}
        if periods:
            self._check_reach(periods.values())
        else:  # what makes sense nowhere is wrong in the field
            self._refuse(next(iter(refused.values())))
        return cleaned

    def search(self) -> SlotSearch:
        """Of a valid form. A wall-clock time means another moment in each zone: there is a period for each in which it
        means one; `cleaned_data["unclear"]` says why not in the others."""
        cleaned = self.cleaned_data
        return SlotSearch(
            self.chosen_fleet,
            cleaned["periods"],
            self.now,
            depot=cleaned["depot"],
            near=self.circle,
            among=self.meant,
            vehicle=cleaned["vehicle"],
            trailer=cleaned["trailer"],
            min_power_w=self.least_power_w,
            energy=cleaned["energy"],
            patience=cleaned["patience"],
            most_price=cleaned["max_price"],
            with_live=True,
        )

    def query(self, depot: Depot | None, vehicle: Vehicle | None, period: Period) -> dict[str, str]:
        """The parameters of a search that differs from this one in its time or place."""
        zone = depot.zone if depot else ZoneInfo("UTC")
        found = {
            "depot": self._row_field("depot").value_of(depot),
            "vehicle": self._row_field("vehicle").value_of(vehicle),
            "starts_at": local_text(period.starts_at, zone),
            "ends_at": local_text(period.ends_at, zone),
            **self.placed(),
            **written(self.cleaned_data["energy"]),
            **self._of_trailer(),
        }
        return (
            {"fleet": self._row_field("fleet").value_of(self.chosen_fleet), **found}
            if self.several
            else found
        )

    def _of_trailer(self) -> dict[str, str]:
        trailer = self.cleaned_data["trailer"]
        return {"trailer": self._row_field("trailer").value_of(trailer)} if trailer else {}

    def shows(self, wanted: Mapping[str, Any]) -> bool:
        """Whether the results of this question have such a slot for such a vehicle (the fields of a ReserveForm); by energy
        whatever its end."""
        option, period, energy = wanted["option"], wanted["period"], wanted["energy"]
        if not self.is_valid():
            return False
        search = self.search()
        asked = search.period_at(option.depot)
        return (
            search.depot in (None, option.depot)
            and option.depot in self.meant
            and (search.near is None or search.near.contains(option.depot.latitude, option.depot.longitude))
            and search.vehicle == wanted["vehicle"]
            and search.trailer == wanted["trailer"]
            and search.energy == energy
            and asked is not None
            and _is_within(search, asked, period)
        )

    @property
    def question(self) -> dict[str, Any]:
        """The fields as they stand, by the names under which a slot of the results carries them."""
        values = {name: self[name].value() or "" for name in self.fields}
        return {f"{ASKED}{n}": value for n, value in values.items() if value or n not in OPTIONAL}

    @property
    def is_by_energy(self) -> bool:
        """Whether one of its fields is filled in."""
        return any(self[name].value() for name in ENERGY_FIELDS)

    @property
    def several(self) -> bool:
        return len(self.fleets) > 1

    def _fleet(self, given: Mapping[str, Any], vehicles: list[Vehicle]) -> Organisation:
        """The vehicle's fleet, else the one asked for, else the first that has vehicles."""
        for name in ("vehicle", "fleet"):
            row = self._row_field(name).row(given.get(name))
            if isinstance(row, Vehicle):
                return row.fleet
            if isinstance(row, Organisation):
                return row
        with_vehicles = {vehicle.fleet_id for vehicle in vehicles}
        return next((fleet for fleet in self.fleets if fleet.pk in with_vehicles), self.fleets[0])

    def _defaults(self, vehicles: list[Vehicle]) -> dict[str, str]:
        # The zone that is furthest ahead: an hour from now there lies in the past nowhere.
        zones = [depot.zone for depot in self.depots] or [ZoneInfo("UTC")]
        east = max(zones, key=lambda zone: self.now.astimezone(zone).utcoffset() or timedelta())
        start = _aligned(self.now + timedelta(minutes=30))
        mine = [vehicle for vehicle in vehicles if vehicle.fleet_id == self.chosen_fleet.pk]
        return {
            "fleet": self._row_field("fleet").value_of(self.chosen_fleet) if self.several else "",
            "depot": "",
            "vehicle": self._row_field("vehicle").value_of(mine[0]) if len(mine) == 1 else "",
            "starts_at": local_text(start, east),
            "ends_at": local_text(start + USUAL, east),
        }

    def _refuse(self, refused: list[TimeFault]) -> None:
        for name, sentence, is_repeated in refused:
            widget = self.fields[name].widget
            if is_repeated and isinstance(widget, MomentInput):
                widget.asks_turn = True
            self.add_error(name, sentence)

    def _check_reach(self, periods: Iterable[Period]) -> None:
        """A wall clock that lies in the past in one zone may lie ahead in another."""
        starts = [period.starts_at for period in periods]
        if max(starts) < self.now - LATE_TOLERANCE:
            self._add_once("starts_at", "The slot starts in the past.")
        if max(starts) > self.now + FARTHEST:
            self._add_once("starts_at", "This is more than a year ahead.")

    def _add_once(self, name: str, sentence: str) -> None:
        if name not in self.errors:
            self.add_error(name, sentence)

    def _offer(self, name: str, rows: Iterable[Any], key: Any, label: Any, heading: Any = None) -> None:
        self._row_field(name).offer(rows, key, label, heading=heading)

    def _row_field(self, name: str) -> RowField[Any]:
        field = self.fields.get(name) or self.base_fields[name]
        assert isinstance(field, RowField)
        return field


class ReserveForm(EnergyFields):
    """One slot out of the finder's results, to hold or to book. Its fields are hidden: a wrong one is a forged one.

    `asked` is the question that was on the page when it was sent; empty where a slot comes without one. `despite` names
    bookings of the same vehicle or cards at that time, of which was told, and `shown_at` when the page was made.
    `shown_price` is its price there, as `12.30 EUR`, or `none`.
    """

    fleet = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    option = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    evse = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    vehicle = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    trailer = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    starts_at = MomentField()
    ends_at = MomentField()
    request_id = forms.UUIDField(required=False)
    shown_at = forms.DateTimeField(required=False)
    shown_price = ShownPriceField()
    despite = forms.RegexField(r"^\d{1,18}(,\d{1,18}){0,99}$", required=False)

    def __init__(
        self, given: Mapping[str, Any], *, fleets: list[Organisation], vehicles: list[Vehicle], now: datetime
    ) -> None:
        super().__init__(given)
        self.now = now
        names = SearchForm.base_fields
        self.asked = {name: given[ASKED + name] for name in names if ASKED + name in given}
        self._fleets = {fleet.pk: fleet for fleet in fleets}
        self._vehicles = {vehicle.pk: vehicle for vehicle in vehicles}

    def request_ids(self, act: str) -> Iterator[str]:
        """Of a valid form, the ids under which its slot is asked for: one after the other, as often as it is.

        All slots of a page carry one key, so an id follows from the key, the act and all that is asked for. The same
        sent twice is one ask; another EVSE, vehicle or time is another one. Once the booking that was made by an id is
        over, the same is asked for anew, by the next. A form without a key has none.
        """
        wanted = self.cleaned_data
        if wanted["request_id"] is None:
            return
        asked = [getattr(wanted[name], "pk", None) for name in ("fleet", "option", "evse", "vehicle")]
        asked += [wanted["trailer"].pk] if wanted["trailer"] else []
        content = [act, *asked, *wanted["period"].as_json().values(), *written(wanted["energy"]).items()]
        for time in count():
            yield str(uuid5(wanted["request_id"], "|".join(map(str, [*content, time]))))

    def slot_request(self, request_id: str) -> SlotRequest:
        """Of a valid form, what it asks for, under this id."""
        wanted = self.cleaned_data
        asked = {
            name: wanted[name]
            for name in ("fleet", "option", "period", "vehicle", "trailer", "evse", "energy")
        }
        return SlotRequest(**asked, request_id=request_id, shown_price=wanted["shown_price"])

    def clean_despite(self) -> set[int]:
        return {int(number) for number in self.cleaned_data["despite"].split(",") if number}

    def clean_fleet(self) -> Organisation:
        fleet = self._fleets.get(self.cleaned_data["fleet"])
        if fleet is None:
            raise forms.ValidationError("You do not book for this fleet.")
        return fleet

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        option = self._option(cleaned["fleet"], cleaned["option"])
        if option is None:
            self.add_error("option", "This is not open to you (any more).")
            return cleaned
        cleaned["option"] = option
        cleaned["evse"] = self._evse(option, cleaned["evse"])
        cleaned["vehicle"] = self._vehicle(cleaned["fleet"], cleaned["vehicle"])
        cleaned["trailer"] = self._trailer(cleaned["fleet"], cleaned["trailer"])
        cleaned["energy"] = energy_of(self, cleaned["vehicle"])
        first, last = cleaned["starts_at"], cleaned["ends_at"]
        cleaned["period"] = period_in(self, first, last, option.depot.zone, now=self.now)
        return cleaned

    def _option(self, fleet: Organisation, option_id: int) -> BookingOption | None:
        return bookable_options(fleet, now=self.now).filter(pk=option_id).first()

    def _evse(self, option: BookingOption, evse_id: int | None) -> Evse | None:
        found = next((evse for evse in option.evses.all() if evse.pk == evse_id), None)
        if evse_id and found is None:
            self.add_error("evse", "This EVSE does not belong to what is booked.")
        return found

    def _vehicle(self, fleet: Organisation, vehicle_id: int | None) -> Vehicle | None:
        found = self._vehicles.get(vehicle_id or 0)
        if vehicle_id and (found is None or found.fleet_id != fleet.pk):
            self.add_error("vehicle", "There is no such vehicle in your fleet.")
        return found

    def _trailer(self, fleet: Organisation, trailer_id: int | None) -> Trailer | None:
        if not trailer_id:
            return None
        found = Trailer.objects.filter(pk=trailer_id, fleet=fleet, is_retired=False).first()
        if found is None:
            self.add_error("trailer", "There is no such trailer in your fleet.")
        return found


def carried(form: ReserveForm) -> dict[str, str]:
    """Of a valid form the fields that say which slot it is, as they were sent."""
    names = ("fleet", "option", "evse", "vehicle", "trailer", "starts_at", "ends_at", *ENERGY_FIELDS)
    return {name: form.data[name] for name in names if form.data.get(name)}


def _is_within(search: SlotSearch, asked: Period, shown: Period) -> bool:
    """Whether results for the asked period can show this one: by energy whatever its end, and what can wait, its length rounded
    up, as late as it may begin."""
    if search.patience is None:
        return asked.starts_at == shown.starts_at and (bool(search.energy) or asked.ends_at == shown.ends_at)
    is_in_time = timedelta() <= shown.starts_at - asked.starts_at <= search.patience
    return is_in_time and (bool(search.energy) or shown.duration >= asked.duration)


def _period(first: datetime, last: datetime, zone: ZoneInfo) -> Period | list[TimeFault]:
    """The span on one zone's wall clock, or what is wrong with it there."""
    moments: list[datetime] = []
    refused = []
    for name, moment in (("starts_at", first), ("ends_at", last)):
        try:
            moments.append(in_zone(moment, zone))
        except MomentUnclear as unclear:
            refused.append(TimeFault(name, str(unclear), unclear.is_repeated))
    if refused:
        return refused
    starts_at, ends_at = moments
    if ends_at <= starts_at:
        return [TimeFault("ends_at", "The end lies before the start.")]
    if ends_at - starts_at > LONGEST_BOOKING:
        return [TimeFault("ends_at", TOO_LONG)]
    return Period(starts_at, ends_at)


def depot_label(depot: Depot) -> str:
    partner = f" · partner {depot.operator.name}" if depot.is_mirror else ""
    return f"{depot.name}{partner}"


def _aligned(moment: datetime) -> datetime:
    """The next quarter of an hour, in any zone there is."""
    moment = moment.replace(second=0, microsecond=0)
    return moment + timedelta(minutes=-moment.minute % STEP_MIN)
