"""What a depot's manager fills in: where and when a booking goes, why it is cancelled or declined, a closure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import forms

from bookings.errors import BookingError, RuleUnclear
from bookings.models import Booking, CancelReason
from bookings.operations.closure_plan import Outage
from bookings.operations.counter_offer import CounterOffer
from bookings.pages.forms.fields import DayInput, MomentField, RowField, moment_in
from depots.models import Depot, Evse
from depots.periods import Period
from depots.standards import PLUGS
from depots.wall_clock import local_text


class EvseField(RowField[Evse]):
    """One of a depot's EVSEs, by its uid."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            missing="There is no such EVSE at this depot.",
            none="",
            **{"label": "EVSE", "required": True, **options},
        )

    def offer_evses(self, evses: Iterable[Evse]) -> None:
        self.offer(evses, lambda evse: evse.uid, _label)


class PeriodForm(forms.Form):
    """A span on the depot's clock; `period` once valid. Times may carry an offset, which then counts."""

    starts_at = MomentField(label="From")
    ends_at = MomentField(label="To")

    def __init__(self, *args: Any, depot: Depot, **options: Any) -> None:
        self.depot = depot
        super().__init__(*args, **options)
        self.period: Period | None = None

    def known_moment(self, name: str) -> datetime | None:
        """A moment that this wall clock time means already, where the clock alone would leave it open."""
        return None

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        starts_at, ends_at = (
            _moment(self, name, values.get(name), self.depot, self.known_moment(name))
            for name in ("starts_at", "ends_at")
        )
        if starts_at is None or ends_at is None:
            return values
        if ends_at <= starts_at:
            self.add_error("ends_at", "The end lies before the start.")
            return values
        self.period = Period(starts_at, ends_at)
        return values


def _moment(
    form: forms.Form, name: str, written: datetime | None, depot: Depot, known: datetime | None
) -> datetime | None:
    """What was written on the depot's clock, in UTC; `known` is what it stood for when the form was made."""
    if written is None:
        return None
    if (
        known is not None
        and written.tzinfo is None
        and written == known.astimezone(depot.zone).replace(tzinfo=None)
    ):
        return known
    return moment_in(form, name, written, depot.zone)


class MoveForm(PeriodForm):
    """Where and when a booking goes. `shift` (minutes) moves it as it stands: the buttons beside the fields."""

    evse = EvseField()
    shift = forms.IntegerField(
        required=False, min_value=-24 * 60, max_value=24 * 60, widget=forms.HiddenInput
    )
    field_order = ("evse", "starts_at", "ends_at", "shift")

    def __init__(self, *args: Any, booking: Booking, evses: Iterable[Evse], **options: Any) -> None:
        self.booking = booking
        zone = booking.depot.zone
        initial = {
            "evse": booking.evse.uid if booking.evse else "",
            "starts_at": local_text(booking.starts_at, zone),
            "ends_at": local_text(booking.ends_at, zone),
        }
        super().__init__(*args, depot=booking.depot, initial=initial, **options)
        field = self.fields["evse"]
        assert isinstance(field, EvseField)
        field.offer_evses(evses)

    def known_moment(self, name: str) -> datetime | None:
        return getattr(self.booking, name)

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        shift = values.get("shift")
        if shift and self.period:
            moved = timedelta(minutes=shift)
            self.period = Period(self.period.starts_at + moved, self.period.ends_at + moved)
        return values

    def show_shifted(self) -> None:
        """Let the fields say where a valid form leads, so that another button sends the same once more."""
        if self.period is not None:
            zone = self.booking.depot.zone
            ends = {"starts_at": self.period.starts_at, "ends_at": self.period.ends_at}
            self.data = {**self.data, **{name: local_text(end, zone) for name, end in ends.items()}}


