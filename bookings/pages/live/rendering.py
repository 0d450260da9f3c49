"""What an audience may see of a changed object, made once and given to everybody in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Views = Mapping[str, Mapping[str, Any]]  # audience → what it may see, as JSON
Renderer = Callable[[int], Views]
SetRenderer = Callable[[list[int]], Mapping[int, Views]]

logger = logging.getLogger(__name__)
_renderers: dict[str, Renderer] = {}
_set_renderers: dict[str, SetRenderer] = {}


def renders(kind: str) -> Callable[[Renderer], Renderer]:
    """Register the renderer of a kind: id → {audience: payload}. It runs in a thread, with the ORM, without a request.

    Give every audience its own payload; another organisation's booking is "taken" and nothing more. Return an
    audience only if it may know of the object as it is now.
    """

    def register(renderer: Renderer) -> Renderer:
        if kind in _renderers:
            raise ValueError(f"There is a renderer for {kind} already.")
        _renderers[kind] = renderer
        return renderer

    return register


def renders_all(kind: str) -> Callable[[SetRenderer], SetRenderer]:
    """`renders` for a kind whose objects are rendered together: ids → {id: {audience: payload}}, of those there are."""

    def register(renderer: SetRenderer) -> SetRenderer:
        if kind in _renderers or kind in _set_renderers:
            raise ValueError(f"There is a renderer for {kind} already.")
        _set_renderers[kind] = renderer
        return renderer

    return register


def render_all(keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Views | None]:
    """The views of each (kind, id); None where the kind has no renderer or it failed: pages then ask for themselves.

    Kinds that are rendered together cost the same statements however many objects there are: when changes come faster than
    they are rendered, more of them are rendered at once.
    """
    by_kind: dict[str, list[int]] = {}
    for kind, object_id in keys:
        by_kind.setdefault(kind, []).append(object_id)
    found: dict[tuple[str, int], Views | None] = {}
    for kind, ids in by_kind.items():
        views = (
            _render_together(kind, ids) if kind in _set_renderers else {pk: _render(kind, pk) for pk in ids}
        )
        found |= {(kind, object_id): views[object_id] for object_id in ids}
    return found


def _render_together(kind: str, ids: list[int]) -> dict[int, Views | None]:
    try:
        found = _set_renderers[kind](ids)
    except Exception:
        logger.exception("Rendering live %ss failed", kind, extra={"object_ids": ids})
        return dict.fromkeys(ids)
    return {object_id: found.get(object_id, {}) for object_id in ids}


def _render(kind: str, object_id: int) -> Views | None:
    renderer = _renderers.get(kind)
    if renderer is None:
        return None
    try:
        return renderer(object_id)
    except Exception:
        # One broken view must not silence all others; what it costs is a request of each open page.
        logger.exception("Rendering a live %s failed", kind, extra={"object_id": object_id})
        return None
