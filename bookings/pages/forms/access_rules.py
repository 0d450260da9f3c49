"""One more hour or quota of a depot's guests, as its manager fills it in."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from bookings.models import AccessRule, BookingOption
from bookings.models.access_rules import MOST_AHEAD_MIN, MOST_AMOUNT, WEEK
from bookings.rules.allowance import DAYS
from depots.models import Agreement, Depot

Kind, Unit, Counts = AccessRule.Kind, AccessRule.Unit, AccessRule.Counts
_CLOCK = re.compile(r"^([01]?\d|2[0-4]):([0-5]\d)$", re.ASCII)
KINDS_OF_AGREEMENT = [(kind.value, kind.label) for kind in (Kind.WINDOW, Kind.OWN_FIRST, Kind.QUOTA)]


class ClockField(forms.CharField):
    """Minutes since midnight of a time on the wall clock; 24:00 is the midnight that ends the day."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput({"autocomplete": "off", "inputmode": "numeric", "placeholder": "HH:MM"})
        super().__init__(**{"max_length": 5, "widget": widget, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        found = _CLOCK.match(text)
        minutes = int(found[1]) * 60 + int(found[2]) if found else None
        if minutes is None or minutes > 24 * 60:
            raise ValidationError("A time as 08:00; 24:00 is the midnight that ends the day.")
        return minutes


class AccessRuleForm(forms.Form):
    """`rule` once valid, as `add_rule` takes it."""

    kind = forms.ChoiceField(label="What", choices=Kind.choices)
    weekdays = forms.TypedMultipleChoiceField(
        label="On", coerce=int, choices=[(day, DAYS[day - 1]) for day in WEEK], initial=WEEK,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    from_minute = ClockField(label="From", initial="00:00")
    to_minute = ClockField(label="To", initial="24:00", help_text="Before the start: on the next day.")
    amount = forms.IntegerField(
        label="So much", required=False, min_value=1, max_value=MOST_AMOUNT, help_text="Of EVSEs kept free: how many EVSEs."
    )  # fmt: skip
    unit = forms.ChoiceField(label="Of what", required=False, choices=Unit.choices)
    counts = forms.ChoiceField(label="A quota is for", required=False, choices=Counts.choices)
    ahead_hours = forms.DecimalField(
        label="Open to guests, hours before", required=False, min_value=0, max_value=MOST_AHEAD_MIN // 60, decimal_places=2,
        help_text="Blank: guests never have these hours.",
    )  # fmt: skip
    option = forms.ModelChoiceField(
        BookingOption.objects.none(), label="Kept free at", required=False, empty_label="the whole depot",
        to_field_name="code",
    )  # fmt: skip

    def __init__(self, data: Any = None, *, owner: Depot | Agreement) -> None:
        super().__init__(data)
        self.owner = owner
        if isinstance(owner, Agreement):
            self.fields["kind"] = forms.ChoiceField(label="What", choices=KINDS_OF_AGREEMENT)
            del self.fields["counts"], self.fields["option"]
            return
        options = BookingOption.objects.filter(depot=owner, is_withdrawn=False).order_by("code")
        self.fields["option"].queryset = options  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("from_minute") == 1440:
            self.add_error("from_minute", "A day begins at 00:00.")
        if "to_minute" in values and values.get("from_minute") == values["to_minute"]:
            self.add_error("to_minute", "This is no time at all. From 00:00 to 24:00 is the whole day.")
        if values.get("to_minute") == 0:
            values["to_minute"] = 1440
        kind = values.get("kind")
        if (
            kind in {Kind.QUOTA, Kind.WALK_IN}
            and values.get("amount") is None
            and "amount" not in self.errors
        ):
            self.add_error("amount", "How much?")
        if kind == Kind.QUOTA and values.get("unit") == Unit.PERCENT and (values.get("amount") or 0) > 100:
            self.add_error("amount", "At most 100 %.")
        return values

    @property
    def rule(self) -> dict[str, Any]:
        """Only what its kind says; whatever else was filled in is not meant."""
        told = self.cleaned_data
        kind = told["kind"]
        found = {name: told[name] for name in ("kind", "weekdays", "from_minute", "to_minute")}
        if kind == Kind.OWN_FIRST:
            hours = told["ahead_hours"]
            found["ahead_min"] = None if hours is None else int(hours * 60)
        if kind == Kind.QUOTA:
            counts = told.get("counts") or Counts.EACH
            found |= {"amount": told["amount"], "unit": told["unit"] or Unit.EVSES, "counts": counts}
        if kind == Kind.WALK_IN:
            found |= {"amount": told["amount"], "unit": Unit.EVSES, "option": told.get("option")}
        return found
