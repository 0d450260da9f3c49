"""What charging at a partner's depots costs, and booking there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from roaming.mirror import partner_tariffs
from roaming.models import Partner
from roaming.ocpi.client import Party
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, is_of, one_by_one


def _url(partner: Partner) -> str:
    return dialect_of(partner).tariffs.list_url(partner)


def _keep(page: Page, raw: Any) -> list[str]:
    read = dialect_of(page.partner).tariffs.read(raw)
    if not is_of(page.party, read.value.country_code, read.value.party_id):
        return ["tariff.of_another_party"]
    page.seen.add(read.value.code)
    partner_tariffs.adopt_tariff(page.partner, read, raw, now=page.now)
    return []


def _withdraw(partner: Partner, party: Party, seen: set[str], before: datetime) -> int:
    return partner_tariffs.withdraw_missing(partner, *party, seen=seen, before=before)


TARIFFS = PulledList(
    "tariff", _url, one_by_one("tariff", _keep), withdraw=_withdraw, complete_every=timedelta(hours=6)
)
