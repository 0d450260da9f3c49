"""What is said about a record: why it is disputed or waived, and the answer."""

from __future__ import annotations

from django import forms

from bookings.billing.errors import MonthInvalid
from bookings.billing.months import Month
from bookings.pages.price_parts import PriceParts

WHOLE = ""


def chosen_month(text: str, otherwise: Month) -> Month:
    """Of the address; what cannot be read is `otherwise`."""
    try:
        return Month.read(text) if text else otherwise
    except MonthInvalid:
        return otherwise


class DisputeForm(forms.Form):
    line = forms.ChoiceField(label="What is not right", required=False)
    reason = forms.CharField(
        label="Why", max_length=300, widget=forms.Textarea(attrs={"rows": 3}), help_text="The depot reads it."
    )

    def __init__(self, *args: object, price: PriceParts, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        lines = [(str(part.line), f"{part.what} {part.detail}".strip()) for part in price.parts]
        self.fields["line"].choices = [(WHOLE, "All of it"), *lines]  # type: ignore[attr-defined]

    @property
    def line_number(self) -> int | None:
        text = self.cleaned_data["line"]
        return int(text) if text else None


class WaiverForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The customer reads it.",
    )


class AnswerForm(forms.Form):
    answer = forms.CharField(
        label="Your answer",
        max_length=300,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The customer reads it. A rejection says why.",
    )
    decision = forms.ChoiceField(choices=[("accept", "Accept"), ("reject", "Reject")])
