"""Lists by cursor: a page ends with where the next begins, and rows that come or go meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from pydantic import Field

from bookings.api.fields import Parameters
from bookings.api.problems import Invalid

MOST = 200
USUAL = 50

Row = TypeVar("Row", bound=Model)
One = TypeVar("One")


class Page(Parameters):
    """The parameters that every list has."""

    limit: int = Field(USUAL, ge=1, le=MOST)
    cursor: str | None = Field(None, max_length=400)


def paged(
    rows: QuerySet[Row], page: Page, order: Sequence[str], show: Callable[[Row], Any]
) -> dict[str, Any]:
    """A page of rows in the order of these columns, the last of which tells all apart. Raises Invalid for a cursor that is
    none of this list's."""
    after = _read(page.cursor, len(order)) if page.cursor else None
    if after is not None:
        try:
            rows = rows.filter(_behind(order, after))
        except (TypeError, ValueError, ValidationError):
            raise _no_cursor() from None
    found = list(rows.order_by(*order)[: page.limit + 1])
    shown = found[: page.limit]
    is_more = len(found) > page.limit
    return {
        "items": [show(row) for row in shown],
        "next": _written([getattr(shown[-1], name) for name in order]) if is_more else None,
    }


def page_of(rows: Sequence[One], page: Page, key: Callable[[One], str]) -> tuple[Sequence[One], str | None]:
    """The same of rows that are here already, in the order of their key: a page of them, and the cursor of the next."""
    after = _read(page.cursor, 1)[0] if page.cursor else None
    if after is not None and not isinstance(after, str):
        raise _no_cursor()
    left = [row for row in rows if after is None or key(row) > after]
    shown = left[: page.limit]
    return shown, _written([key(shown[-1])]) if len(left) > len(shown) else None


def _behind(order: Sequence[str], after: Sequence[Any]) -> Q:
    """Later in the order: by the first column, or equal there and later by the others. That the first is no less follows; an
    index begins there by it, where it would go through all that an OR leaves out."""
    name, value = order[0], after[0]
    later = Q(**{f"{name}__gt": value})
    if len(order) == 1:
        return later
    return Q(**{f"{name}__gte": value}) & (later | (Q(**{name: value}) & _behind(order[1:], after[1:])))


def _written(values: Sequence[Any]) -> str:
    told = [
        {"t": value.astimezone(UTC).isoformat()} if isinstance(value, datetime) else value for value in values
    ]
    return base64.urlsafe_b64encode(json.dumps(told, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(cursor: str, length: int) -> list[Any]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        told = json.loads(text)
        values = [_value(one) for one in told]
    except (binascii.Error, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _no_cursor() from None
    if len(values) != length:
        raise _no_cursor()
    return values


def _value(told: Any) -> Any:
    if isinstance(told, dict):
        moment = datetime.fromisoformat(told["t"])
        if moment.tzinfo is None or not 1900 < moment.year < 2300:
            raise ValueError
        return moment
    if isinstance(told, bool) or not isinstance(told, int | str):
        raise ValueError
    if isinstance(told, int) and abs(told) >= 2**63:
        raise ValueError
    if isinstance(told, str) and ("\x00" in told or not told.isprintable()):
        raise ValueError
    return told


def _no_cursor() -> Invalid:
    return Invalid([("cursor", "is not what an earlier page of this list ended with")])
