"""Figures of records on pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bookings.models import ChargeDetailRecord
from depots.cards import card_ending
from depots.templatetags.berth import duration, money

register = template.Library()


@register.simple_tag
def total(cdr: ChargeDetailRecord) -> str:
    """With taxes; below zero of a credit."""
    return money(cdr.before_taxes + cdr.taxes, cdr.currency)


class Sum(Protocol):
    currency: str
    before_taxes: Decimal


@register.simple_tag
def share_bar(part: Sum, wholes: Iterable[Sum]) -> SafeString:
    """How much of all in its currency it is, to look at; the figures beside it say the same."""
    whole = next((each.before_taxes for each in wholes if each.currency == part.currency), Decimal())
    share = max(0, min(100, round(100 * part.before_taxes / whole))) if whole > 0 else 0
    return format_html(
        '<svg class="share-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="100" height="4" class="share-all"></rect><rect width="{}" height="4"></rect></svg>',
        share,
    )


@register.simple_tag
def seconds(number: int) -> str:
    return duration(timedelta(seconds=number))


@register.filter
def card_end(uid: str) -> str:
    """All of a card that others than its fleet may see."""
    return card_ending(uid) if uid else "–"
