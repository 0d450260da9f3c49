"""How much a session at a partner's depot may take at most."""

from __future__ import annotations

from django import forms

LEAST_KW, MOST_KW = 1, 4_000


class LimitForm(forms.Form):
    power_kw = forms.IntegerField(
        label="No more than (kW)", min_value=LEAST_KW, max_value=MOST_KW,
        error_messages={
            "required": "Say how many kW it may take at most.",
            "invalid": "Write whole kW, for example 60.",
            "min_value": f"At least {LEAST_KW} kW: to take nothing at all, stop charging.",
            "max_value": f"At most {MOST_KW} kW.",
        },
    )  # fmt: skip
