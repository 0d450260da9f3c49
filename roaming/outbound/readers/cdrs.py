"""What our fleets are billed for at a partner's depots, each fleet's by itself."""

from __future__ import annotations

from typing import Any

from roaming.mirror import partner_cdrs
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.pulled_lists import Page, PulledList, is_of, one_by_one


def _url(partner: Partner) -> str:
    return dialect_of(partner).cdrs.list_url(partner)


def _keep(page: Page, raw: Any) -> list[str]:
    told = raw if isinstance(raw, dict) else {}
    read = dialect_of(page.partner).cdrs.read(told)
    if not is_of(page.party, read.value.country_code, read.value.party_id):
        return ["cdr.of_another_party"]
    partner_cdrs.adopt_cdr(page.partner, read, told, now=page.now)
    return []


CDRS = PulledList("cdr", _url, one_by_one("cdr", _keep), complete_every=None, asks_for_each=True)
