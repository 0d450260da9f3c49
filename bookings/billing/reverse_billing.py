"""With which networks the one that charged writes the invoice, in the name of whose depot it was (decision 126).

Between organisations that are hosted here an agreement's payment terms say it, and the invoices are written here. A network
writes its own in a system of its own: what it owes here waits for them, and what it is owed our fleets invoice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class ReverseBilling:
    """By organisation's id: networks that write what they owe here themselves, and those whose invoices our fleets write."""

    customers: frozenset[int] = frozenset()
    suppliers: frozenset[int] = frozenset()


def agreed() -> ReverseBilling:
    """What settings.REVERSE_BILLING names knows. One query."""
    return _answerer()()


@cache
def _answerer() -> Callable[[], ReverseBilling]:
    return cast(Callable[[], ReverseBilling], import_string(settings.REVERSE_BILLING))