class EndForm(forms.Form):
    """Until when a vehicle that charges may stay; `ends_at` is a moment once valid. `shift` as in MoveForm."""

    ends_at = MomentField(label="Until")
    shift = forms.IntegerField(
        required=False, min_value=-24 * 60, max_value=24 * 60, widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, booking: Booking, **options: Any) -> None:
        self.booking = booking
        initial = {"ends_at": local_text(booking.ends_at, booking.depot.zone)}
        super().__init__(*args, **{"initial": initial, **options})

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        written = values.get("ends_at")
        ends_at = _moment(self, "ends_at", written, self.booking.depot, self.booking.ends_at)
        if ends_at is not None:
            values["ends_at"] = ends_at + timedelta(minutes=values.get("shift") or 0)
        return values

    def show_shifted(self) -> None:
        """As of MoveForm."""
        ends_at = local_text(self.cleaned_data["ends_at"], self.booking.depot.zone)
        self.data = {**self.data, "ends_at": ends_at}


class CancellationForm(forms.Form):
    reason = forms.ChoiceField(
        choices=[(reason.value, reason.label) for reason in CancelReason.of(Booking.Side.DEPOT)]
    )
    note = forms.CharField(
        max_length=200, required=False, help_text="The fleet or partner reads this.", widget=forms.TextInput
    )


class DecisionForm(forms.Form):
    """`decision` comes from the button that was pressed."""

    decision = forms.ChoiceField(choices=[("accept", "Accept"), ("decline", "Decline")])
    reason = forms.CharField(
        max_length=200,
        required=False,
        label="Why",
        help_text="The fleet or partner reads this.",
        widget=forms.TextInput,
    )


class OfferForm(PeriodForm):
    """What a depot offers instead: another time, EVSE or power; `until` is when its fleet has to have answered."""

    evse = EvseField()
    kw = forms.DecimalField(
        label="Power, kW", required=False, min_value=1, max_value=10_000, max_digits=8, decimal_places=1,
        help_text="Without it what that place gives then.",
    )  # fmt: skip
    until = MomentField(label="Answer until", required=False, help_text="Without it as the terms say.")
    note = forms.CharField(
        label="Why", max_length=200, required=False, help_text="The fleet reads this.", widget=forms.TextInput
    )
    cancels = forms.BooleanField(
        label="Without a yes cancel the booking, at the depot's cost", required=False
    )
    field_order = ("evse", "starts_at", "ends_at", "kw", "until", "note", "cancels")

    def __init__(self, *args: Any, booking: Booking, evses: Iterable[Evse], **options: Any) -> None:
        self.booking = booking
        zone = booking.depot.zone
        waiting = booking.pending_request if booking.decide_until is not None else None
        initial = {
            "cancels": waiting is not None and waiting.is_last_word,
            "evse": booking.evse.uid if booking.evse else "",
            "starts_at": local_text(booking.starts_at, zone),
            "ends_at": local_text(booking.ends_at, zone),
        }
        super().__init__(*args, depot=booking.depot, initial=initial, **options)
        field = self.fields["evse"]
        assert isinstance(field, EvseField)
        field.offer_evses(evses)

    def known_moment(self, name: str) -> datetime | None:
        return getattr(self.booking, name)

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        values["until"] = _moment(self, "until", values.get("until"), self.depot, None)
        return values

    @property
    def offer(self) -> CounterOffer:
        """Once valid."""
        values, kw = self.cleaned_data, self.cleaned_data["kw"]
        return CounterOffer(
            period=self.period, evse=values["evse"], power_w=int(kw * 1000) if kw is not None else None,
            until=values["until"], note=values["note"], cancels=values["cancels"],
        )  # fmt: skip


class PowerLimitForm(PeriodForm):
    kw = forms.DecimalField(
        label="At most, kW", min_value=0, max_value=1_000_000, max_digits=10, decimal_places=3
    )
    field_order = ("kw", "starts_at", "ends_at")

    @property
    def watts(self) -> int:
        return int(self.cleaned_data["kw"] * 1000)


class EvsesField(forms.MultipleChoiceField):
    """Some of a depot's EVSEs, by their uids in any capitals."""

    def __init__(self, **options: Any) -> None:
        boxes = forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"})
        missing = "There is no such EVSE at this depot."
        super().__init__(**{"label": "EVSEs", "required": False, "widget": boxes, **options})
        self.error_messages["invalid_choice"] = missing
        self.rows: dict[str, Evse] = {}

    def offer_evses(self, evses: Iterable[Evse]) -> None:
        self.rows = {evse.uid.upper(): evse for evse in evses}
        self.choices = [(evse.uid, _label(evse)) for evse in self.rows.values()]

    def clean(self, value: Any) -> list[Evse]:
        uids = [str(uid).strip().upper() for uid in value or [] if str(uid).strip()]
        if unknown := [uid for uid in uids if uid not in self.rows]:
            raise forms.ValidationError(self.error_messages["invalid_choice"], params={"value": unknown[0]})
        return [self.rows[uid] for uid in dict.fromkeys(uids)]


