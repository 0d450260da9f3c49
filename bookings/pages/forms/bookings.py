from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django import forms

from bookings.models import (
    GROUP,
    Booking,
    BookingOption,
    BookingStatus,
    BookingToken,
    CancelReason,
    Token,
    Trailer,
    Vehicle,
)
from bookings.pages import overlaps, wording
from bookings.pages.forms.energy import ENERGY_FIELDS, EnergyFields, energy_of, written
from bookings.pages.forms.fields import DayInput, MomentField, RowField, ShownPriceField, period_in
from bookings.pages.forms.row_versions import ShownForm
from bookings.rules import fit
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.energy_slots import asked_of
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from bookings.search.bookable import bookable_options, evses_with_bays
from depots.models import Depot, Evse
from depots.token_numbers import normalise
from depots.wall_clock import local_text


@dataclass(frozen=True)
class GroupChoice:
    """A group of the fleet's tokens among the tokens themselves."""

    uid: str
    members: int
    type: str = GROUP
    contract_id: str = ""
    vehicle_id: int | None = None
    is_blocked: bool = False

    @property
    def pk(self) -> str:
        return f"{GROUP}:{self.uid}"

    @property
    def label(self) -> str:
        return f"Group {self.uid} · any of {self.members} token{'s' if self.members != 1 else ''}"


