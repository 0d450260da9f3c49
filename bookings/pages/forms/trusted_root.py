from __future__ import annotations

from typing import Any

from django import forms

from depots.models import Organisation
from depots.operations.trusted_roots import LARGEST_FILE


class TrustedRootForm(forms.Form):
    """A root certificate that an operator trusts; `file` becomes its text."""

    file = forms.FileField(
        label="Root certificate",
        help_text=f"PEM, one certificate a file, up to {LARGEST_FILE // 1000} kB.",
        widget=forms.ClearableFileInput(attrs={"accept": ".pem,.crt,.cer"}),
    )

    def __init__(self, data: Any = None, files: Any = None, *, operator: Organisation) -> None:
        self.operator = operator
        super().__init__(data, files, auto_id=f"root{operator.pk}_%s")

    def clean_file(self) -> str:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_FILE:
            raise forms.ValidationError(f"The file is larger than {LARGEST_FILE // 1000} kB.")
        try:
            return str(file.read().decode("ascii"))
        except UnicodeDecodeError:
            raise forms.ValidationError("That is no certificate in PEM, which is text.") from None
