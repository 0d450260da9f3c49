"""Tariffs, to those who see a place where they hold; deleted where one that was told of holds no more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from bookings.models import Tariff, TariffVersion
from bookings.pricing.tariff_content import TariffContent
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.style import style_of
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import GONE, Push, digests_had, partners_of, party_of, push_to, written_each
from roaming.outbound.writers.shared import WrittenOnce
from roaming.seen_tariffs import seen_tariffs

# A tariff that cannot be said in the version or style of a partner.
NOTHING = b"null"


@dataclass(frozen=True)
class _Held:
    """The version of a tariff that holds for a partner."""

    version: TariffVersion
    content: TariffContent


def tariffs_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The version in force of each; what has nothing to send is settled."""
    partners, had = partners_of(leases), digests_had(leases)
    tariffs = Tariff.objects.select_related("operator").in_bulk({lease.object_id for lease in leases})
    held, once = _held(partners.values(), tariffs.values(), now), WrittenOnce()

    def write(lease: Lease) -> Push | None:
        partner, tariff = partners[lease.partner_id], tariffs[lease.object_id]
        return _push(partner, lease, tariff, held.get((partner.pk, tariff.pk)), had[lease.delivery_id], once)

    return written_each(leases, write, now=now)


def _held(
    partners: Collection[Partner], tariffs: Collection[Tariff], now: datetime
) -> dict[tuple[int, int], _Held]:
    """By partner and tariff."""
    seen = seen_tariffs(partners, operator_ids={tariff.operator_id for tariff in tariffs}, now=now)
    pks = {pk for of_one in seen.values() for pk in of_one}
    versions = TariffVersion.objects.select_related("tariff__operator").in_bulk(pks)
    return {
        (partner_id, versions[pk].tariff_id): _Held(versions[pk], one.content)
        for partner_id, of_one in seen.items()
        for pk, one in of_one.items()
    }


def _push(
    partner: Partner, lease: Lease, tariff: Tariff, held: _Held | None, had: str | None, once: WrittenOnce
) -> Push | None:
    dialect, style = dialect_of(partner), style_of(partner)
    owner = tariff.operator.country_code.upper(), tariff.operator.cpo_party_id.upper()
    url = dialect.tariffs.url(partner, owner, tariff.code)
    if not url:
        return None
    to_party = party_of(partner, "EMSP")
    if held is not None:
        body, digest = once.body(
            (dialect.VERSION, style, held.version.pk),
            lambda: dialect.tariffs.write(held.version, held.content, style),
        )
        if body.content != NOTHING:
            return (
                None
                if had == digest
                else push_to(partner, lease, url, body, digest=digest, from_party=owner, to_party=to_party)
            )
    if had in (None, GONE):
        return None
    return push_to(
        partner, lease, url, None, digest=GONE, method="DELETE", from_party=owner, to_party=to_party
    )