class ChangeForm(EnergyFields, ShownForm):
    """What a fleet may change of a booking; what is left as it was shown, is not asked for. Of one that charges, its end; of
    one whose deadline for changes is over, its vehicle and tokens, until the no-show time. Where other energy is asked for, the
    end follows from it, whatever its field says.

    `shown_price` is what the page said the change costs, when its fields were as `shown_for` says.
    """

    starts_at = MomentField(label="From")
    ends_at = MomentField(label="To")
    evse = RowField[Evse](
        missing="This EVSE does not belong to what is booked.",
        none="Keep, or any free one",
        label="EVSE",
    )
    vehicle = RowField[Vehicle](
        missing="There is no such vehicle in your fleet.", none="No vehicle yet", label="Vehicle"
    )
    trailer = RowField[Trailer](
        missing="There is no such trailer in your fleet.", none="No trailer", label="Trailer"
    )
    tokens = forms.MultipleChoiceField(
        label="Tokens and groups that may charge", required=False, widget=forms.CheckboxSelectMultiple
    )

    despite = forms.RegexField(r"^\d{1,18}(,\d{1,18}){0,99}$", required=False, widget=forms.HiddenInput)
    shown_price = ShownPriceField()
    shown_for = forms.CharField(required=False, max_length=400, widget=forms.HiddenInput)

    def __init__(self, booking: Booking, given: Mapping[str, Any] | None, *, now: datetime) -> None:
        self.booking, self.now = booking, now
        self._other_options: dict[Evse, BookingOption] = {}
        zone = booking.depot.zone
        self._named = {(normalise(t.uid, t.type), t.type) for t in booking.tokens.all()}
        own = list(Token.objects.filter(fleet=booking.fleet_id).select_related("vehicle"))
        self._tokens: list[Token | GroupChoice] = [*own, *(groups_of(own) if booking.is_ours else [])]
        mine = [str(t.pk) for t in self._tokens if (normalise(t.uid, t.type), t.type) in self._named]
        initial = {
            "starts_at": local_text(booking.starts_at, zone),
            "ends_at": local_text(booking.ends_at, zone),
            "vehicle": booking.vehicle.plate if booking.vehicle else "",
            "trailer": booking.trailer.plate if booking.trailer else "",
            "tokens": mine,
            **written(asked_of(booking)),
        }
        super().__init__(given, initial=initial)
        if self.is_of_end:
            for name in ("starts_at", "evse", "vehicle", "trailer", "tokens", *ENERGY_FIELDS):
                del self.fields[name]
            return
        if self.is_of_truck:
            for name in ("starts_at", "ends_at", "evse", *ENERGY_FIELDS):
                del self.fields[name]
        else:
            self._offer_evses()
        self._offer_vehicles()
        self._offer_trailers()
        offered = [t for t in self._tokens if not t.is_blocked or str(t.pk) in mine]
        offered.sort(key=lambda t: (str(t.pk) not in mine, t.vehicle_id != booking.vehicle_id, t.uid))
        field = self.fields["tokens"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(str(t.pk), _token_label(t)) for t in offered]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.is_of_truck:
            cleaned["period"] = self.booking.period
            if self._asks_for_another_slot():
                self.add_error(None, wording.why_no_other_time(self.booking, now=self.now))
        elif not self.errors:
            first = cleaned.get("starts_at", self.booking.starts_at)
            zone = self.booking.depot.zone
            cleaned["period"] = period_in(self, first, cleaned["ends_at"], zone, now=self.now)
        if not self.errors and self._is_other_energy():
            vehicle = cleaned["vehicle"] if self.is_edited("vehicle") else None
            cleaned["energy"] = energy_of(self, vehicle or self.booking.vehicle) or EnergyAsked()
        return cleaned

    def _is_other_energy(self) -> bool:
        fields = [name for name in ENERGY_FIELDS if name in self.fields]
        return any(name in self.data and self.is_edited(name) for name in fields)

    @property
    def is_by_energy(self) -> bool:
        return any(self[name].value() for name in ENERGY_FIELDS if name in self.fields)

    @property
    def is_of_end(self) -> bool:
        """Whether it can only be shortened or extended."""
        return self.booking.status == BookingStatus.CHARGING

    def _asks_for_another_slot(self) -> bool:
        """By a page from before the deadline."""
        times = ("starts_at", "ends_at")
        return bool(self.data.get("evse")) or any(
            self.data.get(name, self.initial[name]) != self.initial[name] for name in times
        )

    @cached_property
    def is_of_truck(self) -> bool:
        """Whether only another vehicle or other tokens can be chosen."""
        return wording.is_only_of_truck(self.booking, now=self.now)

    def wishes(self) -> dict[str, Any]:
        """Of a valid form: only what differs, as a ChangeRequest takes it."""
        found: dict[str, Any] = {}
        booking, cleaned = self.booking, self.cleaned_data
        if self.is_of_end:
            ends_at = cleaned["period"].ends_at
            return {"ends_at": ends_at} if self.is_edited("ends_at") and ends_at != booking.ends_at else {}
        is_timed = not self.is_of_truck and (self.is_edited("starts_at") or self.is_edited("ends_at"))
        if is_timed and cleaned["period"] != booking.period:
            found["period"] = cleaned["period"]
        energy = cleaned.get("energy")
        if energy is not None and (energy or None) != asked_of(booking):
            found |= {"energy": energy, "ends_when_charged": bool(energy)}
        evse, vehicle = cleaned.get("evse"), cleaned["vehicle"]
        if evse is not None and evse.pk != booking.evse_id:
            found["evse"] = evse
            if (option := self._other_options.get(evse)) is not None:
                found["option"] = option
        if self.is_edited("vehicle") and vehicle is not None and vehicle.pk != booking.vehicle_id:
            found["vehicle"] = vehicle
        found |= self._trailer_asked()
        if (tokens := self._tokens_asked(is_new_vehicle="vehicle" in found)) is not None:
            found["tokens"] = [TokenName(t.uid, t.type, contract_id=t.contract_id) for t in tokens]
        if found and self.is_of_truck:
            found["until_no_show"] = True
        return found

    @property
    def priced_for(self) -> str:
        """Of a bound form: what in it a price depends on, as it was sent."""
        return "|".join(
            str(self.data.get(name, ""))[:80]
            for name in ("starts_at", "ends_at", "evse", "vehicle", "trailer", *ENERGY_FIELDS)
        )

    @property
    def price_shown(self) -> dict[str, str] | None:
        """Of a valid form; None where none was shown for what it says by now."""
        is_of_this = self.cleaned_data["shown_for"] == self.priced_for
        price: dict[str, str] | None = self.cleaned_data["shown_price"]
        return price if is_of_this else None

    def elsewhere(self) -> list[Booking]:
        """Of a valid form: where the truck or its cards would be booked as well, as far as was neither told yet nor is so
        already."""
        wishes, booking = self.wishes(), self.booking
        if not wishes.keys() & {"period", "ends_at", "energy", "vehicle", "tokens"}:
            return []
        vehicle = wishes.get("vehicle", booking.vehicle)
        names = wishes.get("tokens")
        kept = None if "vehicle" in wishes else _uids(booking.tokens.all())
        uids = _uids(names) if names is not None else kept
        period = self.cleaned_data["period"]
        found = overlaps.overlapping(booking.fleet, period, vehicle=vehicle, uids=uids, besides=booking.pk)
        if wishes.keys() & {"vehicle", "tokens"} == set():
            found = [other for other in found if not other.period.overlaps(booking.period)]
        told = {int(number) for number in self.cleaned_data["despite"].split(",") if number}
        return [other for other in found if other.pk not in told]

    def warn(self, elsewhere: list[Booking]) -> None:
        """Ask to send it again, knowing of the overlap."""
        words = overlaps.sentence(elsewhere, self.cleaned_data.get("vehicle") or self.booking.vehicle)
        self.add_error(None, f"{words} Nothing was changed yet: save again to have it all the same.")
        told = [*self.data.get("despite", "").split(","), *(str(other.pk) for other in elsewhere)]
        sent: Any = copy(self.data)
        sent["despite"] = ",".join(filter(None, told))
        self.data = sent

    def _trailer_asked(self) -> dict[str, Any]:
        if "trailer" not in self.fields or "trailer" not in self.data or not self.is_edited("trailer"):
            return {}
        trailer = self.cleaned_data["trailer"]
        if (trailer.pk if trailer else None) == self.booking.trailer_id:
            return {}
        return {"trailer": trailer} if trailer else {"drops_trailer": True}

    def _tokens_asked(self, *, is_new_vehicle: bool) -> list[Token | GroupChoice] | None:
        """Tokens that came with the vehicle go with it, those chosen by hand stay."""
        chosen = [t for t in self._tokens if str(t.pk) in self.cleaned_data["tokens"]]
        if {(normalise(t.uid, t.type), t.type) for t in chosen} != self._named:
            return chosen if self.is_edited("tokens") else None
        is_by_hand = is_new_vehicle and self._named and chosen and not self._were_the_vehicles()
        return chosen if is_by_hand else None

    def _were_the_vehicles(self) -> bool:
        theirs = {
            (normalise(t.uid, t.type), t.type) for t in self._tokens
            if t.vehicle_id and t.vehicle_id == self.booking.vehicle_id
        }  # fmt: skip
        return self._named <= theirs

    def _offer_evses(self) -> None:
        """Those of what is booked, and those it fits that the depot offers otherwise."""
        own = list(evses_with_bays().filter(options=self.booking.option_id).order_by("uid"))
        if self.booking.is_ours:
            self._other_options = self._offered_otherwise({evse.pk for evse in own})
        rows = [*own, *self._other_options]
        if not self.booking.is_ours or len(rows) < 2:
            del self.fields["evse"]
            return
        field = self.fields["evse"]
        assert isinstance(field, RowField)
        field.offer(
            rows, lambda e: e.uid, lambda e: f"{e.uid} · {e.max_power_w / 1000:g} kW",
            heading=lambda e: "Other offers of this depot" if e in self._other_options else "",
        )  # fmt: skip

    def _offered_otherwise(self, own: set[int]) -> dict[Evse, BookingOption]:
        """By EVSE the narrowest of the depot's other options that are open to the fleet."""
        booking, needs = self.booking, Needs.of(self.booking.vehicle, self.booking.trailer)
        options = bookable_options(booking.fleet, now=self.now).filter(depot=booking.depot_id)
        others = [option for option in options if option.pk != booking.option_id]
        found: dict[Evse, BookingOption] = {}
        for option in sorted(others, key=lambda option: len(option.evses.all()), reverse=True):
            fitting = [evse for evse in option.evses.all() if not fit.misfits(needs, evse)]
            found |= {evse: option for evse in fitting if evse.pk not in own}
        return dict(sorted(found.items(), key=lambda item: item[0].uid))

    def _offer_trailers(self) -> None:
        rows = Trailer.objects.filter(fleet=self.booking.fleet_id).order_by("plate")
        offered = [t for t in rows if not t.is_retired or t.pk == self.booking.trailer_id]
        if not offered:
            del self.fields["trailer"]
            return
        field = self.fields["trailer"]
        assert isinstance(field, RowField)
        field.offer(offered, lambda t: t.plate, lambda t: t.plate)

    def _offer_vehicles(self) -> None:
        rows = Vehicle.objects.filter(fleet=self.booking.fleet_id).order_by("plate")
        field = self.fields["vehicle"]
        assert isinstance(field, RowField)
        field.offer(
            [v for v in rows if not v.is_retired or v.pk == self.booking.vehicle_id],
            lambda v: v.plate,
            lambda v: v.plate,
        )


