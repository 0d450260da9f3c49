"""Depots, whole, and the EVSEs in them by themselves, whose statuses change more often than anything else of a depot."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from depots.models import Depot, Evse
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import Style, style_of
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, digests_had, partners_of, party_of, push_to, written_each
from roaming.outbound.writers.shared import WrittenOnce
from roaming.published import owner_of
from roaming.seen_depots import SeenDepot, seen_depots

# An EVSE that this version of OCPI does not show.
NOTHING = b"null"


def locations_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """A depot that a partner may not see any more is told once more, with nothing left in it. A change of status alone is left
    to its EVSE's delivery."""
    batch = _Batch.of(leases, {lease.object_id for lease in leases}, now)
    had = digests_had(leases)
    return written_each(leases, lambda lease: batch.location(lease, had[lease.delivery_id]), now=now)


def evses_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """Always sent, whatever was sent last: between two pushes the whole depot may have told another status."""
    rows = Evse.objects.filter(pk__in={lease.object_id for lease in leases})
    depot_of = dict(rows.values_list("pk", "depot_id"))
    batch = _Batch.of(leases, set(depot_of.values()), now)
    return written_each(leases, lambda lease: batch.evse(lease, depot_of.get(lease.object_id, 0)), now=now)


@dataclass(frozen=True)
class _Batch:
    """What many deliveries need, read at once."""

    partners: dict[int, Partner]
    seen: dict[tuple[int, int], SeenDepot]
    shown: dict[tuple[str, Style], set[int]]
    once: WrittenOnce

    @classmethod
    def of(cls, leases: list[Lease], depot_ids: Collection[int], now: datetime) -> _Batch:
        partners = partners_of(leases)
        styles = {(dialect_of(one).VERSION, style_of(one)): dialect_of(one) for one in partners.values()}
        all_depots = Depot.objects.filter(pk__in=depot_ids)
        shown = {
            key: set(dialect.locations.shown(all_depots, key[1]).values_list("pk", flat=True))
            for key, dialect in styles.items()
        }
        return cls(partners, seen_depots(list(partners.values()), depot_ids, now=now), shown, WrittenOnce())

    def location(self, lease: Lease, had: str | None) -> Push | None:
        partner, seen = self.partners[lease.partner_id], self.seen.get((lease.partner_id, lease.object_id))
        if seen is None:
            return None
        locations, style, depot = dialect_of(partner).locations, style_of(partner), seen.published.depot
        url, is_visible = locations.url(partner, depot), self._is_visible(partner, seen)
        if not url or (had is None and not is_visible):
            return None
        body, digest = self.once.body(
            (dialect_of(partner).VERSION, style, id(seen), is_visible),
            lambda: (locations.write if is_visible else locations.write_gone)(seen.published, style),
            locations.without_statuses,
        )
        if had == digest:
            return None
        return push_to(
            partner,
            lease,
            url,
            body,
            from_party=owner_of(depot),
            to_party=party_of(partner, "EMSP"),
            digest=digest,
        )

    def evse(self, lease: Lease, depot_id: int) -> Push | None:
        partner, seen = self.partners[lease.partner_id], self.seen.get((lease.partner_id, depot_id))
        if seen is None or not self._is_visible(partner, seen):
            return None
        locations, style, depot = dialect_of(partner).locations, style_of(partner), seen.published.depot
        uid = next(one.uid for one in depot.evses.all() if one.pk == lease.object_id)
        url = locations.url(partner, depot, uid)
        if not url:
            return None
        body, _ = self.once.body(
            (dialect_of(partner).VERSION, style, id(seen), uid),
            lambda: locations.write_evse(seen.published, uid, style),
        )
        if body.content == NOTHING:
            return None
        return push_to(
            partner, lease, url, body, from_party=owner_of(depot), to_party=party_of(partner, "EMSP")
        )

    def _is_visible(self, partner: Partner, seen: SeenDepot) -> bool:
        key = dialect_of(partner).VERSION, style_of(partner)
        return seen.is_visible and seen.published.depot.pk in self.shown[key]
