"""What an invoice must say of an organisation, as its people fill it in."""

from __future__ import annotations

from typing import Any

from django import forms

from bookings.billing.particulars import PARTICULARS
from depots.models import Organisation

# Label, and what it does not say.
_WORDS = {
    "legal_name": ("Legal name", "As in the register of companies."),
    "address": ("Street and number", ""),
    "postal_code": ("Postal code", ""),
    "city": ("Town", ""),
    "country": ("Country", "ISO 3166-1: DE or DEU."),
    "vat_id": ("VAT id", "With its country: DE123456788."),
    "iban": ("IBAN", "Customers pay to it; it stands on invoices."),
    "creditor_id": ("SEPA creditor id", "Only for collecting by direct debit."),
    "billing_email": ("E-mail for invoices", "What you owe is sent here; answers to what you issue too."),
    "billing_day": ("Bill by itself on day", "1 to 28: then the month before is billed. Empty: by hand."),
}


class ParticularsForm(forms.Form):
    """The checks are the operation's: its faults come back to their fields."""

    def __init__(self, data: Any = None, *, organisation: Organisation) -> None:
        super().__init__(data, initial={name: getattr(organisation, name) for name in PARTICULARS})
        for name in PARTICULARS:
            label, help_text = _WORDS[name]
            self.fields[name] = forms.CharField(
                label=label, required=False, max_length=300, help_text=help_text
            )