def groups_of(tokens: Iterable[Token]) -> list[GroupChoice]:
    """Of tokens read with their vehicles, by name (without regard to case), each with how many of its tokens work."""
    works = [t for t in tokens if t.group_name and not t.is_blocked]
    names = [t.group_name for t in works if t.vehicle is None or not t.vehicle.is_retired]
    members = Counter(name.upper() for name in names)
    written = {name.upper(): name for name in reversed(names)}
    return [GroupChoice(written[key], count) for key, count in sorted(members.items())]


class ConfirmForm(forms.Form):
    """What is still chosen when a hold is confirmed: a group of the fleet instead of the tokens it is held with."""

    group = forms.CharField(required=False, max_length=36)

    def tokens(self) -> list[TokenName] | None:
        """Of a valid form; None for those it has."""
        name = self.cleaned_data["group"]
        return [TokenName(name, GROUP)] if name else None


class CancelForm(forms.Form):
    """Why a fleet gives a booking up; the names are those partners hear."""

    reason = forms.ChoiceField(
        label="Why?",
        choices=[(reason.value, reason.label) for reason in CancelReason.of(Booking.Side.FLEET)],
        widget=forms.RadioSelect,
    )
    note = forms.CharField(label="Note", required=False, max_length=200)


class ListForm(forms.Form):
    """What the list of bookings is narrowed to. Days are those of each depot."""

    depot = RowField[Depot](missing="You have no bookings at such a depot.", none="All depots", label="Depot")
    vehicle = RowField[Vehicle](
        missing="There is no such vehicle in your fleet.", none="All vehicles", label="Vehicle"
    )
    status = forms.ChoiceField(
        label="Status", required=False, choices=[("", "Any status"), *BookingStatus.choices]
    )
    first_day = forms.DateField(label="From day", required=False, widget=DayInput)
    last_day = forms.DateField(label="To day", required=False, widget=DayInput)

    def __init__(self, given: Mapping[str, Any], *, depots: list[Depot], vehicles: list[Vehicle]) -> None:
        super().__init__(given)
        for name, rows, key in (("depot", depots, _code), ("vehicle", vehicles, str)):
            field = self.fields[name]
            assert isinstance(field, RowField)
            field.offer(rows, key, str)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first_day"), cleaned.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", "The last day lies before the first.")
        for name, day in (("first_day", first), ("last_day", last)):
            if day and not 1970 <= day.year < 9000:
                self.add_error(name, "This is no day of ours.")
        return cleaned


def _code(depot: Depot) -> str:
    return depot.code


def _uids(tokens: Iterable[BookingToken | TokenName]) -> list[str]:
    """Of what is in one place at a time: a group is not."""
    return [token.uid for token in tokens if token.type != GROUP]


def _token_label(token: Token | GroupChoice) -> str:
    if isinstance(token, GroupChoice):
        return token.label
    whose = token.vehicle.plate if token.vehicle else token.label
    return " · ".join(part for part in (token.get_type_display(), token.uid, whose) if part)