# How often a closure comes again, as a part of RFC 5545's rules; empty for one that does not.
REPEATS = [
    ("", "It does not"),
    ("FREQ=DAILY", "Every day"),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "Monday to Friday"),
    ("FREQ=WEEKLY", "Every week"),
    ("FREQ=WEEKLY;INTERVAL=2", "Every 2 weeks"),
    ("FREQ=WEEKLY;INTERVAL=4", "Every 4 weeks"),
]


class ClosureForm(PeriodForm):
    """Which EVSEs (`evses` once valid), when and why; `outage` once valid. One that repeats has its first day in the period."""

    evse = EvsesField()
    whole = forms.BooleanField(label="All EVSEs of the depot", required=False)
    repeats = forms.ChoiceField(label="Comes again", choices=REPEATS, required=False)
    until = forms.DateField(label="Until", required=False, widget=DayInput)
    reason = forms.CharField(
        max_length=200, required=False, help_text="Fleets whose bookings are moved or cancelled read this."
    )
    field_order = ("evse", "whole", "starts_at", "ends_at", "repeats", "until", "reason")

    def __init__(self, *args: Any, evses: Iterable[Evse], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["evse"]
        assert isinstance(field, EvsesField)
        field.offer_evses(evses)
        self._all = list(field.rows.values())

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if values.get("whole"):
            values["evse"] = self._all
        if not values.get("evse") and "evse" not in self.errors:
            self.add_error("evse", "Choose at least one EVSE.")
        if values.get("repeats") and not values.get("until") and "until" not in self.errors:
            self.add_error("until", "Say until which day it comes again.")
        if not self.errors:
            self._plan()
        return values

    def _plan(self) -> None:
        """What is to be closed, or what is wrong with the rule."""
        assert self.period is not None  # of a form without errors
        evse_ids = frozenset(evse.pk for evse in self.evses)
        if not self.cleaned_data["repeats"]:
            self.outage = Outage(self.depot, evse_ids, self.period)
            return
        rrule = f"{self.cleaned_data['repeats']};UNTIL={self.cleaned_data['until']:%Y%m%d}"
        try:
            self.outage = Outage.repeated(self.depot, evse_ids, self.period, rrule)
        except RuleUnclear as refusal:
            self.add_error("repeats" if refusal.field == "rrule" else "starts_at", str(refusal))

    @property
    def evses(self) -> list[Evse]:
        found: list[Evse] = self.cleaned_data["evse"]
        return found

    @property
    def what(self) -> str:
        """What is to be closed, in words."""
        if len(self.evses) == len(self._all) > 1:
            return "the whole depot"
        return self.evses[0].uid if len(self.evses) == 1 else f"{len(self.evses)} EVSEs"

    @property
    def done(self) -> str:
        if len(self.evses) == len(self._all) > 1:
            return "The whole depot is closed."
        return f"{self.what} {'is' if len(self.evses) == 1 else 'are'} closed."


def add_refusal(form: forms.Form, refusal: BookingError, depot: Depot) -> None:
    """Put a refusal beside the field it is about, or above the form."""
    form.add_error(refusal.field if refusal.field in form.fields else None, nearest_words(refusal, depot))


def nearest_words(refusal: BookingError, depot: Depot) -> str:
    """The refusal's sentence, with what would have been possible."""
    if not isinstance(refusal.nearest, Period):
        return str(refusal)
    first, last = (end.astimezone(depot.zone) for end in (refusal.nearest.starts_at, refusal.nearest.ends_at))
    return f"{refusal} Possible: {first:%a %H:%M}–{last:%H:%M}."


def _label(evse: Evse) -> str:
    names = {PLUGS[c.standard].label if c.standard in PLUGS else c.standard for c in evse.connectors.all()}
    return f"{evse.uid} · {evse.max_power_w / 1000:g} kW {' + '.join(sorted(names))}"
