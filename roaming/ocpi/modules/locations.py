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

    def write_gone(self, published: PublishedDepot, style: Style, /) -> dict[str, Any]:
        """What is told of a depot that a partner may not see any more."""

    def write_evse(self, published: PublishedDepot, uid: str, style: Style, /) -> dict[str, Any] | None:
        """One EVSE by itself; None for one that is not shown."""

    def without_statuses(self, written: dict[str, Any], /) -> dict[str, Any]:
        """What was written, without what an EVSE's own push tells."""

    def url(self, partner: Partner, depot: Depot, evse_uid: str = "", /) -> str:
        """Where a partner takes a depot, or one EVSE of it; empty when it takes none."""

    def list_url(self, partner: Partner, /) -> str:
        """Where a partner's Sender lists its depots; empty when it offers none."""

    def read(self, raw: Any, /) -> Read[ToldPlace]: ...
