"""The terms of a depot as its manager fills them in; a field left blank keeps the default."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms

from bookings.rules.terms import LIMITS, Overstay, PowerOrder, Terms, WalkIn
from depots.models import Fallback

STANDARD = Terms().to_json()
# In order of what a manager asks first, with the words of each term.
GROUPS: dict[str, dict[str, str]] = {
    "Slots": {
        "slot_step_min": "Step, minutes",
        "min_duration_min": "Shortest slot, minutes",
        "max_duration_min": "Longest slot, minutes",
        "lead_min": "Booked ahead at least, minutes",
        "horizon_days": "Booked ahead at most, days",
        "turnaround_min": "Between two vehicles, minutes",
    },
    "Coming and going": {
        "early_start_min": "Early start, minutes",
        "late_stop_min": "Late stop, minutes",
        "no_show_min": "No-show after, minutes",
        "arm_lead_min": "Charger told ahead, minutes",
        "walk_in": "Who charges without a booking",
        "end_warning_min": "Warned before the end, minutes",
        "overstay": "If it charges on after slot and late stop",
        "overstay_min": "Stopped after, minutes",
    },
    "Booking": {
        "approval": "The depot decides on every request",
        "decision_min": "Time to decide, minutes",
        "hold_min": "A slot is held for, minutes",
        "offer_min": "A slot is offered to who waits for, minutes",
        "change_until_min": "Changes until, minutes before",
        "cancel_until_min": "Cancelling until, minutes before",
        "late_cancel": "Cancelling later, at the tariff's fee",
        "overlapping_tokens": "Vehicles may be booked in two places",
        "max_open_bookings": "Open bookings of a customer",
        "max_unused_holds": "Slots a customer holds for nothing, a day",
        "max_promise_kw": "Power promised to one booking, kW",
        "power_order": "Promises kept first where power is short",
    },
}
YES_NO = {"": "", "true": "Yes", "false": "No"}
CHOICES = {"walk_in": WalkIn, "overstay": Overstay, "power_order": PowerOrder}


class TermsForm(forms.Form):
    """`terms` by name once valid, None where the default is kept; `fallbacks` beside them."""

    wordy = CHOICES.keys()  # a third of the page is too narrow for what is chosen

    def __init__(self, data: Any = None, *, terms: dict[str, Any], fallbacks: Collection[str]) -> None:
        super().__init__(data, initial={name: _written(value) for name, value in terms.items()})
        for way in Fallback:
            self.fields[f"fallback_{way}"] = forms.BooleanField(
                label=way.label, required=False, initial=way in fallbacks
            )
        for group in GROUPS.values():
            for name, label in group.items():
                self.fields[name] = _field(name, label)

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        ways = ("Where a charger keeps no reservation", [self[f"fallback_{way}"] for way in Fallback])
        return [*((title, [self[name] for name in group]) for title, group in GROUPS.items()), ways]

    @property
    def terms(self) -> dict[str, Any]:
        return {name: _read(name, self.cleaned_data[name]) for group in GROUPS.values() for name in group}

    @property
    def fallbacks(self) -> list[str]:
        return [way.value for way in Fallback if self.cleaned_data[f"fallback_{way}"]]


def _field(name: str, label: str) -> forms.Field:
    standard = STANDARD[name]
    if name in LIMITS:
        bounds = LIMITS[name]
        words = "no limit" if standard is None else standard
        return forms.IntegerField(
            label=label, required=False, min_value=bounds.least, max_value=bounds.most,
            help_text=f"{bounds.least} to {bounds.most}; blank: {words}.",
        )  # fmt: skip
    choices = dict(CHOICES[name].choices) if name in CHOICES else YES_NO
    shown = choices[_written(standard)]
    named = [(value, words) for value, words in choices.items() if value]
    return forms.ChoiceField(label=label, required=False, choices=[("", f"Default: {shown}"), *named])


def _written(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _read(name: str, value: Any) -> Any:
    if value in {None, ""}:
        return None
    return value == "true" if isinstance(STANDARD[name], bool) else value
