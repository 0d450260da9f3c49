from __future__ import annotations

from typing import Any

from django import forms

from depots.models import Organisation
from depots.operations.api_tokens import LONGEST_NAME


class ApiTokenForm(forms.Form):
    """A token that an organisation's own system is to call the JSON API with."""

    name = forms.CharField(label="Name", max_length=LONGEST_NAME, help_text="Which system is to use it.")
    is_read_only = forms.BooleanField(label="May only look", required=False)

    def __init__(self, data: Any = None, *, organisation: Organisation) -> None:
        self.organisation = organisation
        super().__init__(data, auto_id=f"token{organisation.pk}_%s")
