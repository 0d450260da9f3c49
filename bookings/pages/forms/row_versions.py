"""Rows with the versions that their forms carry, and what of a form was edited since it was shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django import forms
from django.db.models import Model
from django.http import QueryDict
from django.utils.safestring import SafeString, mark_safe

from bookings.rules.content_version import version_of

Row = TypeVar("Row", bound=Model)


def with_versions(rows: Iterable[Row]) -> list[tuple[Row, int]]:
    """For a list whose rows have buttons: each row with its `version_of`."""
    return [(row, version_of(row)) for row in rows]


class ShownForm(forms.Form):
    """A form that carries what it showed (`initial-…`), so that only what somebody edited is asked for.

    A sender that leaves it out is compared with what there is now.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            field.show_hidden_initial = True

    @property
    def shown(self) -> SafeString:
        """The hidden fields."""
        return mark_safe("".join(self[name].as_hidden(only_initial=True) for name in self.fields))  # noqa: S308 Django's own widgets

    def is_edited(self, name: str) -> bool:
        """Of a bound form."""
        bound = self[name]
        return bound.html_initial_name not in self.data or name in self.changed_data

    def carried_over(self, current: forms.Form) -> QueryDict:
        """What was sent, on top of what `current`, an unbound form of the row as it is now, shows: only edits are kept."""
        sent = QueryDict(mutable=True)
        for name in current.fields:
            bound = current[name]
            kept = self[name].data if name in self.fields and self.is_edited(name) else bound.initial
            for key, value in ((bound.html_initial_name, bound.initial), (bound.html_name, kept)):
                sent.setlist(key, value if isinstance(value, list) else [value or ""])
        return sent
