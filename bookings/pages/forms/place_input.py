from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

UNKNOWN_PLACE = (
    "There is no depot, town or point of that name. Towns below 5,000 people are found by coordinates."
)


class PlaceInput(forms.TextInput):
    """A place by its name. What it may mean is asked for while one types, and stands in the browser's own list below it."""

    def __init__(self) -> None:
        super().__init__({"autocomplete": "off", "spellcheck": "false"})

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        listed = f"{(attrs or {}).get('id', name)}_places"
        asking = {
            "list": listed, "hx-get": reverse("bookings:places"), "hx-trigger": "input changed delay:150ms",
            "hx-target": f"#{listed}", "hx-swap": "innerHTML", "hx-push-url": "false", "hx-sync": "this:replace",
        }  # fmt: skip
        control = super().render(name, value, {**(attrs or {}), **asking}, renderer)
        return format_html('{}<datalist id="{}"></datalist>', control, listed)
