"""What drivers of a partner's eMSPs identify with; thousands, so that a page is kept at once."""

from __future__ import annotations

from typing import Any

from roaming.mirror import network_tokens
from roaming.mirror.values import ToldToken
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound.pulled_lists import Page, PulledList, is_of


def _url(partner: Partner) -> str:
    return dialect_of(partner).tokens.list_url(partner)


def _keep(page: Page) -> list[str]:
    """Rows are marked as told of; one that cannot be read is there, and stays as it was."""
    odd: list[str] = []
    unread: list[str] = []
    kept: list[tuple[ToldToken, Any]] = []
    for read, raw in zip(dialect_of(page.partner).tokens.read_all(page.objects), page.objects, strict=True):
        if isinstance(read, UnreadableError):
            odd.append("token.unreadable")
            unread.append(str(raw.get("uid", "")) if isinstance(raw, dict) else "")
        elif not is_of(page.party, read.value.country_code, read.value.party_id):
            odd.append("token.of_another_party")
        else:
            odd += read.deviations
            kept.append((read.value, raw))
    network_tokens.keep_all(page.partner, kept, waits_for_disk=False, now=page.now)
    network_tokens.mark_heard(page.partner, page.party, unread, now=page.now)
    return odd


TOKENS = PulledList(
    "token", _url, _keep, owner="EMSP", withdraw=network_tokens.withdraw_missing, objects_at_once=1000
)
