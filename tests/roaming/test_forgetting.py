"""Rows about partners that nobody asks for any more go by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from roaming import message_log
from roaming.models import ENDING_KINDS, Delivery, PartnerMessage
from roaming.outbound import forgetting
from tests.factories import NOW
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db
Kind = Delivery.Kind
LONG_AGO = NOW - forgetting.KEPT - timedelta(days=1)


def test_of_each_partner_the_newest_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_log, "KEPT_PER_PARTNER", 2)
    talkative, quiet = make_partner(), make_partner()
    moments = [NOW - timedelta(minutes=minute) for minute in range(4)]
    for partner, at in [*((talkative, at) for at in moments), (quiet, NOW), (quiet, NOW), (None, NOW)]:
        PartnerMessage.objects.create(partner=partner, at=at, is_incoming=True, method="GET", url="/")
    PartnerMessage.objects.create(
        at=NOW - timedelta(days=15), partner=quiet, is_incoming=True, method="GET", url="/"
    )

    assert message_log.forget_old(now=NOW) == 3

    kept = PartnerMessage.objects.filter(partner=talkative).order_by("-at").values_list("at", flat=True)
    assert list(kept) == moments[:2]
    assert PartnerMessage.objects.filter(partner=quiet).count() == 2
    assert PartnerMessage.objects.filter(partner=None).count() == 1


def test_of_a_flood_the_newest_messages_are_kept_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_log, "KEPT_PER_PARTNER", 2)
    monkeypatch.setattr(message_log, "FLOOD", 3)
    flood, talkative = make_partner(), make_partner()
    for partner, count in ((flood, 4), (talkative, 3)):
        for second in range(count):
            at = NOW - timedelta(seconds=second)
            PartnerMessage.objects.create(partner=partner, at=at, is_incoming=True, method="GET", url="/")

    assert message_log.forget_floods(now=NOW) == 2

    assert PartnerMessage.objects.filter(partner=flood).count() == 2
    assert PartnerMessage.objects.filter(partner=talkative).count() == 3


def test_deliveries_of_what_is_over_are_forgotten() -> None:
    """What lasts, waits, or has only just arrived is not."""
    partner = make_partner()

    def row(kind: Kind, object_id: int, delivered_at: datetime | None, due: datetime | None = None) -> None:
        Delivery.objects.create(
            partner=partner, kind=kind, object_id=object_id, wanted_version=1, delivered_at=delivered_at, next_try_at=due
        )  # fmt: skip

    for kind in Kind:
        row(kind, 1, LONG_AGO)
        row(kind, 2, NOW - timedelta(days=80))
        row(kind, 3, LONG_AGO, due=NOW)
        row(kind, 4, None)

    assert forgetting.forget_over(now=NOW) == len(ENDING_KINDS)

    left = set(Delivery.objects.filter(object_id=1).values_list("kind", flat=True))
    assert left == set(Kind) - {Kind(kind) for kind in ENDING_KINDS}
    assert Delivery.objects.exclude(object_id=1).count() == 3 * len(Kind)
