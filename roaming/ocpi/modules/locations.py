"""Depots: ours as partners get them, partners' as they tell them."""

from __future__ import annotations

from typing import Any, Protocol

from django.db.models import QuerySet

from depots.models import Depot
from roaming.mirror.values import ToldPlace
from roaming.models import Partner
from roaming.ocpi.style import Style
from roaming.ocpi.wire_object import Read
from roaming.published import PublishedDepot


class Locations(Protocol):
    def shown(self, depots: QuerySet[Depot], style: Style, /) -> QuerySet[Depot]:
        """Those of them of which something is left to show."""

    def write(self, published: PublishedDepot, style: Style, /) -> dict[str, Any]: ...

    def list_url(self, partner: Partner, /) -> str:
        """Where a partner's Sender lists its depots; empty when it offers none."""

    def read(self, raw: Any, /) -> Read[ToldPlace]: ...
