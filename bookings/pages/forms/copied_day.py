from __future__ import annotations

from typing import Any

from django import forms


def _day(label: str) -> forms.DateField:
    return forms.DateField(
        label=label, widget=forms.DateInput({"type": "date", "class": "form-control"}, "%Y-%m-%d")
    )


class CopyDayForm(forms.Form):
    """Which day's bookings are wanted again on which; by the clock of each depot."""

    copied_day = _day("Bookings of")
    to_day = _day("Again on")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("copied_day") and cleaned.get("copied_day") == cleaned.get("to_day"):
            self.add_error("to_day", "That is the same day.")
        return cleaned
