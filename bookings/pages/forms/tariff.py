"""A tariff as people fill it in: what is said of the whole, and a card for each element, of which the first that holds counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import RegexValidator
from django.http import QueryDict

from bookings.models import Tariff
from bookings.pages.tariff_sentences import WEEKDAYS
from bookings.pricing.tariff_checks import TariffFault
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    PriceLimit,
    Restrictions,
    TariffContent,
    TariffElement,
    TaxIncluded,
)
from bookings.rules.tariff_bindings import Owner

MOST_ELEMENTS = 50
MINUTE = 60
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
TAXES = [
    (TaxIncluded.NO, "VAT comes on top"),
    (TaxIncluded.YES, "Prices include VAT"),
    (TaxIncluded.NOT_APPLICABLE, "No VAT is due"),
]
# Of each dimension the field of its price; `_vat` and `_step` stand beside it.
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


def _number(label: str, *, places: int = 4, most: int = 1_000_000, **more: Any) -> forms.DecimalField:
    """Without thousands; typed, not stepped."""
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.DecimalField(
        label=label, required=False, min_value=0, max_value=most, decimal_places=places, max_digits=12, widget=widget,
        **more,
    )  # fmt: skip


def _day(label: str, help_text: str = "") -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        help_text=help_text,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


def _clock(label: str) -> forms.TimeField:
    widget = forms.TimeInput(
        attrs={"placeholder": "22:00", "autocomplete": "off", "maxlength": 5}, format="%H:%M"
    )
    return forms.TimeField(label=label, required=False, input_formats=["%H:%M"], widget=widget)


class ElementForm(forms.Form):
    """One price or several that hold under the same conditions."""

    use = forms.ChoiceField(label="The price of")
    once = _number("Once")
    kwh = _number("A kWh")
    hour = _number("An hour charging")
    parking = _number("An hour parked")
    vat = _number("VAT, %", places=2, most=100, help_text="blank: that of the whole tariff")
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
    first_day = _day("First day")
    last_day = _day("Last day")
    min_minutes = _number("After minutes", places=2)
    max_minutes = _number("Until minute", places=2)
    min_kwh = _number("From kWh")
    max_kwh = _number("To below kWh")
    min_power = _number("From kW")
    max_power = _number("To below kW")
    min_current = _number("From A")
    max_current = _number("To below A")
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


class TariffForm(forms.Form):
    """What is said of the whole tariff; its elements are forms of their own in `elements`."""

    name = forms.CharField(label="Name", max_length=100)
    code = forms.CharField(
        label="Id", max_length=36, help_text="Partners see it. It stays.", validators=[RegexValidator(
            r"^[A-Za-z0-9._~*@+:-]+$", "Letters, digits and . _ ~ * @ + : - only.")],
    )  # fmt: skip
    currency = forms.RegexField(r"^[A-Z]{3}$", label="Currency", initial="EUR", strip=True)
    vat = _number("VAT, %", places=2, most=100)
    tax_included = forms.ChoiceField(label="Tax", choices=TAXES, initial=TaxIncluded.NO)
    min_price = _number("A visit costs at least")
    max_price = _number("A visit costs at most")
    starts_on = _day("Holds from", "blank: from now on")
    ends_on = _day("Until the end of", "blank: until it is changed")

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        tariff: Tariff | None = None,
        kind: str,
        initial: dict[str, Any] | None = None,
        rows: Sequence[Mapping[str, Any]] = (),
        zone: ZoneInfo,
    ) -> None:
        super().__init__(data, initial=initial)
        self.kind, self.zone = kind, zone
        if kind == Tariff.Kind.BOOKING:
            del self.fields["min_price"], self.fields["max_price"]
        if tariff is not None:
            del self.fields["code"]
            self.fields["name"].required = False
        count = _count(data) if data is not None else len(rows)
        self.elements = [
            ElementForm(
                data, kind=kind, prefix=f"e{number}", initial=None if data is not None else rows[number]
            )
            for number in range(count)
        ]

    def is_valid(self) -> bool:
        return all([super().is_valid(), *(element.is_valid() for element in self.elements)])

    @property
    def head(self) -> list[forms.BoundField]:
        return [
            self[name] for name in ("name", "code", "currency", "vat", "tax_included") if name in self.fields
        ]

    @property
    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in ("min_price", "max_price") if name in self.fields]

    def content(self) -> TariffContent | None:
        """What is filled in so far: elements that can be read, in a currency that can; None without any."""
        self.is_valid()
        given = getattr(self, "cleaned_data", {})
        read = [element for element in self.elements if not element.errors]
        if "currency" not in given or not read:
            return None
        return TariffContent(
            currency=given["currency"],
            elements=tuple(element.element(given.get("vat")) for element in read),
            min_price=_limit(given.get("min_price")),
            max_price=_limit(given.get("max_price")),
            tax_included=TaxIncluded(given.get("tax_included") or TaxIncluded.NO),
        )

    def since(self, name: str) -> datetime | None:
        """Midnight of that day; of the last one its end."""
        day: date | None = self.cleaned_data.get(name)
        if day is None:
            return None
        day += timedelta(days=name == "ends_on")
        return datetime.combine(day, time(), self.zone)

    def add_faults(self, faults: Sequence[TariffFault], content: TariffContent) -> None:
        for fault in faults:
            if fault.element is not None and fault.element < len(self.elements):
                self.elements[fault.element].add_fault(fault, content.elements[fault.element])
                continue
            name = {"ends_at": "ends_on"}.get(fault.field, fault.field)
            text = fault.text if fault.field != "bind" else f"A place {fault.text}"
            self.add_error(name if name in self.fields else None, f"{text[:1].upper()}{text[1:]}.")


def rows_of(content: TariffContent) -> list[dict[str, Any]]:
    """Elements as the form shows them."""
    vat = common_vat(content)
    return [_row(element, vat) for element in content.elements]


def common_vat(content: TariffContent) -> Decimal | None:
    """The rate of most prices."""
    rates = [c.vat for element in content.elements for c in element.components if c.vat is not None]
    return max(set(rates), key=rates.count, default=None)


def typed_rows(data: QueryDict) -> list[dict[str, Any]]:
    """Elements as they were sent, whether they can be read or not, to be moved about."""
    names = [*ElementForm.base_fields]
    found = []
    for number in range(_count(data)):
        row: dict[str, Any] = {name: data.get(f"e{number}-{name}", "") for name in names}
        row["weekdays"] = data.getlist(f"e{number}-weekdays")
        found.append(row)
    return found


def renumbered(data: QueryDict, rows: Sequence[Mapping[str, Any]]) -> QueryDict:
    """What was sent with its elements in another order."""
    found = QueryDict(mutable=True)
    for name, values in data.lists():
        if not name.startswith("e") or "-" not in name:
            found.setlist(name, values)
    found["elements"] = str(len(rows))
    for number, row in enumerate(rows):
        for name, value in row.items():
            found.setlist(f"e{number}-{name}", value if isinstance(value, list) else [value])
    return found


def moved_rows(rows: list[dict[str, Any]], act: str, *, kind: str) -> list[dict[str, Any]]:
    """After a button of the form: "add", "remove-2", "up-2", "down-2"; any other leaves them as they are."""
    verb, _, which = act.partition("-")
    number = int(which) if which.isdigit() and int(which) < len(rows) else None
    if verb == "add" and len(rows) < MOST_ELEMENTS:
        return [*rows, {"use": USES[kind][0][0]}]
    if number is None:
        return rows
    if verb == "remove":
        return rows[:number] + rows[number + 1 :]
    other = number + {"up": -1, "down": 1}.get(verb, 0)
    if 0 <= other < len(rows):
        rows = list(rows)
        rows[number], rows[other] = rows[other], rows[number]
    return rows


def owners_in(data: QueryDict) -> Iterator[Owner]:
    """What is ticked, such as `depot:3`."""
    for text in data.getlist("bind"):
        kind, _, pk = text.partition(":")
        if (
            kind in {"depot", "option", "evse", "agreement"}
            and pk.isascii()
            and pk.isdigit()
            and len(pk) < 18
        ):
            yield Owner(kind, int(pk))


def _count(data: QueryDict) -> int:
    text = data.get("elements", "")
    return min(int(text), MOST_ELEMENTS) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def _row(element: TariffElement, vat: Decimal | None) -> dict[str, Any]:
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
        if component.dimension is not Dimension.FLAT and component.step > 1:
            row[f"{name}_step"] = component.step
        if component.vat != vat:
            row["vat"] = _plain(component.vat or Decimal())
    return row


def _step(given: dict[str, Any], name: str) -> int:
    step = given.get(f"{name}_step")
    return 1 if step is None else step


def _limit(amount: Decimal | None) -> PriceLimit | None:
    return None if amount is None else PriceLimit(amount)


def _seconds(minutes: Decimal | None) -> int | None:
    return None if minutes is None else round(minutes * MINUTE)


def _minutes(seconds: int | None) -> str | None:
    return None if seconds is None else _plain(Decimal(seconds) / MINUTE)


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"
