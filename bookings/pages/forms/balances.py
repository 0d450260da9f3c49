"""Which prepaid balance is meant, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import forms

from bookings.pages.money_access import customers_of
from bookings.payments.prepaid import MOST, Account, Movement
from depots.models import Depot, Organisation


class BalanceForm(forms.Form):
    """One customer's with one operator: of those that have an agreement or have booked there."""

    operator = forms.ModelChoiceField(Organisation.objects.none(), label="With")
    customer = forms.ModelChoiceField(Organisation.objects.none(), label="Customer")
    currency = forms.RegexField(r"^[A-Z]{3}$", label="Currency", initial="EUR")

    def __init__(self, *given: Any, operators: Collection[int], **options: Any) -> None:
        super().__init__(*given, **options)
        running = Depot.objects.filter(operator__in=operators, is_mirror=False)
        rows = Organisation.objects.filter(pk__in=running.values("operator"))
        self.fields["operator"].queryset = rows.order_by("name")  # type: ignore[attr-defined]
        self.fields["customer"].queryset = customers_of(operators).order_by("name")  # type: ignore[attr-defined]
        self.operators = list(rows[:2]) if operators else []
        if len(self.operators) == 1:
            self.fields["operator"].initial = self.operators[0]

    @property
    def has_customers(self) -> bool:
        """Whether anybody's balance can be kept by who asks."""
        return bool(self.operators)

    @property
    def account(self) -> Account:
        given = self.cleaned_data
        return Account(given["operator"].pk, given["customer"].pk, given["currency"])


class MovementForm(forms.Form):
    """Money that came or was paid back. Sent twice it is one: by its reference, or the page's key."""

    amount = forms.DecimalField(label="Amount", min_value=Decimal("0.01"), max_value=MOST, decimal_places=2)
    reference = forms.CharField(
        label="Reference", required=False, max_length=100, help_text="What the bank calls it, where it does."
    )
    key = forms.CharField(widget=forms.HiddenInput, max_length=40)

    @classmethod
    def shown(cls, name: str) -> MovementForm:
        return cls(initial={"key": str(uuid4())}, auto_id=f"{name}_%s")

    def movement(self, version: int) -> Movement:
        given = self.cleaned_data
        return Movement(given["amount"], given["reference"] or f"by hand {given['key']}", version)
