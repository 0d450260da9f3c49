"""Figures of records on pages."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from django import template

from bookings.models import ChargeDetailRecord
from depots.cards import card_ending
from depots.templatetags.berth import duration, money, places_of

FIGURE_SPACE = "\N{FIGURE SPACE}"


class Amounts(Protocol):
    """Some that stand below each other, the finest with so many decimals."""

    currency: str
    places: int


register = template.Library()


@register.simple_tag
def total(cdr: ChargeDetailRecord) -> str:
    """With taxes; below zero of a credit."""
    return money(cdr.before_taxes + cdr.taxes, cdr.currency)


@register.filter
def aligned(amount: Decimal, price: Amounts) -> str:
    """As `money`; where another amount of this price has more places than cents, its own end where they would."""
    figure = (text := money(amount, price.currency)).removesuffix(f" {price.currency}")
    return figure + FIGURE_SPACE * (price.places - places_of(amount)) + text.removeprefix(figure)


@register.simple_tag
def seconds(number: int) -> str:
    return duration(timedelta(seconds=number))


@register.filter
def card_end(uid: str) -> str:
    """All of a card that others than its fleet may see."""
    return card_ending(uid) if uid else "–"
