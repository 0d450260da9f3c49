"""The objects a partner sent, as they came: found by the id it gave them, locked where they are merged into."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from roaming.models import Partner, PartnerObject

BOOKING, BOOKING_LOCATION, LOCATION, TARIFF = "booking", "booking_location", "location", "tariff"
SESSION, CDR, INVOICE_RECORD = "session", "cdr", "invoice_record"
MOST_UNMATCHED = 500


def keep(
    partner: Partner, kind: str, owner: tuple[str, str], key: str, raw: dict[str, Any], *, now: datetime
) -> tuple[PartnerObject, bool]:
    """The kept copy of an object of `owner` (country code, party id), locked, and whether it was made just now.

    Needs a transaction.
    """
    found = find_kept(partner, kind, owner, key, lock=True)
    if found is not None:
        return found, False
    made = PartnerObject(
        partner=partner,
        kind=kind,
        country_code=owner[0],
        party_id=owner[1],
        key=key,
        raw=raw,
        received_at=now,
    )
    PartnerObject.objects.bulk_create([made], ignore_conflicts=True)
    found = find_kept(partner, kind, owner, key, lock=True)
    assert found is not None  # made by us or by whoever was quicker
    return found, found.received_at == now and found.last_updated is None


def find_kept(
    partner: Partner, kind: str, owner: tuple[str, str], key: str, *, lock: bool = False
) -> PartnerObject | None:
    rows = PartnerObject.objects.filter(
        partner=partner,
        kind=kind,
        country_code__iexact=owner[0],
        party_id__iexact=owner[1],
        key__iexact=key,
    )
    return (rows.select_for_update(no_key=True) if lock else rows).first()


def find_kept_booking(
    partner: Partner, owner: tuple[str, str], any_id: str, *, lock: bool = False
) -> PartnerObject | None:
    """By the partner's id of it, else by our request_id: their paths carry either."""
    by_id = find_kept(partner, BOOKING, owner, any_id, lock=lock)
    if by_id is not None:
        return by_id
    rows = PartnerObject.objects.filter(partner=partner, kind=BOOKING, raw__request_id__iexact=any_id)
    rows = rows.filter(country_code__iexact=owner[0], party_id__iexact=owner[1])
    return (rows.select_for_update(no_key=True) if lock else rows).first()


def forget_unmatched(partner: Partner, kind: str) -> None:
    """Of what is about nobody here the newest are kept: a partner could tell any number of them."""
    unmatched = PartnerObject.objects.filter(partner=partner, kind=kind, is_unmatched=True)
    newest = unmatched.order_by("-received_at", "-pk").values_list("pk", flat=True)
    too_many = unmatched.filter(pk__in=list(newest[MOST_UNMATCHED : MOST_UNMATCHED * 2]))
    free = too_many.select_for_update(skip_locked=True).values_list("pk", flat=True)
    PartnerObject.objects.filter(pk__in=list(free)).delete()
