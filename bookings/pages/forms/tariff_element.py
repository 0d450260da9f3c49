"""One card of the tariff editor: prices that hold under the same conditions."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from bookings.models import Tariff
from bookings.pages.forms.fields import DayInput
from bookings.pages.tariff_sentences import WEEKDAYS
from bookings.pricing.tariff_checks import TariffFault
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    Restrictions,
    TariffElement,
)

MINUTE = 60
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)
USES: dict[str, list[tuple[str, str]]] = {
    Tariff.Kind.CHARGING: [
        (ElementUse.CHARGING, "Charging"),
        (ElementUse.RESERVATION, "Reserving a charger by itself"),
        (ElementUse.RESERVATION_EXPIRED, "A reservation nobody uses"),
    ],
    Tariff.Kind.BOOKING: [
        (ElementUse.BOOKING, "Booking a slot"),
        (ElementUse.NO_SHOW, "Not coming"),
        (ElementUse.LATE_CANCELLATION, "Cancelling after the deadline"),
        (ElementUse.OVERTIME, "Staying past the booked end"),
    ],
}
PRICES = {
    Dimension.FLAT: "once",
    Dimension.ENERGY: "kwh",
    Dimension.TIME: "hour",
    Dimension.PARKING_TIME: "parking",
}
# Fields of the form by the name of the restriction.
_BOUNDS = {
    "min_kwh": "min_kwh",
    "max_kwh": "max_kwh",
    "min_power_kw": "min_power",
    "max_power_kw": "max_power",
    "min_current_a": "min_current",
    "max_current_a": "max_current",
}
_SPANS = {"min_duration_s": "min_minutes", "max_duration_s": "max_minutes"}
_FIELDS = {**_BOUNDS, **_SPANS, "end_date": "last_day", "start_date": "first_day", "components": "once"}


def number_field(label: str, *, places: int = 4, most: int = 1_000_000, **more: Any) -> forms.DecimalField:
    """Without thousands; typed, not stepped."""
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.DecimalField(
        label=label, required=False, min_value=0, max_value=most, decimal_places=places, max_digits=12, widget=widget,
        **more,
    )  # fmt: skip


def day_field(label: str, help_text: str = "") -> forms.DateField:
    """Within the years that a tariff's file may name too: the day after the last one, and every zone's midnight, are moments
    that can be kept and read again."""
    return forms.DateField(
        label=label,
        required=False,
        help_text=help_text,
        validators=[
            MinValueValidator(FIRST_DAY, "No day before 2000."),
            MaxValueValidator(LAST_DAY, "No day after 2099."),
        ],
        widget=DayInput,
    )


def _clock(label: str) -> forms.TimeField:
    widget = forms.TimeInput(
        attrs={"placeholder": "22:00", "autocomplete": "off", "maxlength": 5}, format="%H:%M"
    )
    return forms.TimeField(label=label, required=False, input_formats=["%H:%M"], widget=widget)


class ElementForm(forms.Form):
    """One price or several that hold under the same conditions."""

    use = forms.ChoiceField(label="The price of")
    once = number_field("Once")
    kwh = number_field("A kWh")
    hour = number_field("An hour charging")
    parking = number_field("An hour parked")
    vat = number_field("VAT, %", places=2, most=100, help_text="blank: that of the whole tariff")
    kwh_step = forms.IntegerField(label="Counted in Wh", required=False, min_value=0, max_value=1_000_000)
    hour_step = forms.IntegerField(
        label="Counted in seconds", required=False, min_value=0, max_value=1_000_000
    )
    parking_step = forms.IntegerField(
        label="Parking counted in seconds", required=False, min_value=0, max_value=1_000_000
    )
    weekdays = forms.MultipleChoiceField(
        label="Days", required=False, choices=[(n, name[:3]) for n, name in enumerate(WEEKDAYS, 1)],
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    start_time = _clock("From")
    end_time = _clock("To")
    first_day = day_field("First day")
    last_day = day_field("Last day")
    min_minutes = number_field("After minutes", places=2)
    max_minutes = number_field("Until minute", places=2)
    min_kwh = number_field("From kWh")
    max_kwh = number_field("To below kWh")
    min_power = number_field("From kW")
    max_power = number_field("To below kW")
    min_current = number_field("From A")
    max_current = number_field("To below A")
    not_understood = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["use"].choices = USES[kind]  # type: ignore[attr-defined]
        self.kind = kind
        if kind == Tariff.Kind.BOOKING:
            for name in (
                "kwh",
                "parking",
                "kwh_step",
                "parking_step",
                "min_power",
                "max_power",
                "min_current",
                "max_current",
            ):
                del self.fields[name]
            self.fields["hour"].label = "Each hour"

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        is_priced = any(given.get(name) is not None for name in PRICES.values())
        if not is_priced and not any(name in self.errors for name in PRICES.values()):
            self.add_error("once", "Fill in a price at least; 0 where it is free.")
        return given

    @property
    def prices(self) -> list[forms.BoundField]:
        return [self[name] for name in PRICES.values() if name in self.fields]

    @property
    def steps(self) -> list[forms.BoundField]:
        return [self[f"{name}_step"] for name in PRICES.values() if f"{name}_step" in self.fields]

    @property
    def amounts(self) -> list[forms.BoundField]:
        """Conditions that are asked for less often."""
        names = ("first_day", "last_day", *_SPANS.values(), *_BOUNDS.values())
        return [self[name] for name in names if name in self.fields]

    @property
    def has_amounts(self) -> bool:
        return any(field.value() not in (None, "") for field in [*self.amounts, *self.steps, self["vat"]])

    def element(self, vat: Decimal | None) -> TariffElement:
        """Once valid; `vat` is that of the whole tariff."""
        given = self.cleaned_data
        own = given.get("vat")
        rate = vat if own is None else own
        components = tuple(
            PriceComponent(dimension, given[name], rate, _step(given, name))
            for dimension, name in PRICES.items()
            if given.get(name) is not None
        )
        return TariffElement(components, self._restrictions(), ElementUse(given["use"]))

    def _restrictions(self) -> Restrictions:
        given = self.cleaned_data
        last = given.get("last_day")
        bounds: dict[str, Any] = {name: given.get(field) for name, field in _BOUNDS.items()}
        spans: dict[str, Any] = {name: _seconds(given.get(field)) for name, field in _SPANS.items()}
        return Restrictions(
            start_time=given.get("start_time"),
            end_time=given.get("end_time"),
            start_date=given.get("first_day"),
            end_date=last + timedelta(days=1) if last else None,
            weekdays=frozenset(int(day) for day in given.get("weekdays", ())),
            is_understood=not given.get("not_understood"),
            **bounds,
            **spans,
        )

    def add_fault(self, fault: TariffFault, element: TariffElement) -> None:
        """At the field it is about."""
        name = _FIELDS.get(fault.field, fault.field)
        if fault.component is not None:
            price = PRICES[element.components[fault.component].dimension]
            name = {"vat": "vat", "step": f"{price}_step"}.get(fault.field, price)
        self.add_error(name if name in self.fields else None, f"{fault.text[:1].upper()}{fault.text[1:]}.")


def element_row(element: TariffElement, vat: Decimal | None) -> dict[str, Any]:
    asked = element.restrictions
    row: dict[str, Any] = {
        "use": element.use,
        "weekdays": sorted(asked.weekdays),
        "start_time": asked.start_time,
        "end_time": asked.end_time,
        "first_day": asked.start_date,
        "last_day": asked.end_date - timedelta(days=1) if asked.end_date else None,
        "not_understood": not asked.is_understood,
        **{field: _plain(getattr(asked, name)) for name, field in _BOUNDS.items()},
        **{field: _minutes(getattr(asked, name)) for name, field in _SPANS.items()},
    }
    for component in reversed(element.components):
        name = PRICES[component.dimension]
        row[name] = _plain(component.price)
        if component.dimension is not Dimension.FLAT and component.step != 1:
            row[f"{name}_step"] = component.step
        if component.vat != vat:
            row["vat"] = _plain(component.vat or Decimal())
    return row


def _step(given: dict[str, Any], name: str) -> int:
    step = given.get(f"{name}_step")
    return 1 if step is None else step


def _seconds(minutes: Decimal | None) -> int | None:
    return None if minutes is None else round(minutes * MINUTE)


def _minutes(seconds: int | None) -> str | None:
    return None if seconds is None else _plain(Decimal(seconds) / MINUTE)


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"
