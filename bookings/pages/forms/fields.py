"""Fields that read what dispatchers write: moments, and things of their own by a name or an id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from bookings.rules.terms import LONGEST_BOOKING
from depots.periods import Period
from depots.templatetags.berth import icon
from depots.wall_clock import TURNS, MomentUnclear, in_zone, read

Row = TypeVar("Row", bound=Model)

FARTHEST = timedelta(days=400)
TOO_LONG = f"A slot lasts {LONGEST_BOOKING.days} days at most."

_TURN_CHOICE = (
    '<label class="form-check"><input class="form-check-input" type="radio" name="{}_turn" value="{}"{}>'
    '<span class="form-check-label">the {} time</span></label>'
)


class MomentInput(forms.TextInput):
    """Day and time as `2026-11-26 11:00`: the browser's own fields show twelve hours to some and twenty-four to others.

    static/js/moments.js lays a calendar beside it. Where a wall clock shows the time twice, `asks_turn` lets the first or
    the second be chosen; it comes back as a word after the time, which depots.wall_clock reads.
    """

    asks_turn = False

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        told = {"autocomplete": "off", "spellcheck": "false", "maxlength": "40", "data-moment": "minute"}
        super().__init__({**told, **(attrs or {})})

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        text, turn = data.get(name), data.get(f"{name}_turn")
        return f"{text} {turn}" if text and turn in TURNS else text

    def format_value(self, value: Any) -> str | None:
        text = super().format_value(value)
        return text and _without_turn(text)[0].replace("T", " ")

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        control = _with_calendar(super().render(name, value, attrs, renderer), str(value or ""))
        chosen = _without_turn(str(value or ""))[1]
        if not self.asks_turn and not chosen:
            return control
        choices = [(name, turn, " checked" if turn == chosen else "", turn) for turn in TURNS]
        radios = format_html_join("", _TURN_CHOICE, choices)
        legend = "Which of the two?"
        return format_html(
            '{}<span class="moment-turn" role="radiogroup" aria-label="{}">{}</span>', control, legend, radios
        )


class DayInput(forms.DateInput):
    """A day as `2026-11-26`, in every browser alike."""

    def __init__(self) -> None:
        super().__init__({"autocomplete": "off", "maxlength": "10", "data-moment": "day"}, format="%Y-%m-%d")

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        return _with_calendar(super().render(name, value, attrs, renderer), str(value or ""))


class ShownPriceField(forms.RegexField):
    """The price that stood on a page, as `12.30 EUR`, or `none`; gives what `quotes.check_shown` takes."""

    widget = forms.HiddenInput

    def __init__(self, **options: Any) -> None:
        super().__init__(
            r"^(none|[0-9]{1,12}(\.[0-9]{1,4})? [A-Z]{3})\Z",
            **{"required": False, "max_length": 40, **options},
        )

    @staticmethod
    def written(quote: Mapping[str, Any]) -> str:
        """Of a quote as it is kept."""
        return f"{quote['total']} {quote['currency']}" if quote else "none"

    def clean(self, value: Any) -> dict[str, str] | None:
        total, _, currency = super().clean(value).partition(" ")
        if not currency:
            return {} if total else None
        return {"total": total, "currency": currency}


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

    def has_changed(self, initial: Any, data: Any) -> bool:
        """By the moment, however it is written."""
        try:
            return bool(self.clean(initial) != self.clean(data))
        except ValidationError:
            return True


def moment_in(form: forms.Form, name: str, moment: datetime, zone: ZoneInfo) -> datetime | None:
    """The moment in UTC, or None with the reason at its field, which then asks which of two is meant."""
    try:
        return in_zone(moment, zone)
    except MomentUnclear as unclear:
        widget = form.fields[name].widget
        if unclear.is_repeated and isinstance(widget, MomentInput):
            widget.asks_turn = True
        if name not in form.errors:
            form.add_error(name, str(unclear))
        return None


def period_in(
    form: forms.Form, first: datetime, last: datetime, zone: ZoneInfo, *, now: datetime
) -> Period | None:
    """The span of the fields `starts_at` and `ends_at`, or None with the reason at one of them."""
    starts_at, ends_at = moment_in(form, "starts_at", first, zone), moment_in(form, "ends_at", last, zone)
    if starts_at is None or ends_at is None:
        return None
    if ends_at <= starts_at:
        form.add_error("ends_at", "The end lies before the start.")
    elif ends_at - starts_at > LONGEST_BOOKING:
        form.add_error("ends_at", TOO_LONG)
    elif not now - FARTHEST < starts_at < now + FARTHEST:
        form.add_error("starts_at", "This is more than a year away.")
    else:
        return Period(starts_at, ends_at)
    return None


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


def _with_calendar(control: SafeString, text: str) -> SafeString:
    """The field with its day of the week and the button that opens the calendar where scripts run."""
    try:
        day = f"{datetime.fromisoformat(text[:10]):%a}"
    except ValueError:
        day = ""
    return format_html(
        '<span class="moment">{}<span class="moment-day" aria-hidden="true">{}</span>'
        '<button class="moment-open" type="button" aria-label="Calendar" aria-expanded="false">{}</button></span>',
        control, day, icon("calendar-event"),
    )  # fmt: skip


def _without_turn(text: str) -> tuple[str, str]:
    """What is written, and `first` or `second` where that stands behind it."""
    written, _, last = text.strip().rpartition(" ")
    return (written, last) if last in TURNS else (text, "")
