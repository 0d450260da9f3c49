from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import QueryDict

from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import Token, Trailer, Vehicle
from bookings.operations.tokens import TokenFacts
from bookings.operations.trailers import TrailerFacts
from bookings.operations.vehicles import VehicleFacts
from bookings.pages.forms.fields import RowField
from bookings.rules.charge_curve import curve_text, read_curve
from bookings.rules.content_version import UNSEEN
from bookings.rules.vehicle_library import VehicleModel, model_called, models
from depots.models import Organisation
from depots.standards import PLUGS, SIDES, VEHICLE_TYPES
from depots.token_numbers import card_fault, fault, spellings


class Measured(forms.DecimalField):
    """A measure in the unit people say, kept as a whole number of a smaller one: 16.5 m as 1650 cm."""

    def __init__(self, *, per: int, most: int, places: int, **options: Any) -> None:
        self._per = per
        least = Decimal(1).scaleb(-places)
        super().__init__(
            required=False, min_value=least, max_value=most, decimal_places=places, max_digits=9, **options
        )

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * self._per)

    def prepare_value(self, value: Any) -> Any:
        return f"{Decimal(value) / self._per:f}" if isinstance(value, int) else value


class CurveField(forms.CharField):
    """Points of a charge curve as people write them: `10:350, 80:180, 100:60`."""

    def clean(self, value: Any) -> Any:
        try:
            return read_curve(super().clean(value))
        except ValueError as fault:
            raise ValidationError(str(fault)) from None

    def prepare_value(self, value: Any) -> Any:
        return curve_text(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))


class VehicleForm(forms.ModelForm):
    """A vehicle with all that is asked when a slot is looked for."""

    fleet = RowField[Organisation](missing="You do not keep this fleet's vehicles.", none="", label="Fleet")
    plate = forms.CharField(label="Plate", max_length=20)
    vehicle_type = forms.ChoiceField(label="Kind", choices=list(VEHICLE_TYPES.items()))
    connector_standards = forms.MultipleChoiceField(
        label="Plugs it can use", choices=[(name, plug.label) for name, plug in PLUGS.items() if plug.power_type == "DC"],
        widget=forms.CheckboxSelectMultiple, required=False,
        help_text="With none chosen every plug counts as fitting.",
    )  # fmt: skip
    max_power_w = Measured(per=1000, most=5000, places=1, label="Most power (kW)")
    battery_wh = Measured(per=1000, most=2000, places=1, label="Battery (kWh)")
    charge_curve = CurveField(
        label="Charge curve", max_length=400, required=False,
        help_text="Percent and kW, as in 10:350, 80:180, 100:60. It makes the time that is left more exact.",
    )  # fmt: skip
    length_cm = Measured(
        per=100,
        most=40,
        places=2,
        label="Length (m)",
        help_text="Without a trailer that is chosen with each booking.",
    )
    width_cm = Measured(per=100, most=6, places=2, label="Width (m)")
    height_cm = Measured(per=100, most=6, places=2, label="Height (m)")
    weight_kg = Measured(per=1000, most=200, places=3, label="Weight (t)")
    inlet_side = forms.ChoiceField(
        label="Inlet", required=False, choices=[("", "Not said"), *((name, words.capitalize()) for name, words in SIDES.items())],
    )  # fmt: skip
    model_name = forms.CharField(
        label="Model", max_length=80, required=False, widget=forms.TextInput({"list": "vehicle-models", "autocomplete": "off"}),
        help_text="Type a part of its name. Known models fill in battery, power and plugs, which you may change.",
    )  # fmt: skip
    needs_drive_through = forms.BooleanField(label="Needs a drive-through bay", required=False)
    needs_refrigeration = forms.BooleanField(label="Needs an outlet for refrigeration", required=False)
    carries_dangerous_goods = forms.BooleanField(label="Carries dangerous goods", required=False)

    class Meta:
        model = Vehicle
        fields = (
            "plate", "vehicle_type", "connector_standards", "max_power_w", "battery_wh", "charge_curve", "length_cm", "width_cm",
            "height_cm", "weight_kg", "inlet_side", "model_name", "needs_drive_through", "needs_refrigeration",
            "carries_dangerous_goods",
        )  # fmt: skip

    def __init__(self, *given: Any, fleets: list[Organisation], **options: Any) -> None:
        super().__init__(*given, **options)
        _offer_fleets(self, fleets)

    def clean_plate(self) -> str:
        return " ".join(self.cleaned_data["plate"].split()).upper()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        fleet = fleet_of(self)
        if fleet is not None:
            self.instance.fleet = fleet
        same = Vehicle.objects.filter(fleet=fleet).exclude(pk=self.instance.pk)
        if fleet and same.filter(plate_key=cleaned.get("plate")).exists():
            self.add_error("plate", f"{fleet} has a vehicle {cleaned['plate']} already.")
        return cleaned

    @classmethod
    def filled_in(cls, given: QueryDict, model: VehicleModel | None, **options: Any) -> VehicleForm:
        """What was written so far with what the model settles, not looked at yet."""
        written = {
            name: given.getlist(name) if name == "connector_standards" else given.get(name)
            for name in cls.base_fields
            if name in given
        }
        return cls(None, initial={**written, **(model.facts() if model else {})}, **options)

    @property
    def models(self) -> tuple[VehicleModel, ...]:
        return models()

    @property
    def chosen_model(self) -> VehicleModel | None:
        """The known model that it says, for its sources."""
        return model_called(str(self["model_name"].value() or ""))

    @property
    def facts(self) -> VehicleFacts:
        """Of a valid form."""
        return VehicleFacts(**{name: self.cleaned_data[name] for name in self._meta.fields or ()})


