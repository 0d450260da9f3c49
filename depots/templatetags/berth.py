"""What the templates share: icons, form widgets, and how a status looks in words and signs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django import forms, template
from django.core.paginator import Page
from django.forms import BoundField
from django.http import QueryDict
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from depots import currencies
from depots.operations import FLAGS
from depots.standards import PLUGS, VEHICLE_TYPES

register = template.Library()


class Look(NamedTuple):
    """A word and an icon: colour alone never carries a meaning."""

    word: str
    icon: str


STATUS = {
    "held": Look("Held", "hourglass"),
    "requested": Look("Requested", "inbox"),
    "confirmed": Look("Confirmed", "circle-check"),
    "charging": Look("Charging", "bolt"),
    "completed": Look("Completed", "check"),
    "cancelled": Look("Cancelled", "x"),
    "declined": Look("Declined", "ban"),
    "no_show": Look("No-show", "calendar-off"),
    "failed": Look("Failed", "alert-triangle"),
    "expired": Look("Expired", "clock"),
}

UNKNOWN = Look("Unknown", "info-circle")


@register.inclusion_tag("components/_pager.html", takes_context=True)
def pager(
    context: Mapping[str, Any], page: Page[Any], before: str, after: str, *, of: str = "", name: str = "page", at: str = ""
) -> dict[str, Any]:  # fmt: skip
    """Links to the pages before and after this one of a list, in these words; nothing where there is one page.

    They keep what else the address asks for: the request's, or `at` where another one showed the list. `name` is what it calls
    the page's number, `of` what is counted ("invoices").
    """
    shown = urlsplit(at)
    asked = QueryDict(shown.query, mutable=True) if at else context["request"].GET.copy()
    asked.pop(name, None)
    others = asked.urlencode()
    to = f"{shown.path}?{others}{'&' if others else ''}{name}="
    return {"page": page, "to": to, "before": before, "after": after, "of": of}


@register.filter
def oddities(flags: list[str]) -> list[str]:
    """What was odd about a session, in sentences."""
    return [FLAGS.get(flag, flag) for flag in flags]


@register.simple_tag
@cache
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite (frontend/icons.txt lists them). Decoration unless it has a label; kept, as a page has a hundred."""
    speech = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="icon icon-{}" {} focusable="false"><use href="{}#{}"></use></svg>',
        name,
        speech,
        static("vendor/icons/sprite.svg"),
        name,
    )


@register.filter
def status_look(status: str) -> Look:
    return STATUS.get(str(status), UNKNOWN)


@register.filter
def widget_class(field: BoundField) -> str:
    """The class Tabler gives a control of this kind."""
    widget = field.field.widget
    if isinstance(widget, (forms.CheckboxInput, forms.RadioSelect, forms.CheckboxSelectMultiple)):
        return "form-check-input"
    if isinstance(widget, (forms.Select, forms.SelectMultiple)):
        return "form-select"
    return "form-control"


@register.filter
def may_be_blank(field: BoundField) -> bool:
    """Whether what is typed there may be left out; of choices one is always made."""
    widget = field.field.widget
    is_typed = not isinstance(widget, (forms.CheckboxInput, forms.Select))
    return is_typed and not field.field.required


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, forms.CheckboxInput)


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The field's widget; Django ties it to `<id>_helptext` and `<id>_error` by aria-describedby."""
    own = field.field.widget.attrs.get("class", "")
    wrong = " is-invalid" if field.errors else ""
    return field.as_widget(attrs={"class": f"{widget_class(field)}{wrong} {own}".strip()})


@register.filter
def metres(centimetres: int) -> str:
    """`13.6 m` of 1360."""
    return f"{centimetres / 100:g} m"


@register.filter
def tonnes(kilograms: int) -> str:
    """`7.5 t` of 7500."""
    return f"{kilograms / 1000:g} t"


@register.filter
def kilowatts(watts: int | None) -> str:
    """`400 kW` of 400000 watts, `1.25 MW` of 1254300, `7.4 kW` of 7360: what a person takes in; a dash without a figure."""
    if watts is None:
        return "–"
    if round(watts / 1_000) >= 1_000:
        return f"{round(watts / 1_000_000, 2):g} MW"
    return f"{round(watts / 1_000, 0 if watts >= 10_000 else 1):g} kW"


@register.filter
def kilowatt_hours(watt_hours: int | None) -> str:
    """`12.3 kWh` of 12300 watt-hours."""
    return "–" if watt_hours is None else f"{watt_hours / 1_000:,.1f} kWh"


@register.filter
def duration(span: timedelta) -> str:
    """`1 h 30 min`; `0 min` for nothing."""
    hours, minutes = divmod(round(span.total_seconds() / 60), 60)
    words = [f"{hours} h"] if hours else []
    if minutes or not hours:
        words.append(f"{minutes} min")
    return " ".join(words)


@register.filter
def money(amount: Decimal | str, currency: str) -> str:
    """`€12.50` or `−€12.50`, or `12.50 SEK` where no sign is known everywhere; with the decimals of its currency."""
    value = currencies.rounded(Decimal(amount), currency)
    sign = "\N{MINUS SIGN}" if value < 0 else ""
    return sign + _in_currency(f"{abs(value):,f}", currency)


def unit_price(price: Decimal, currency: str) -> str:
    """As `money`, of what is multiplied: `€0.4125` for a kWh keeps all its decimals."""
    places = max(currencies.decimals(currency), -int(price.normalize().as_tuple().exponent))
    return _in_currency(f"{price:,.{places}f}", currency)


def _in_currency(figure: str, currency: str) -> str:
    return f"€{figure}" if currency == "EUR" else f"{figure} {currency}"


@register.filter
def is_something(amount: Decimal | str) -> bool:
    return Decimal(amount or 0) != 0


@register.filter
def plug_name(standard: str) -> str:
    """What people call a connector standard."""
    return PLUGS[standard].label if standard in PLUGS else standard


@register.filter
def vehicle_type_name(name: str) -> str:
    return VEHICLE_TYPES.get(name, name)


@register.filter
def status_icon(status: str) -> str:
    return STATUS.get(str(status), UNKNOWN).icon
