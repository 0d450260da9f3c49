"""Depots: ours as partners get them, partners' as they tell them."""

from __future__ import annotations

from typing import Any, Protocol

from roaming.mirror.values import ToldPlace
from roaming.models import Partner
from roaming.ocpi.wire_object import Read


class Locations(Protocol):
    def list_url(self, partner: Partner, /) -> str:
        """Where a partner's Sender lists its depots; empty when it offers none."""

    def read(self, raw: Any, /) -> Read[ToldPlace]: ...