class TrailerForm(forms.ModelForm):
    """A trailer, that is chosen for its vehicle with each booking."""

    fleet = RowField[Organisation](missing="You do not keep this fleet's trailers.", none="", label="Fleet")
    plate = forms.CharField(label="Plate", max_length=20)
    adds_length_cm = Measured(
        per=100, most=40, places=2, label="Adds to the length (m)",
        help_text="How much longer the combination is than the vehicle alone.",
    )  # fmt: skip
    width_cm = Measured(per=100, most=6, places=2, label="Width (m)")
    height_cm = Measured(per=100, most=6, places=2, label="Height (m)")
    weight_kg = Measured(per=1000, most=200, places=3, label="Weight (t)")
    needs_drive_through = forms.BooleanField(label="Needs a drive-through bay", required=False)
    needs_refrigeration = forms.BooleanField(label="Needs an outlet for refrigeration", required=False)
    carries_dangerous_goods = forms.BooleanField(label="Carries dangerous goods", required=False)

    class Meta:
        model = Trailer
        fields = (
            "plate", "adds_length_cm", "width_cm", "height_cm", "weight_kg", "needs_drive_through", "needs_refrigeration",
            "carries_dangerous_goods",
        )  # fmt: skip

    def __init__(self, *given: Any, fleets: list[Organisation], **options: Any) -> None:
        super().__init__(*given, **options)
        _offer_fleets(self, fleets)

    def clean_plate(self) -> str:
        return " ".join(self.cleaned_data["plate"].split()).upper()

    @property
    def facts(self) -> TrailerFacts:
        """Of a valid form."""
        return TrailerFacts(**{name: self.cleaned_data[name] for name in self._meta.fields or ()})


