"""Figures of records on pages."""

from __future__ import annotations

from datetime import timedelta

from django import template

from bookings.models import ChargeDetailRecord
from depots.cards import card_ending
from depots.templatetags.berth import duration, money

register = template.Library()


@register.simple_tag
def total(cdr: ChargeDetailRecord) -> str:
    """With taxes; below zero of a credit."""
    return money(cdr.before_taxes + cdr.taxes, cdr.currency)


@register.simple_tag
def seconds(number: int) -> str:
    return duration(timedelta(seconds=number))


@register.filter
def card_end(uid: str) -> str:
    """All of a card that others than its fleet may see."""
    return card_ending(uid) if uid else "–"
