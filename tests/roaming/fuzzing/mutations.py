"""Bodies that were right, with one to four things wrong about them: what gets past the first look is what goes deep."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]
ODD_TEXTS = (
    "", " ", "0", "#NA", "null", "\u0000", "\ud800", "ß" * 300, "x" * 70_000, "../..", "%00", "'; --", "1e999", "NaN", "İ",
    "2030-01-15T08:00:00Z", "2030-02-30T00:00:00Z", "2030-01-15 08:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
    "https://127.0.0.1/", "http://[::1]/", "javascript:alert(1)", "https://a@b/", "24:00", "99:99", "\u202e", "💡",
)  # fmt: skip
ODD_NUMBERS = (0, -1, 1, 2**31, 2**63, 10**30, 10**400, 0.1, -0.0, 1e308, 1e-320, 0.30000000000000004)
ODD_VALUES = (
    *ODD_TEXTS, *ODD_NUMBERS, None, True, False, [], {}, [[]], [None], [{}], {"": {}}, {"a": {"b": []}}, [[[[1]]]],
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn, bodies: st.SearchStrategy[Any]) -> Any:
    """A body changed in a few places; in one of eight draws in none."""
    body = copy.deepcopy(draw(bodies))
    for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2, 2, 3, 4)))):
        body = draw(_changed(body))
    return body


@st.composite
def _changed(draw: st.DrawFn, body: Any) -> Any:
    places = list(_places(body))
    if not places:
        return draw(st.sampled_from(ODD_VALUES))
    *way, last = draw(st.sampled_from(places))
    holder = body
    for step in way:
        holder = holder[step]
    change = draw(st.sampled_from(_CHANGES))
    change(draw, holder, last)
    return body


def _places(value: Any, before: Path = ()) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*before, name)
        yield from _places(one, (*before, name))


def _replace(draw: st.DrawFn, holder: Any, name: Any) -> None:
    holder[name] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))


def _remove(draw: st.DrawFn, holder: Any, name: Any) -> None:
    del holder[name]


def _wrap(draw: st.DrawFn, holder: Any, name: Any) -> None:
    """In a list, in another list, in an object; or what was inside a list by itself."""
    value = holder[name]
    inside = value[0] if isinstance(value, list) and value else value
    holder[name] = draw(
        st.sampled_from(([value], [value, value], {"value": value}, inside, {str(name): value}))
    )


def _respell(draw: st.DrawFn, holder: Any, name: Any) -> None:
    """A text in other cases, longer, or with blanks; a number as a text, and the reverse."""
    value = holder[name]
    if isinstance(value, str):
        spelled = (value.lower(), value.upper(), f" {value} ", value * 2, value[:1], value[:-1], f"{value}\n")
        holder[name] = draw(st.sampled_from(spelled))
    elif isinstance(value, int | float):
        # An int may be beyond what a float holds.
        less = value // 1000 if isinstance(value, int) else value / 1000
        holder[name] = draw(st.sampled_from((str(value), -value, value * 1000, less, f"{value} kWh")))
    else:
        holder[name] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))


def _add(draw: st.DrawFn, holder: Any, name: Any) -> None:
    """Something nobody asked for, or the same thing many times."""
    if isinstance(holder, list):
        holder.extend([copy.deepcopy(holder[name])] * draw(st.sampled_from((1, 3, 200))))
    else:
        extra = draw(
            st.sampled_from(("x_unknown", "id", "status", "last_updated", "", "evse_uid", "__proto__"))
        )
        holder[extra] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))


def _exchange(draw: st.DrawFn, holder: Any, name: Any) -> None:
    """What stands here stands there, and the reverse."""
    others = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    other = draw(st.sampled_from(others))
    holder[name], holder[other] = holder[other], holder[name]


_CHANGES = (_replace, _replace, _remove, _wrap, _respell, _respell, _add, _exchange)
