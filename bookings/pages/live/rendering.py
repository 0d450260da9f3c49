"""What an audience may see of a changed object, made once and given to everybody in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Views = Mapping[str, Mapping[str, Any]]  # audience → what it may see, as JSON
Renderer = Callable[[int], Views]

logger = logging.getLogger(__name__)
_renderers: dict[str, Renderer] = {}


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


def render_all(keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Views | None]:
    """The views of each (kind, id); None where the kind has no renderer or it failed: pages then ask for themselves."""
    return {key: _render(*key) for key in keys}


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
