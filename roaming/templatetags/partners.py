from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def lasting(seconds: int) -> str:
    """How long something has waited, in the largest unit that says it: `12 s`, `5 min`, `3 h`, `2 d`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
