from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from bookings.pages.forms.fields import ShownPriceField

OTHER = "other"
USUAL = (15, 30, 60)
MOST_MIN = 24 * 60


class DelayForm(forms.Form):
    """How much later a truck comes. `shown_price` is what the page said for `shown_for`, the minutes that were chosen then."""

    minutes = forms.ChoiceField(
        label="How much later?", widget=forms.RadioSelect, initial="15",
        choices=[*((str(minutes), f"{minutes} minutes") for minutes in USUAL), (OTHER, "Other")],
    )  # fmt: skip
    other = forms.IntegerField(
        label="Minutes", required=False, min_value=1, max_value=MOST_MIN,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )  # fmt: skip
    shown_price = ShownPriceField()
    shown_for = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("minutes") == OTHER and cleaned.get("other") is None and "other" not in self.errors:
            self.add_error("other", "Say by how many minutes.")
        return cleaned

    @property
    def delay(self) -> timedelta:
        """Of a valid form."""
        minutes = self.cleaned_data["minutes"]
        return timedelta(minutes=int(self.cleaned_data["other"] if minutes == OTHER else minutes))

    @property
    def price_shown(self) -> dict[str, str] | None:
        """Of a valid form; None where none was shown for what it says by now."""
        is_of_this = self.cleaned_data["shown_for"] == str(int(self.delay.total_seconds() // 60))
        price: dict[str, str] | None = self.cleaned_data["shown_price"]
        return price if is_of_this else None
