"""Fields that read what dispatchers write: moments, and things of their own by a name or an id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Generic, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model

from depots.wall_clock import MomentUnclear, read

Row = TypeVar("Row", bound=Model)


class MomentInput(forms.DateTimeInput):
    """A datetime-local input, or one for text where the value carries an offset, which the former would swallow."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        text = str(context["widget"]["value"] or "")
        context["widget"]["type"] = "datetime-local" if _is_plain(text) else "text"
        return context


class MomentField(forms.CharField):
    """Gives a datetime, naive as read off a wall clock or aware with an offset."""

    widget = MomentInput

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 40, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return read(text).replace(second=0, microsecond=0)
        except MomentUnclear as unclear:
            raise ValidationError(str(unclear)) from None


class RowField(forms.ChoiceField, Generic[Row]):
    """One of a few rows that were read already: by its name in any capitals, or by its id where names repeat.

    Gives the row or None. What is not among the rows is refused in one sentence, whether it exists or not.
    """

    def __init__(self, *, missing: str, none: str, **options: Any) -> None:
        super().__init__(**{"required": False, **options})
        self._missing, self._none = missing, none
        self._rows: dict[str, Row] = {}

    def offer(
        self,
        rows: Iterable[Row],
        key: Callable[[Row], str],
        label: Callable[[Row], str],
        *,
        heading: Callable[[Row], str] | None = None,
    ) -> None:
        """Set the choices; `heading` groups them."""
        found = list(rows)
        names = [key(row).upper() for row in found]
        self._rows = {str(row.pk): row for row in found}
        choices: list[Any] = [("", self._none)] if self._none else []
        groups: dict[str, list[tuple[str, str]]] = {}
        for row, name in zip(found, names, strict=True):
            value = key(row) if names.count(name) == 1 else str(row.pk)
            self._rows[value.upper()] = row
            groups.setdefault(heading(row) if heading else "", []).append((value, label(row)))
        for words, options in groups.items():
            choices += [(words, options)] if len(groups) > 1 and words else options
        self.choices = choices

    def value_of(self, row: Row | None) -> str:
        """What stands for a row in an address."""
        if row is None:
            return ""
        return next(value for value, known in reversed(self._rows.items()) if known.pk == row.pk)

    def row(self, value: Any) -> Row | None:
        """What a value stands for, if for anything."""
        return self._rows.get(str(value).strip().upper()) if value else None

    def prepare_value(self, value: Any) -> Any:
        """A value in other capitals selects its choice all the same."""
        known = self.row(value)
        return self.value_of(known) if known is not None else value

    def to_python(self, value: Any) -> Any:
        return str(value).strip() if value not in self.empty_values else ""

    def validate(self, value: Any) -> None:
        if not value and self.required:
            raise ValidationError(self.error_messages["required"])

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        found = self.row(text)
        if found is None:
            raise ValidationError(self._missing)
        return found


def _is_plain(text: str) -> bool:
    try:
        return not text or datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return True
