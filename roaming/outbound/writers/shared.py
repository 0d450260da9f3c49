"""Bodies that are written once for all partners to whom they are the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from roaming.ocpi.client import Written
from roaming.outbound import deliveries


class WrittenOnce:
    """Within one batch of deliveries: by what makes a body the same, what it is and the digest of what of it counts."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Written, str]] = {}

    def body(
        self, key: Hashable, write: Callable[[], Any], counts: Callable[[Any], Any] = lambda body: body
    ) -> tuple[Written, str]:
        known = self._known.get(key)
        if known is None:
            body = write()
            known = self._known[key] = (Written.of(body), deliveries.digest(counts(body)))
        return known
