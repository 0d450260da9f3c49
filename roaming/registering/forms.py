from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from depots.url_guard import MAX_URL, HostileAddress, check_url

ROLES = [
    ("CPO", "Operator of depots (CPO): our fleets book there"),
    ("EMSP", "Fleets (eMSP): they book at our depots"),
    ("HUB", "Hub: it connects many parties"),
]


class PartyForm(forms.Form):
    """Who the partner is. Its credentials have to name this party in each of these roles."""

    name = forms.CharField(label="Name of the network", max_length=100)
    country_code = forms.CharField(
        label="Country", min_length=2, max_length=2, help_text="Two letters, as in DE"
    )
    party_id = forms.CharField(
        label="Party id", min_length=1, max_length=3, help_text="Three letters or digits, as in ABC"
    )
    roles = forms.MultipleChoiceField(label="What it is", choices=ROLES, widget=forms.CheckboxSelectMultiple)

    def clean_country_code(self) -> str:
        given: str = self.cleaned_data["country_code"].upper()
        if not (given.isascii() and given.isalpha()):
            raise ValidationError("A country is two letters.")
        return given

    def clean_party_id(self) -> str:
        given: str = self.cleaned_data["party_id"].upper()
        if not (given.isascii() and given.isalnum()):
            raise ValidationError("A party id is letters and digits.")
        return given

    @property
    def party(self) -> dict[str, Any]:
        """As `registration.invite` and `connect` take it."""
        return {name: self.cleaned_data[name] for name in ("name", "country_code", "party_id", "roles")}


class InviteForm(PartyForm):
    pass


class ConnectForm(PartyForm):
    """What the partner has sent us beside its party."""

    versions_url = forms.CharField(label="Its versions URL", max_length=MAX_URL)
    token_a = forms.CharField(
        label="Its token A", max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def clean_versions_url(self) -> str:
        try:
            return check_url(self.cleaned_data["versions_url"])
        except HostileAddress as refusal:
            raise ValidationError(str(refusal)) from None


class LeaveForm(forms.Form):
    is_sure = forms.BooleanField(
        label="It has to register again with a new token A to come back",
        error_messages={"required": "Say that you are sure."},
    )
