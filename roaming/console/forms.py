"""The forms of the pages about partners."""

from __future__ import annotations

from typing import Any

from django import forms

from roaming.console.messages import Filters, module_choices
from roaming.console.operations import LONGEST_NOTES
from roaming.console.overview import TROUBLES
from roaming.models import Delivery, Partner, PartnerMessage
from roaming.switches import SWITCHES, Switch, switch


class ListForm(forms.Form):
    """What the list of partners is narrowed down to. What cannot be read narrows nothing."""

    q = forms.CharField(label="Name or party", required=False, max_length=100)
    trouble = forms.ChoiceField(label="Which", required=False, choices=[("", "All"), *TROUBLES.items()])


class MessagesForm(forms.Form):
    direction = forms.ChoiceField(
        label="Way", required=False, choices=[("", "Both ways"), ("in", "From it"), ("out", "To it")]
    )
    module = forms.ChoiceField(label="Module", required=False)
    outcome = forms.ChoiceField(
        label="Outcome", required=False, choices=[("", "Any"), *PartnerMessage.Outcome.choices]
    )
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=64,
        help_text="A correlation or request id, a booking, or anything that was said",
    )

    def __init__(self, *args: Any, partner: Partner, **options: Any) -> None:
        super().__init__(*args, **options)
        names = module_choices(partner)
        self.fields["module"].choices = [("", "All"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    @property
    def filters(self) -> Filters:
        """Of a form that was checked; what cannot be read narrows nothing."""
        given = self.cleaned_data
        return Filters(
            given.get("direction", ""),
            given.get("module", ""),
            given.get("outcome", ""),
            given.get("q", "").strip(),
        )


class DeliveriesForm(forms.Form):
    kind = forms.ChoiceField(label="Kind", required=False, choices=[("", "All"), *Delivery.Kind.choices])
    q = forms.CharField(
        label="Name", required=False, max_length=64, help_text="A booking, depot, EVSE, tariff, offer …"
    )


class NotesForm(forms.Form):
    notes = forms.CharField(
        label="Conformance notes",
        required=False,
        max_length=LONGEST_NOTES,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What is known of how it keeps to OCPI, and what was agreed about it",
    )


class SwitchesForm(forms.Form):
    """All that the table of switches has, in its order; nothing of it is decided here."""

    @classmethod
    def of(cls, partner: Partner) -> SwitchesForm:
        return cls(initial={name: switch(partner, name) for name in SWITCHES})

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for one in SWITCHES.values():
            self.fields[one.name] = _field(one)


def _field(one: Switch) -> forms.Field:
    if one.choices:
        return forms.ChoiceField(label=one.words, choices=[(choice, choice) for choice in one.choices])
    if isinstance(one.default, bool):
        return forms.BooleanField(label=one.words, required=False)
    if isinstance(one.default, int):
        return forms.IntegerField(label=one.words, min_value=0)
    return forms.CharField(label=one.words, required=False, max_length=64)
