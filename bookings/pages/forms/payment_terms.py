"""How a customer pays, as its operator's accountants fill it in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from bookings.billing.documents.printable import is_printable
from bookings.billing.payment_terms import SET
from bookings.models import PaymentTerms
from bookings.operations.open_depot import MOST_CREDIT
from bookings.pages.forms.fields import DayInput
from bookings.payments.providers import PREPAID, choices


class PaymentTermsForm(forms.Form):
    before = forms.ChoiceField(
        label="Before a booking is promised", choices=PaymentTerms.Before.choices, initial=PaymentTerms.Before.NOTHING,
        help_text="A prepayment pays the booking's invoice. A guarantee is kept until that invoice is paid in another way.",
    )  # fmt: skip
    provider = forms.ChoiceField(
        label="Paid from", initial=PREPAID,
        help_text="The prepaid balance is what the customer has paid in beforehand: see Balances.",
    )  # fmt: skip
    payment_min = forms.IntegerField(
        label="Minutes to pay", min_value=1, max_value=7 * 24 * 60, initial=60,
        help_text="So long a slot is kept for what is not paid yet, at most until it begins.",
    )  # fmt: skip
    credit_limit = forms.DecimalField(
        label="Credit limit", required=False, min_value=Decimal(0), max_value=MOST_CREDIT - 1, decimal_places=2,
        help_text="With taxes: open invoices, charging not billed yet and live bookings. Blank: none.",
    )  # fmt: skip
    currency = forms.RegexField(
        r"^[A-Z]{3}$", label="Currency of the limit", help_text="Three letters, such as EUR."
    )
    beyond = forms.ChoiceField(label="Beyond the limit", choices=PaymentTerms.Beyond.choices)
    due_days = forms.IntegerField(label="Days to pay", min_value=0, max_value=365)
    is_reverse = forms.BooleanField(label="The customer writes the invoices", required=False)
    mandate_reference = forms.CharField(label="SEPA mandate", required=False, max_length=35)
    mandate_signed_on = forms.DateField(label="Mandate signed on", required=False, widget=DayInput)

    def __init__(self, data: Any = None, *, terms: PaymentTerms) -> None:
        super().__init__(data, initial={name: getattr(terms, name) for name in SET})
        kept = [] if terms.provider in dict(choices()) else [(terms.provider, terms.provider)]
        self.fields["provider"].choices = [*choices(), *kept]  # type: ignore[attr-defined]

    def clean_mandate_reference(self) -> str:
        text: str = self.cleaned_data["mandate_reference"]
        if not is_printable(text):
            raise forms.ValidationError("It contains a character that no invoice can hold.")
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("mandate_reference")) != bool(cleaned.get("mandate_signed_on")):
            self.add_error(
                "mandate_signed_on", "A mandate has a reference and the day on which it was signed."
            )
        return cleaned
