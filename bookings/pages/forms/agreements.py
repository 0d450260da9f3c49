"""How a depot is opened: what the asking or offering side fills in, and when an agreement ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from bookings.models import Booking
from bookings.pages.forms.fields import DayInput
from depots.models import Depot, Organisation
from depots.parties import UnknownOrganisationError, organisation_called

MOST_DAYS_AHEAD = 20 * 366


class _EndForm(forms.Form):
    """`ends_at` once valid: the midnight that ends the day, by the depot's clock; None where no day is named."""

    ends_on = forms.DateField(label="Last day", required=False, widget=DayInput)

    def __init__(self, data: Any = None, *, depot: Depot, now: datetime, **options: Any) -> None:
        self.depot, self._now = depot, now
        super().__init__(data, **options)

    def clean_ends_on(self) -> Any:
        day = self.cleaned_data["ends_on"]
        today = self._now.astimezone(self.depot.zone).date()
        if day is not None and not today <= day <= today + timedelta(days=MOST_DAYS_AHEAD):
            raise ValidationError("A day from today on.")
        return day

    @property
    def ends_at(self) -> datetime | None:
        day = self.cleaned_data.get("ends_on")
        if day is None:
            return None
        return datetime.combine(day + timedelta(days=1), time(), self.depot.zone)


class ProposalForm(_EndForm):
    """`guest` once valid: the organisation it is for, one of `asking`, or of an offer by name or party."""

    guest_name = forms.CharField(label="For", max_length=100)
    message = forms.CharField(
        label="Message", required=False, max_length=300, widget=forms.Textarea({"rows": 3})
    )
    ends_on = forms.DateField(
        label="Last day", required=False, widget=DayInput, help_text="Blank: until one of you ends it."
    )
    field_order = ("guest_name", "message", "ends_on")

    def __init__(
        self, data: Any = None, *, asking: Iterable[Organisation] | None = None, **options: Any
    ) -> None:
        super().__init__(data, **options)
        self._asking = None if asking is None else list(asking)
        if self._asking is None:
            self.fields[
                "guest_name"
            ].help_text = "A fleet's or partner network's name, or its party as DE*NFE."
        else:
            names = [(one.name, one.name) for one in self._asking]
            self.fields["guest_name"] = forms.ChoiceField(label="For", choices=names)
        self.guest: Organisation | None = None

    def clean_guest_name(self) -> str:
        name: str = self.cleaned_data["guest_name"]
        if self._asking is not None:
            self.guest = next(one for one in self._asking if one.name == name)
            return name
        try:
            self.guest = organisation_called(name)
        except UnknownOrganisationError as unknown:
            raise ValidationError(str(unknown)) from unknown
        if self.guest.pk == self.depot.operator_id:
            raise ValidationError("It runs the depot itself.")
        return name


class EndForm(_EndForm):
    """`cancel` has the ids of bookings that are cancelled; the rest of those that are shown stands."""

    ends_on = forms.DateField(
        label="Last day", required=False, widget=DayInput, help_text="Blank: it ends at once."
    )

    def __init__(self, data: Any = None, *, found: Collection[Booking] = (), **options: Any) -> None:
        super().__init__(data, **options)
        self._found = {str(booking.pk): booking.pk for booking in found}

    @property
    def cancel(self) -> set[int]:
        told = self.data.getlist("cancel") if hasattr(self.data, "getlist") else []
        return {self._found[text] for text in told if text in self._found}


class DeclineForm(forms.Form):
    reason = forms.CharField(label="Why", required=False, max_length=300)
