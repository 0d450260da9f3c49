"""What a manager fills in to let a charger in that was refused."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from pydantic import ValidationError

from depots.imports.schemas import ChargerRow
from depots.imports.sentences import sentence
from depots.models import RefusedConnection
from depots.standards import PLUGS, PROTOCOLS

KEEP, GIVE = "keep", "give"
LONGEST_UID = 33  # with a dash and two digits behind it
_NOT_IN_UIDS = re.compile(r"[^A-Za-z0-9._~:*@+\-]")


class NewChargerForm(forms.Form):
    """`row` is the charger as a depot file would have it, once valid."""

    protocol = forms.ChoiceField(label="Protocol", choices=[(name, name) for name in PROTOCOLS])
    evses = forms.IntegerField(label="EVSEs", min_value=1, max_value=20, initial=1)
    uid = forms.CharField(
        label="Named", max_length=LONGEST_UID, help_text="Each with its number behind: CP-1-1, CP-1-2"
    )
    max_power_kw = forms.DecimalField(
        label="Power of each, kW", min_value=1, max_value=5000, decimal_places=1, initial=400
    )
    connector_standard = forms.ChoiceField(
        label="Plug",
        choices=[(name, plug.label) for name, plug in PLUGS.items()],
        initial="IEC_62196_T2_COMBO",
    )
    credentials = forms.ChoiceField(
        label="Password",
        choices=[(KEEP, "The one it tried"), (GIVE, "A new one, shown once")],
    )

    def __init__(self, *args: Any, refused: RefusedConnection, **options: Any) -> None:
        super().__init__(*args, **options)
        self.refused = refused
        self.row: ChargerRow | None = None
        offered = next((name for name in refused.protocols.split(",") if name in PROTOCOLS), PROTOCOLS[0])
        self.fields["protocol"].initial = offered
        self.fields["uid"].initial = _NOT_IN_UIDS.sub("-", refused.identity)[:LONGEST_UID]
        self.fields["credentials"].initial = KEEP if refused.password_hash else GIVE

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.errors:
            self.row = self._row(values)
        return values

    @property
    def keeps_password(self) -> bool:
        return bool(self.cleaned_data["credentials"] == KEEP)

    def _row(self, values: dict[str, Any]) -> ChargerRow | None:
        evse = {
            "max_power_kw": float(values["max_power_kw"]),
            "connector_standard": values["connector_standard"],
        }
        try:
            return ChargerRow.model_validate(
                {
                    "identity": self.refused.identity,
                    "protocol": values["protocol"],
                    "evses": [
                        {**evse, "uid": f"{values['uid']}-{number}", "number": number}
                        for number in range(1, values["evses"] + 1)
                    ],
                }
            )
        except ValidationError as faults:
            for fault in faults.errors(include_url=False):
                name = "uid" if "uid" in fault["loc"] else None
                self.add_error(name, f"{fault['loc'][-1]} {sentence(dict(fault))}")
                break
        return None


class ExpectedChargerForm(forms.Form):
    identity = forms.CharField(label="Identity", max_length=48, strip=True)
