"""What a manager fills in to have a charger do something."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django import forms

from bookings.pages.forms.depot import EvseField
from bookings.pages.forms.fields import MomentField, moment_in
from depots.models import Charger, ChargingSession, Evse
from depots.wall_clock import local_text

# Where a charger may fetch firmware or send a log: what OCPP's own file transfers know.
SCHEMES = {"http", "https", "ftp", "ftps", "sftp"}
LONGEST_LOCATION = 512
# Messages worth asking for by hand, by the protocol's family; all of them are in `charger_command`.
MESSAGES = {
    "1.6": ("StatusNotification", "MeterValues", "Heartbeat", "BootNotification", "DiagnosticsStatusNotification",
            "FirmwareStatusNotification"),
    "2.x": ("StatusNotification", "MeterValues", "TransactionEvent", "Heartbeat", "BootNotification",
            "LogStatusNotification", "FirmwareStatusNotification"),
}  # fmt: skip

NOBODY_CHARGES = "Nobody charges there."
# What a charger can be raised to.
PROFILES = ((2, "2: its password over TLS"), (3, "3: its own certificate over TLS"))


class LocationField(forms.CharField):
    """An address a charger is told: fetched or written by the charger, never by us."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": LONGEST_LOCATION, "required": False, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return ""
        try:
            address = urlsplit(text)
            is_whole = address.scheme.lower() in SCHEMES and bool(address.hostname)
        except ValueError:
            is_whole = False
        if not is_whole or any(sign.isspace() for sign in text):
            raise forms.ValidationError(
                "This is not an address that begins with https, http, ftps, ftp or sftp."
            )
        return text


class ChargerForm(forms.Form):
    """The fields one kind of command needs; `charger` with its depot loaded."""

    def __init__(
        self, *args: Any, charger: Charger, evses: Iterable[Evse], sessions: Iterable[ChargingSession],
        family: str, now: datetime, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(*args, **options)
        self.charger, self.zone, self.now = charger, charger.depot.zone, now
        self.fill(list(evses), list(sessions), family)

    def fill(self, evses: list[Evse], sessions: list[ChargingSession], family: str) -> None:
        """Offer what there is to choose from."""
        if isinstance(evse := self.fields.get("evse"), EvseField):
            evse.offer_evses(evses)


class StartForm(ChargerForm):
    evse = EvseField()
    card = forms.CharField(
        max_length=255, required=False, strip=True,
        help_text="Its number; left blank, the booking's whose slot it is now.",
    )  # fmt: skip


class StopForm(ChargerForm):
    session = forms.ChoiceField(error_messages={"required": NOBODY_CHARGES})

    def fill(self, evses: list[Evse], sessions: list[ChargingSession], family: str) -> None:
        choices = [
            (s.transaction, f"{s.evse or 'EVSE not known'}, {s.token_ending or 'no card'}") for s in sessions
        ]
        self.fields["session"].choices = choices or [("", NOBODY_CHARGES)]  # type: ignore[attr-defined]


class EvseForm(ChargerForm):
    evse = EvseField()


class RestartForm(ChargerForm):
    how = forms.ChoiceField(
        choices=[("soft", "When it is idle, or gently"), ("hard", "At once, whatever it does")],
        initial="soft",
    )


class MessageForm(ChargerForm):
    message = forms.ChoiceField()
    evse = EvseField(required=False, label="EVSE, where one is meant")

    def fill(self, evses: list[Evse], sessions: list[ChargingSession], family: str) -> None:
        self.fields["message"].choices = [(name, name) for name in MESSAGES[family]]  # type: ignore[attr-defined]
        super().fill(evses, sessions, family)
        self.fields["evse"].choices = [("", "The whole charger"), *self.fields["evse"].choices]  # type: ignore[attr-defined]


class AvailabilityForm(ChargerForm):
    service = forms.ChoiceField(choices=[("operative", "In service"), ("inoperative", "Out of service")])
    evse = EvseField(required=False)

    def fill(self, evses: list[Evse], sessions: list[ChargingSession], family: str) -> None:
        """Opens on how it is."""
        super().fill(evses, sessions, family)
        self.fields["evse"].choices = [("", "The whole charger"), *self.fields["evse"].choices]  # type: ignore[attr-defined]
        is_out = bool(evses) and all(evse.status == Evse.Status.UNAVAILABLE for evse in evses)
        self.fields["service"].initial = "inoperative" if is_out else "operative"


class LogForm(ChargerForm):
    kind = forms.ChoiceField(choices=[("log", "What it did"), ("security", "Security events")], initial="log")
    since = MomentField(required=False, label="Since")
    location = LocationField(
        label="Send it to", help_text="Left blank, to Berth, where it is kept for a month.",
        widget=forms.TextInput(attrs={"placeholder": "sftp://logs.example/berth"}),
    )  # fmt: skip

    def clean(self) -> dict[str, Any] | None:
        since = self.cleaned_data.get("since")
        if since is not None:
            self.cleaned_data["since"] = moment_in(self, "since", since, self.zone)
        return self.cleaned_data


class SecurityForm(ChargerForm):
    profile = forms.ChoiceField(label="Profile")
    interface = forms.ChoiceField(
        label="How it is connected",
        required=False,
        choices=[("wired", "By cable"), ("wireless", "By radio")],
        help_text="It is told so with the new profile.",
    )

    def fill(self, evses: list[Evse], sessions: list[ChargingSession], family: str) -> None:
        """1.6 is not told by which way it is connected."""
        higher = [(str(n), text) for n, text in PROFILES if n > self.charger.security_profile]
        self.fields["profile"].choices = higher  # type: ignore[attr-defined]
        if family == "1.6":
            del self.fields["interface"]


class FirmwareForm(ChargerForm):
    _suggested: datetime | None = None

    location = LocationField(
        required=True, label="Where it lies", widget=forms.TextInput(attrs={"placeholder": "https://maker.example/fw.bin"})
    )  # fmt: skip
    at = MomentField(label="Installed from")
    signature = forms.CharField(
        max_length=800, required=False, help_text="Where its maker gives one, with the certificate."
    )
    certificate = forms.CharField(
        max_length=5500, required=False, label="Certificate of who signed it", widget=forms.Textarea(attrs={"rows": 3})
    )  # fmt: skip

    def clean(self) -> dict[str, Any] | None:
        given = self.cleaned_data
        if (at := given.get("at")) is not None:
            given["at"] = self._not_past(moment_in(self, "at", at, self.zone))
        if bool(given.get("signature")) != bool(given.get("certificate")):
            self.add_error("certificate", "A signature and its certificate go together.")
        return given

    def _not_past(self, at: datetime | None) -> datetime | None:
        """What was this moment when the form was opened is this moment still."""
        if at is not None and at < self.now - timedelta(hours=1):
            self.add_error("at", "This is over.")
        return at if at is None else max(at, self.now)

    def suggest(self, at: datetime) -> None:
        """Fill in when nobody is in the way."""
        self._suggested = at
        self.initial["at"] = local_text(at, self.zone)

    @property
    def meant_at(self) -> datetime | None:
        """When it is to be installed, as suggested or as sent; None for what cannot be read."""
        return self.cleaned_data.get("at") if self.is_bound and self.is_valid() else self._suggested
