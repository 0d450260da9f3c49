"""An invoice of others: uploaded, or typed line by line."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pycountry
from django import forms
from django.forms import BaseFormSet, formset_factory

from bookings.billing.documents.embedded import LARGEST_PDF
from bookings.billing.incoming_invoices import InvoiceLineTold, InvoiceTold, organisation_of
from bookings.models import IncomingInvoice
from bookings.pages.forms.fields import DayInput
from bookings.pages.forms.invoices import MonthField
from depots.models import Organisation

MOST = Decimal("999999999.9999")
MOST_LINES = 500
EMPTY_LINES, MORE_LINES = 3, 10


class RecipientField(forms.ModelChoiceField):
    """One of the organisations whose books somebody keeps; not asked where there is only one."""

    def __init__(self, recipients: list[Organisation]) -> None:
        rows = Organisation.objects.filter(pk__in=[row.pk for row in recipients]).order_by("name")
        super().__init__(rows, label="To", empty_label=None)
        if len(recipients) == 1:
            self.widget = forms.HiddenInput()
            self.initial = recipients[0].pk


class IncomingFileForm(forms.Form):
    file = forms.FileField(
        label="Invoice as a file",
        help_text=f"EN 16931: XML (CII or UBL), or a PDF with it inside (Factur-X, ZUGFeRD), up to {LARGEST_PDF // 1024**2} MB.",
    )

    def __init__(self, *given: Any, recipients: list[Organisation], **options: Any) -> None:
        super().__init__(*given, **options)
        self.auto_id = "file_%s"
        self.fields = {"recipient": RecipientField(recipients), **self.fields}

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_PDF:
            raise forms.ValidationError(f"The file is larger than {LARGEST_PDF // 1024**2} MB.")
        return file


class IncomingInvoiceForm(forms.Form):
    """All but its lines."""

    sender_name = forms.CharField(label="From", max_length=100)
    number = forms.CharField(label="Number", max_length=255)
    kind = forms.ChoiceField(label="Kind", choices=IncomingInvoice.Kind.choices)
    is_self_billed = forms.BooleanField(
        label="A customer wrote it in our place",
        required=False,
        help_text="Reverse billing: it says what we are owed.",
    )
    issued_on = forms.DateField(label="Date", widget=DayInput)
    due_on = forms.DateField(label="Due", widget=DayInput, required=False)
    month = MonthField(label="Month it bills", help_text="Such as 2026-11.")
    currency = forms.CharField(label="Currency", max_length=3, initial="EUR")
    before_taxes = forms.DecimalField(label="Before taxes", min_value=0, max_value=MOST, decimal_places=4)
    taxes = forms.DecimalField(label="VAT", min_value=0, max_value=MOST, decimal_places=4)
    iban = forms.CharField(label="IBAN", max_length=34, required=False)

    def __init__(self, *given: Any, recipients: list[Organisation], **options: Any) -> None:
        super().__init__(*given, **options)
        if recipients:
            self.fields = {"recipient": RecipientField(recipients), **self.fields}

    def clean_currency(self) -> str:
        currency = str(self.cleaned_data["currency"]).upper()
        if pycountry.currencies.get(alpha_3=currency) is None:
            raise forms.ValidationError(f"“{currency}” is no currency.")
        return currency

    def told(self, lines: BaseFormSet[Any]) -> InvoiceTold:
        given = self.cleaned_data
        fields = {name: given[name] for name in given if name != "recipient"}
        sender = organisation_of("", given["sender_name"])
        told = tuple(
            InvoiceLineTold(line["text"], line["cdr"].strip(), line["before_taxes"])
            for form in lines
            if (line := form.cleaned_data) and line.get("before_taxes") is not None
        )
        return InvoiceTold(
            **(fields | {"kind": IncomingInvoice.Kind(given["kind"])}), sender=sender, lines=told
        )

    @staticmethod
    def shown(row: IncomingInvoice) -> dict[str, Any]:
        names = (
            "sender_name", "number", "kind", "is_self_billed", "issued_on", "due_on", "currency", "before_taxes", "taxes", "iban",
        )  # fmt: skip
        return {**{name: getattr(row, name) for name in names}, "month": f"{row.month:%Y-%m}"}


class IncomingLineForm(forms.Form):
    """An empty one is left out."""

    cdr = forms.CharField(label="Record", max_length=64, required=False)
    text = forms.CharField(label="What for", max_length=300, required=False)
    before_taxes = forms.DecimalField(
        label="Before taxes", min_value=-MOST, max_value=MOST, decimal_places=4, required=False
    )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if (given.get("cdr") or given.get("text")) and given.get("before_taxes") is None and not self.errors:
            self.add_error("before_taxes", "Say how much.")
        return given


LINES: type[BaseFormSet[Any]] = formset_factory(
    IncomingLineForm, extra=EMPTY_LINES, max_num=MOST_LINES, absolute_max=MOST_LINES, validate_max=True
)


def lines_of(row: IncomingInvoice) -> list[dict[str, Any]]:
    return [dict(line) for line in row.lines]


class SettleForm(forms.Form):
    """What becomes of it."""

    to = forms.ChoiceField(choices=IncomingInvoice.State.choices)
    said = forms.CharField(label="Why", max_length=300, required=False)
    paid_on = forms.DateField(label="Paid on", widget=DayInput, required=False)