class TokenForm(forms.ModelForm):
    """A card, app account or contract of a fleet."""

    fleet = RowField[Organisation](missing="You do not keep this fleet's tokens.", none="", label="Fleet")
    uid = forms.CharField(
        label="Number",
        max_length=36,
        help_text="As the charger reads it: of a card the 8 to 20 hexadecimal digits, of a contract the eMAID "
        "(DE-8AA-C12345678), of a vehicle that charges by plugging in its MAC address.",
    )
    type = forms.ChoiceField(label="Kind", choices=Token.Type.choices)
    vehicle = RowField[Vehicle](
        missing="There is no such vehicle in your fleet.", none="No vehicle", label="Vehicle"
    )
    is_read_either_way = forms.BooleanField(
        label="Some readers give its bytes in the other order", required=False
    )
    group_name = forms.CharField(
        label="Group",
        max_length=36,
        required=False,
        help_text="A booking may name a group of your fleet: any token of it that works opens the slot.",
    )
    label = forms.CharField(label="What is printed on it, or whose it is", max_length=64, required=False)
    contract_id = forms.CharField(label="Contract (eMAID)", max_length=36, required=False)

    class Meta:
        model = Token
        fields = ("uid", "type", "is_read_either_way", "group_name", "label", "contract_id")

    def __init__(
        self, *given: Any, fleets: list[Organisation], vehicles: list[Vehicle], **options: Any
    ) -> None:
        super().__init__(*given, **options)
        _offer_fleets(self, fleets)
        field = self.fields["vehicle"]
        assert isinstance(field, RowField)
        kept = self.instance.vehicle_id
        offered = [v for v in vehicles if not v.is_retired or v.pk == kept]
        if self.instance.pk:
            offered = [v for v in offered if v.fleet_id == self.instance.fleet_id]
        field.offer(offered, lambda v: v.plate, lambda v: v.plate, heading=lambda v: v.fleet.name)
        if self.instance.vehicle is not None:
            self.initial["vehicle"] = field.value_of(self.instance.vehicle)

    def clean_uid(self) -> str:
        uid = "".join(self.cleaned_data["uid"].split())
        if not uid.isascii() or not uid.isprintable():
            raise ValidationError("Only letters, digits and signs of plain ASCII.")
        return uid

    def clean_group_name(self) -> str:
        return " ".join(self.cleaned_data["group_name"].split())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        fleet, vehicle = fleet_of(self), cleaned.get("vehicle")
        if fleet is not None:
            self.instance.fleet = fleet
        if vehicle is not None and fleet is not None and vehicle.fleet_id != fleet.pk:
            self.add_error("vehicle", "The vehicle belongs to another fleet.")
        elif "vehicle" in cleaned:
            self.instance.vehicle = vehicle
        self._check_number(cleaned)
        forms_of_it = spellings(cleaned.get("uid", ""), cleaned.get("type", ""))
        same = Token.objects.filter(fleet=fleet, type=cleaned.get("type"), uid__card__in=forms_of_it)
        if fleet and same.exclude(pk=self.instance.pk).exists():
            self.add_error("uid", f"{fleet} has this token already.")
        return cleaned

    def _check_number(self, cleaned: dict[str, Any]) -> None:
        if "uid" not in cleaned or "type" not in cleaned:
            return
        wrong = fault(cleaned["uid"], cleaned["type"], is_read_either_way=cleaned["is_read_either_way"])
        if cleaned["type"] == Token.Type.RFID and {"uid", "type"} & set(self.changed_data):
            wrong = wrong or card_fault(cleaned["uid"])
        if wrong:
            self.add_error("uid", wrong)

    @property
    def facts(self) -> TokenFacts:
        """Of a valid form."""
        named = {name: self.cleaned_data[name] for name in self._meta.fields or ()}
        return TokenFacts(**named, vehicle=self.cleaned_data["vehicle"])


def _offer_fleets(form: forms.ModelForm, fleets: list[Organisation]) -> None:
    """Only who keeps several fleets is asked which, and only once."""
    field = form.fields["fleet"]
    assert isinstance(field, RowField)
    field.offer(fleets, lambda f: f.name, lambda f: f.name)
    form.only_fleet = fleets[0] if len(fleets) == 1 else None  # type: ignore[attr-defined]
    if form.instance.pk or len(fleets) == 1:
        del form.fields["fleet"]
    else:
        field.required = True


def fleet_of(form: Any) -> Organisation | None:
    """Whose vehicle or token it is; None where the form does not say."""
    if form.instance.pk:
        return form.instance.fleet
    return form.only_fleet or form.cleaned_data.get("fleet")


def add_refusal(form: forms.ModelForm, refusal: BookingError, current: Model | None = None) -> None:
    """Put a refusal at its field, or above the form; where the row is another by now (`current`), with what it says."""
    words = str(refusal)
    if isinstance(refusal, ChangedMeanwhile) and current is not None and words != UNSEEN:
        words = f"{words} {_as_it_is(current, form)}"
    form.add_error(refusal.field if refusal.field in form.fields else None, words)


def _as_it_is(current: Model, sent: forms.ModelForm) -> str:
    names = [name for name in sent.fields if name != "fleet"]
    differing = [name for name in names if sent.cleaned_data.get(name) != getattr(current, name)]
    told = [
        f"{sent.fields[name].label}: {_words(sent.fields[name], getattr(current, name))}"
        for name in differing
    ]
    return f"It says now: {'; '.join(told)}." if told else "Look again before you go on."


def _words(field: forms.Field, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(PLUGS[name].label if name in PLUGS else name for name in value) or "none"
    return str(field.prepare_value(value)) if value not in (None, "") else "–"
