"""What an invoice must say of an organisation, as its people fill it in."""

from __future__ import annotations

from typing import Any

from django import forms

from bookings.billing.particulars import PARTICULARS
from depots.models import Organisation

_LABELS = {
    "legal_name": "Legal name",
    "address": "Street and number",
    "postal_code": "Postal code",
    "city": "Town",
    "country": "Country",
    "vat_id": "VAT id",
    "iban": "IBAN",
    "creditor_id": "SEPA creditor id",
    "billing_email": "E-mail for invoices",
}


class ParticularsForm(forms.Form):
    """The checks are the operation's: its faults come back to their fields."""

    def __init__(self, data: Any = None, *, organisation: Organisation) -> None:
        super().__init__(data, initial={name: getattr(organisation, name) for name in PARTICULARS})
        for name, words in PARTICULARS.items():
            self.fields[name] = forms.CharField(
                label=_LABELS[name],
                required=False,
                max_length=300,
                help_text=f"{words[:1].upper()}{words[1:]}.",
            )
