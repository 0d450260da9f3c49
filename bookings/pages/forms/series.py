"""How a booking is to come again, and what is to become of a series."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from bookings.models import Booking, BookingToken, CancelReason, Token, Vehicle
from bookings.operations import ChangeRequest, Scope, SeriesRequest, SlotRequest
from bookings.pages.forms.fields import DayInput, MomentField, RowField, period_in
from bookings.rules import recurrence
from bookings.rules.energy_slots import asked_of
from bookings.rules.entitlement import TokenName
from bookings.rules.permissions import CHANGEABLE
from bookings.rules.recurrence import MOST_OCCURRENCES
from depots.models import Depot
from depots.periods import Period
from depots.wall_clock import MomentUnclear, local_text, read_moment

WEEKDAYS = [
    ("MO", "Mon"), ("TU", "Tue"), ("WE", "Wed"), ("TH", "Thu"), ("FR", "Fri"), ("SA", "Sat"), ("SU", "Sun"),
]  # fmt: skip
UNITS = [("DAILY", "days"), ("WEEKLY", "weeks"), ("MONTHLY", "months")]
_MOVED = re.compile(r"(\d{4}-\d\d-\d\d)\|([0-9T:.+-]{16,32})\|([0-9T:.+-]{16,32})", re.ASCII)


@dataclass(frozen=True)
class RepeatedSlot:
    """What is to come again, as it is asked for, and the day it is proposed to begin on; `adopts` is a booking, by id, that can
    be the first day itself."""

    asked: SlotRequest
    depot: Depot
    first_day: date
    adopts: int | None = None

    @classmethod
    def of_booking(cls, booking: Booking, *, now: datetime) -> RepeatedSlot:
        is_free = booking.status in CHANGEABLE and booking.series_id is None
        can_adopt = is_free and booking.starts_at > now
        day = booking.starts_at.astimezone(booking.depot.zone).date()
        asked = SlotRequest(
            fleet=booking.fleet, option=booking.option, vehicle=booking.vehicle, trailer=booking.trailer,
            evse=booking.evse if booking.is_evse_asked else None, power_w=booking.wished_power_w, energy=asked_of(booking),
            tokens=_own_tokens(booking), period=booking.period,
        )  # fmt: skip
        first_day = day if can_adopt else _next_such_day(day, now, booking)
        return cls(asked, booking.depot, first_day, booking.pk if can_adopt else None)

    @classmethod
    def of_found(cls, asked: SlotRequest) -> RepeatedSlot:
        depot = asked.option.depot
        return cls(asked, depot, asked.period.starts_at.astimezone(depot.zone).date())


class RepeatForm(forms.Form):
    """A rule for a slot, and what of its days is left out or moved.

    `moved` are hidden fields, a day each: `2030-01-16|start|end`, ISO 8601 with offsets.
    """

    first_day = forms.DateField(label="First day", widget=DayInput)
    interval = forms.IntegerField(label="Every", min_value=1, max_value=52)
    unit = forms.ChoiceField(label="Unit", choices=UNITS)
    weekdays = forms.MultipleChoiceField(
        label="On", choices=WEEKDAYS, required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Of weeks: without any the weekday of the first day.",
    )  # fmt: skip
    count = forms.IntegerField(
        label="So often in all", required=False, min_value=1, max_value=MOST_OCCURRENCES
    )
    until = forms.DateField(label="Or until", required=False, widget=DayInput)
    exceptions = forms.CharField(
        label="But not on", required=False, max_length=11 * MOST_OCCURRENCES,
        help_text="Days such as 2030-12-24, with commas between.",
    )  # fmt: skip

    def __init__(self, slot: RepeatedSlot, given: QueryDict | None) -> None:
        self.slot, self.zone, day = slot, slot.depot.zone, slot.first_day
        self.local = slot.asked.period.starts_at.astimezone(self.zone)
        self.moved: dict[date, Period] = {}
        initial = {
            "first_day": day,
            "interval": 1,
            "unit": "WEEKLY",
            "weekdays": [WEEKDAYS[day.weekday()][0]],
            "count": 4,
        }
        super().__init__(given, initial=initial)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and (cleaned["count"] is None) == (cleaned["until"] is None):
            self.add_error("count", "Say how often in all, or until which day.")
        return cleaned

    def clean_exceptions(self) -> frozenset[date]:
        try:
            return frozenset(
                date.fromisoformat(text)
                for text in re.split(r"[,;\s]+", self.cleaned_data["exceptions"])
                if text
            )
        except ValueError:
            raise forms.ValidationError("Days are written as 2030-12-24, with commas between.") from None

    @property
    def rrule(self) -> str:
        """Of a valid form."""
        asked = self.cleaned_data
        parts = [f"FREQ={asked['unit']}"]
        if asked["interval"] > 1:
            parts.append(f"INTERVAL={asked['interval']}")
        if asked["unit"] == "WEEKLY" and asked["weekdays"]:
            parts.append(f"BYDAY={','.join(asked['weekdays'])}")
        parts.append(f"COUNT={asked['count']}" if asked["count"] else f"UNTIL={asked['until']:%Y%m%d}")
        return ";".join(parts)

    def leave_out(self, day: str) -> None:
        """Of a bound form, before it is looked at."""
        given = QueryDict(mutable=True)
        given.update(self.data)
        given["exceptions"] = ", ".join(
            part for part in (given.get("exceptions", "").strip(" ,"), day) if part
        )
        self.data = given

    def move(self, lines: Iterable[str]) -> None:
        """Days that are to be at other times."""
        for line in lines:
            found = _MOVED.fullmatch(line)
            try:
                if found:
                    day = date.fromisoformat(found[1])
                    self.moved[day] = Period(
                        read_moment(found[2], self.zone), read_moment(found[3], self.zone)
                    )
            except (MomentUnclear, ValueError):
                continue  # nothing that this page made

    @property
    def moved_lines(self) -> list[str]:
        return [moved_line(day, period) for day, period in sorted(self.moved.items())]

    def series_request(self, request_id: str) -> SeriesRequest:
        """Of a valid form."""
        asked, period = self.cleaned_data, self.slot.asked.period
        is_same_day = asked["first_day"] == self.local.date()
        if not is_same_day:
            starts_at = recurrence.moment(datetime.combine(asked["first_day"], self.local.time()), self.zone)
            period = Period(starts_at, starts_at + period.duration)
        return SeriesRequest(
            rrule=self.rrule, first=replace(self.slot.asked, period=period), exceptions=asked["exceptions"],
            request_id=request_id, adopts=self.slot.adopts if is_same_day else None, moved=self.moved,
        )  # fmt: skip


def moved_line(day: date, period: Period) -> str:
    return f"{day}|{period.starts_at.isoformat()}|{period.ends_at.isoformat()}"


class SeriesChangeForm(forms.Form):
    """Which of a series, and what is to be different; times are those of the booking that is named, on the depot's clock."""

    scope = forms.ChoiceField(label="Change", widget=forms.RadioSelect)
    starts_at = MomentField(label="From")
    ends_at = MomentField(label="To")
    vehicle = RowField[Vehicle](
        missing="There is no such vehicle in your fleet.", none="As it is", label="Vehicle"
    )

    def __init__(self, named: Booking, given: Mapping[str, Any] | None, *, now: datetime) -> None:
        self.named, self.now, self.zone = named, now, named.depot.zone
        initial = {
            "scope": Scope.FOLLOWING.value,
            "starts_at": local_text(named.starts_at, self.zone),
            "ends_at": local_text(named.ends_at, self.zone),
        }
        super().__init__(given, initial=initial)
        day = f"{named.starts_at.astimezone(self.zone):%a %-d %b}"
        scope, vehicle = self.fields["scope"], self.fields["vehicle"]
        assert isinstance(scope, forms.ChoiceField)
        assert isinstance(vehicle, RowField)
        scope.choices = [
            (Scope.ONE.value, f"Only {day}"),
            (Scope.FOLLOWING.value, f"{day} and what follows"),
            (Scope.ALL.value, "All that have not begun"),
        ]
        rows = Vehicle.objects.filter(fleet=named.fleet_id, is_retired=False).order_by("plate")
        vehicle.offer(rows, lambda row: row.plate, lambda row: row.plate)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            times = (cleaned["starts_at"], cleaned["ends_at"])
            cleaned["period"] = period_in(self, *times, self.zone, now=self.now)
        return cleaned

    def change_request(self) -> ChangeRequest:
        """Of a valid form: only what differs."""
        period, vehicle = self.cleaned_data["period"], self.cleaned_data["vehicle"]
        is_moved = period != self.named.period
        return ChangeRequest(
            starts_at=period.starts_at if is_moved else None, ends_at=period.ends_at if is_moved else None,
            vehicle=vehicle if vehicle is not None and vehicle.pk != self.named.vehicle_id else None,
        )  # fmt: skip


