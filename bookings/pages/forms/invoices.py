"""What is asked of invoices: which to show, and what is done to one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import forms

from bookings.billing.invoice_states import InvoiceState
from bookings.billing.months import Month
from bookings.billing.settlement import MOST
from bookings.billing.untrusted_xml import LONGEST_XML
from bookings.errors import BookingError
from bookings.pages.forms.fields import DayInput
from depots.models import Organisation


class MonthField(forms.CharField):
    """`2026-11`; gives a Month."""

    def __init__(self, **options: Any) -> None:
        month = forms.TextInput(attrs={"type": "month", "placeholder": "2026-11"})
        super().__init__(**{"max_length": 7, "label": "Month", "widget": month, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return Month.read(text)
        except BookingError as refusal:
            raise forms.ValidationError(str(refusal)) from None


class InvoiceFilterForm(forms.Form):
    side = forms.ChoiceField(
        label="Which",
        required=False,
        choices=[("", "All"), ("receivable", "Owed to us"), ("payable", "Owed by us")],
    )
    state = forms.ChoiceField(label="State", required=False, choices=[("", "Any"), *InvoiceState.choices])
    month = MonthField(required=False)


class PaymentForm(forms.Form):
    amount = forms.DecimalField(label="Amount", min_value=Decimal("0.01"), max_value=MOST, decimal_places=2)
    paid_on = forms.DateField(label="Paid on", widget=DayInput)
    reference = forms.CharField(
        label="Reference", required=False, max_length=100, help_text="What the bank calls it, where it does."
    )
    key = forms.CharField(widget=forms.HiddenInput, max_length=40)

    @classmethod
    def shown(cls, due: Decimal, today: date) -> PaymentForm:
        """Sent twice it is one payment: by its reference, or the page's key."""
        return cls(initial={"amount": f"{max(due, Decimal(0)):.2f}", "paid_on": today, "key": str(uuid4())})

    @property
    def payment_reference(self) -> str:
        return self.cleaned_data["reference"] or f"by hand {self.cleaned_data['key']}"


class CreditForm(forms.Form):
    reason = forms.CharField(
        label="Why all of it is credited", max_length=300, help_text="The customer reads it."
    )


class BillForm(forms.Form):
    """A billing run of one operator from the page; which of `operators` it is, is checked."""

    operator = forms.ModelChoiceField(Organisation.objects.none(), widget=forms.HiddenInput)
    month = MonthField()

    def __init__(self, *given: Any, operators: Collection[int], **options: Any) -> None:
        # It stands beside the filter, which asks for a month too.
        super().__init__(*given, **options)
        self.auto_id = "bill_%s"
        rows = Organisation.objects.filter(pk__in=operators, is_partner=False)
        self.fields["operator"].queryset = rows  # type: ignore[attr-defined]

    @classmethod
    def shown(cls, operator: Organisation, month: Month) -> BillForm:
        form = cls(operators=[operator.pk], initial={"operator": operator.pk, "month": str(month)})
        form.auto_id = f"bill{operator.pk}_%s"
        return form


class SelfBillForm(forms.Form):
    """The invoice that one of `customers` writes for what it owes a network; with which that is agreed, the run says."""

    customer = forms.ModelChoiceField(Organisation.objects.none(), widget=forms.HiddenInput)
    supplier = forms.ModelChoiceField(Organisation.objects.filter(is_partner=True), widget=forms.HiddenInput)
    month = MonthField()

    def __init__(self, *given: Any, customers: Collection[int], **options: Any) -> None:
        super().__init__(*given, **options)
        rows = Organisation.objects.filter(pk__in=customers, is_partner=False)
        self.fields["customer"].queryset = rows  # type: ignore[attr-defined]


class StatementForm(forms.Form):
    """A camt.053 file."""

    file = forms.FileField(
        label="File", help_text=f"camt.053 or camt.054, up to {LONGEST_XML // 1024**2} MB."
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LONGEST_XML:
            raise forms.ValidationError(f"The file is larger than {LONGEST_XML // 1024**2} MB.")
        return file
