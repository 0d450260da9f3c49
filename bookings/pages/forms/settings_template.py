"""A template of charger settings as a manager writes it: a setting a line."""

from __future__ import annotations

from typing import Any

from django import forms

from bookings.maintenance.settings_templates import TemplateContent
from bookings.rules.charger_settings import fault_of
from depots.models import SettingsTemplate


class SettingsTemplateForm(forms.Form):
    protocol = forms.ChoiceField(choices=SettingsTemplate.Protocol.choices)
    vendor = forms.CharField(max_length=50, required=False, help_text="As it begins; blank means all.")
    model = forms.CharField(max_length=50, required=False, help_text="As it begins; blank means all.")
    firmware = forms.CharField(max_length=50, required=False, help_text="As it begins; blank means all.")
    settings = forms.CharField(
        max_length=20_000, required=False, widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false"}),
        help_text="One a line: HeartbeatInterval = 120. With nothing after the sign, that setting is left to the charger.",
    )  # fmt: skip
    applies_itself = forms.BooleanField(
        required=False, label="Berth sets what differs by itself, once after each start of the charger"
    )

    @classmethod
    def shown(cls, template: SettingsTemplate | None) -> dict[str, Any]:
        """Its initial values."""
        if template is None:
            return {"applies_itself": True}
        lines = [
            f"{key} = {'' if value is None else value}".strip() for key, value in template.settings.items()
        ]
        names = ("protocol", "vendor", "model", "firmware", "applies_itself")
        return {**{name: getattr(template, name) for name in names}, "settings": "\n".join(lines)}

    def clean_settings(self) -> dict[str, str | None]:
        settings: dict[str, str | None] = {}
        for number, line in enumerate(self.cleaned_data["settings"].splitlines(), start=1):
            key, sign, value = (part.strip() for part in line.partition("="))
            if line.strip() and not (key and sign):
                raise forms.ValidationError(
                    f"Line {number}: a setting is written as its name, an equals sign and its value."
                )
            if key in settings:
                raise forms.ValidationError(f"Line {number}: {key} stands there twice.")
            if key:
                settings[key] = value or None
        if fault := fault_of(settings):
            raise forms.ValidationError(fault)
        return settings

    def clean(self) -> dict[str, Any] | None:
        given = self.cleaned_data
        undotted = [key for key in given.get("settings") or {} if "." not in key]
        if given.get("protocol") == SettingsTemplate.Protocol.V2X and undotted:
            self.add_error(
                "settings", f"A setting of OCPP 2 is called Component.Variable; {undotted[0]} is not."
            )
        return given

    @property
    def content(self) -> TemplateContent:
        """Once valid."""
        return TemplateContent(**self.cleaned_data)