class SeriesCancelForm(forms.Form):
    """How much of a series is given up, and why."""

    scope = forms.ChoiceField(label="Give up", widget=forms.RadioSelect)
    reason = forms.ChoiceField(
        label="Why?",
        choices=[(reason.value, reason.label) for reason in CancelReason.of(Booking.Side.FLEET)],
        widget=forms.RadioSelect,
    )

    def __init__(self, named: Booking | None, given: Mapping[str, Any] | None) -> None:
        super().__init__(given, initial={"scope": Scope.ALL.value, "reason": CancelReason.NO_CANCELED.value})
        scope = self.fields["scope"]
        assert isinstance(scope, forms.ChoiceField)
        scope.choices = [(Scope.ALL.value, "All that can still be given up")]
        if named is not None:
            day = f"{named.starts_at.astimezone(named.depot.zone):%a %-d %b}"
            scope.choices = [*scope.choices, (Scope.FOLLOWING.value, f"{day} and what follows")]


def _next_such_day(day: date, now: datetime, booking: Booking) -> date:
    """The next day of this weekday after today."""
    today = now.astimezone(booking.depot.zone).date()
    return today + timedelta(days=(day - today).days % 7 or 7)


def _own_tokens(booking: Booking) -> list[TokenName] | None:
    """None where they are the vehicle's, so that a card that is exchanged is exchanged there as well."""
    tokens: list[BookingToken] = list(booking.tokens.all())
    of_vehicle = Token.objects.filter(vehicle=booking.vehicle_id).values_list("uid", flat=True)
    if {token.uid.upper() for token in tokens} == {uid.upper() for uid in of_vehicle}:
        return None
    return [TokenName(token.uid, token.type, contract_id=token.contract_id) for token in tokens]
