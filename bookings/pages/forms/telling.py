"""Forms of what people and systems are told: webhooks, calendars, and a person's own settings."""

from __future__ import annotations

from typing import Any

from django import forms

from bookings.models import Vehicle
from bookings.notifications.feed import TYPES
from bookings.notifications.settings import Setting
from bookings.notifications.texts import LANGUAGES
from bookings.webhooks.registry import LONGEST_URL
from depots.models import Depot, Organisation


class WebhookForm(forms.Form):
    organisation = forms.ModelChoiceField(Organisation.objects.none(), label="Organisation")
    url = forms.CharField(
        label="Address",
        max_length=LONGEST_URL,
        help_text="https, where your system takes a POST.",
        widget=forms.URLInput(attrs={"autocomplete": "off", "placeholder": "https://"}),
    )
    events = forms.MultipleChoiceField(
        label="Events",
        required=False,
        choices=[(name, name) for name in TYPES],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        help_text="None: all of them.",
    )

    def __init__(self, data: Any = None, *, organisations: list[Organisation]) -> None:
        super().__init__(data)
        rows = Organisation.objects.filter(pk__in=[row.pk for row in organisations]).order_by("name")
        field = self.fields["organisation"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset, field.empty_label = rows, None
        if len(organisations) == 1:
            field.initial, field.widget = organisations[0].pk, forms.HiddenInput()


class CalendarForm(forms.Form):
    """`of` is `fleet-1`, `vehicle-2` or `depot-3`, of those that were offered."""

    of = forms.ChoiceField(label="What the calendar shows")

    def __init__(
        self, data: Any = None, *, fleets: list[Organisation], vehicles: list[Vehicle], depots: list[Depot]
    ) -> None:
        super().__init__(data)
        groups = {
            "Fleets": [(f"fleet-{row.pk}", f"All bookings of {row.name}") for row in fleets],
            "Vehicles": [(f"vehicle-{row.pk}", row.plate) for row in vehicles],
            "Depots": [(f"depot-{row.pk}", row.name) for row in depots],
        }
        field = self.fields["of"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, rows) for name, rows in groups.items() if rows]


class NotificationsForm(forms.Form):
    """A box a kind and way, and the language."""

    language = forms.ChoiceField(
        label="Language", choices=[(code, words.NAME) for code, words in LANGUAGES.items()]
    )

    def __init__(self, data: Any = None, *, settings: list[Setting], language: str) -> None:
        super().__init__(data, initial={"language": language})
        self.settings = settings
        words = LANGUAGES[language]
        for setting in settings:
            name = setting.kind.name
            for way, is_on in (("inbox", setting.inbox), ("mail", setting.mail)):
                label = f"{words.SHORT[name]}: {way}"
                self.fields[f"{name}_{way}"] = forms.BooleanField(required=False, initial=is_on, label=label)

    @property
    def rows(self) -> list[tuple[str, forms.BoundField, forms.BoundField]]:
        """Of each kind its words and its two boxes."""
        words = LANGUAGES[str(self.initial["language"])]
        names = [setting.kind.name for setting in self.settings]
        return [(words.SHORT[name], self[f"{name}_inbox"], self[f"{name}_mail"]) for name in names]

    @property
    def choices(self) -> dict[str, tuple[bool, bool]]:
        """Of a valid form."""
        told = self.cleaned_data
        names = [setting.kind.name for setting in self.settings]
        return {name: (told[f"{name}_inbox"], told[f"{name}_mail"]) for name in names}
