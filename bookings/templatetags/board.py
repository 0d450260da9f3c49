"""Badges as finished HTML: a board of a week shows thousands, of a handful of kinds."""

from __future__ import annotations

from functools import cache

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from depots.templatetags.berth import kilowatts

register = template.Library()


@register.filter
def status_badge(status: str) -> SafeString:
    return _status(str(status))


@register.simple_tag
def enforcement_badge(enforcement: str, why: str = "") -> SafeString:
    return _plain_enforcement(enforcement) if not why else _enforcement(enforcement, why)


@cache
def _status(status: str) -> SafeString:
    return render_to_string("components/_status.html", {"status": status})


@cache
def _plain_enforcement(enforcement: str) -> SafeString:
    return _enforcement(enforcement, "")


def _enforcement(enforcement: str, why: str) -> SafeString:
    return render_to_string("components/_enforcement.html", {"enforcement": enforcement, "why": why})


@register.filter
def grid_hint(limit_w: int | None) -> str:
    """`of 2 MW at the grid`, for the power tile."""
    return f"of {kilowatts(limit_w)} at the grid" if limit_w else "drawn now"
