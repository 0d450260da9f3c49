"""Which delivery of a partner goes first, what waits for what, and what is kept of an answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import Refused, Unreachable
from roaming.ocpi.client import Written
from roaming.outbound import deliveries, sending_loop
from roaming.outbound.deliveries import Delivered, Lease
from roaming.outbound.delivery_rules import HOLDS_UP_FOR, RULES
from roaming.outbound.pushes import GONE, Push, push_to
from roaming.outbound.writer_table import writers
from tests.factories import NOW
from tests.roaming.partners import make_partner
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.roaming.running import RunningSender, eventually, fresh

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def partner(db: None) -> Partner:
    return make_partner()


def wanted(partner: Partner, kind: str, number: int = 1, **fields: object) -> Delivery:
    row = {"wanted_version": 1, "next_try_at": NOW, **fields}
    return Delivery.objects.create(partner=partner, kind=kind, object_id=number, **row)


def claimed(room: int = 10, now: object = NOW) -> list[Lease]:
    return deliveries.claim(room=room, now=now)  # type: ignore[arg-type]


def kinds(leases: list[Lease]) -> list[str]:
    return sorted(lease.kind for lease in leases)


def test_what_an_object_refers_to_is_there_before_it(partner: Partner) -> None:
    for kind in ("booking_location", "location", "evse", "tariff"):
        wanted(partner, kind)

    steps = []
    while leases := claimed():
        steps.append(kinds(leases))
        deliveries.all_succeeded([Delivered(lease) for lease in leases], now=NOW)

    assert steps == [["tariff"], ["location"], ["booking_location", "evse"]]


def test_what_is_under_way_still_holds_up_what_refers_to_it(partner: Partner) -> None:
    wanted(partner, "tariff")
    wanted(partner, "location")
    (under_way,) = claimed()

    assert claimed() == []
    deliveries.succeeded(under_way, now=NOW)
    assert kinds(claimed()) == ["location"]


def test_a_session_has_ended_there_before_it_is_billed_and_later_ones_wait_for_nobody(
    partner: Partner,
) -> None:
    wanted(partner, "session", 1)
    wanted(partner, "cdr", 1, next_try_at=NOW)
    wanted(partner, "session", 2, next_try_at=NOW + SECOND)

    (ended,) = claimed()
    assert ended.kind == "session"
    deliveries.succeeded(ended, now=NOW)

    assert kinds(claimed(now=NOW + SECOND)) == ["cdr", "session"]


def test_a_session_that_failed_holds_up_its_record_until_the_partner_is_back(partner: Partner) -> None:
    """However long it was away: what failed waits for a later moment, and must not be overtaken meanwhile."""
    session = wanted(partner, "session")
    wanted(partner, "cdr")
    now = NOW
    for _ in range(HOLDS_UP_FOR + deliveries.CIRCUIT_OPENS_AT):
        now += timedelta(hours=1)
        (lease,) = claimed(now=now)
        assert lease.kind == "session"
        deliveries.failed(lease, Unreachable("gone"), now=now)
        assert claimed(now=now) == []

    deliveries.record_success(partner.pk, now=now)  # a probe, or a call of another kind

    assert fresh(session).next_try_at == now
    (lease,) = claimed(now=now)
    assert lease.kind == "session"


def test_what_the_partner_said_no_to_holds_up_nothing(partner: Partner) -> None:
    wanted(partner, "tariff")
    wanted(partner, "location")
    (lease,) = claimed()
    deliveries.failed(lease, Refused(200, 2001, "not this one"), now=NOW)

    assert kinds(claimed()) == ["location"]


def test_a_module_that_never_answers_does_not_hold_up_the_others_for_ever(partner: Partner) -> None:
    wanted(partner, "tariff", attempts=HOLDS_UP_FOR + 1, next_try_at=LATER)
    wanted(partner, "location")

    assert kinds(claimed()) == ["location"]


def test_one_partner_holds_up_nothing_of_another(partner: Partner) -> None:
    wanted(partner, "tariff")
    wanted(make_partner(), "location")

    assert kinds(claimed()) == ["location", "tariff"]


@pytest.mark.parametrize("kind", [kind for kind, rule in RULES.items() if rule.pause])
def test_what_changes_often_is_sent_again_after_its_pause(partner: Partner, kind: str) -> None:
    pause = RULES[Delivery.Kind(kind)].pause
    wanted(partner, kind, delivered_at=NOW, wanted_version=2, delivered_version=1)

    assert claimed(now=NOW + pause - SECOND) == []
    assert kinds(claimed(now=NOW + pause)) == [kind]


def test_asks_and_bookings_go_first(partner: Partner) -> None:
    for number, kind in enumerate(reversed(RULES)):
        wanted(partner, kind, next_try_at=NOW - SECOND * (20 - number))

    assert kinds(claimed(room=2)) == ["booking", "request"]


def test_a_kind_that_a_worker_cannot_write_is_left_to_others(partner: Partner) -> None:
    wanted(partner, "booking")
    wanted(partner, "cdr")

    (lease,) = deliveries.claim(room=10, kinds=["booking"], now=NOW)

    assert lease.kind == "booking"


def test_every_kind_has_its_rules_and_nothing_waits_for_what_waits_for_it() -> None:
    assert set(RULES) == set(Delivery.Kind)
    order = list(RULES)
    for kind, rule in RULES.items():
        assert all(order.index(before) < order.index(kind) for before in rule.waits_for)
    assert set(writers()) <= set(Delivery.Kind) - {Delivery.Kind.REQUEST}


@pytest.mark.django_db(transaction=True)
def test_where_a_partner_keeps_what_was_posted_is_kept_and_what_is_not_there_need_not_be_deleted(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "DELETE":
            return envelope(status_code=2000, message="no such tariff", status=404)
        return envelope(status=201, headers={"Location": "/cdrs/kept/7"})

    with ScriptedPeer(answer) as peer:
        partner = make_partner(versions_url=f"{peer.url}/versions")

        def push(lease: Lease, method: str) -> Push:
            digest = GONE if method == "DELETE" else "d"
            body = None if method == "DELETE" else Written.of({"id": "7"})
            return push_to(
                partner, lease, f"{peer.url}/{lease.kind}s", body, from_party=("NL", "LPK"), digest=digest, method=method
            )  # type: ignore[arg-type]  # fmt: skip

        table = {
            Delivery.Kind.CDR: lambda leases, now: [push(lease, "POST") for lease in leases],
            Delivery.Kind.TARIFF: lambda leases, now: [push(lease, "DELETE") for lease in leases],
        }
        monkeypatch.setattr(sending_loop, "writers", lambda: table)
        rows = [wanted(partner, kind, next_try_at=timezone.now()) for kind in ("cdr", "tariff")]
        with RunningSender():
            eventually(lambda: all(fresh(row).next_try_at is None for row in rows))

    assert sorted((asked.method, asked.path) for asked in peer.asked) == [
        ("DELETE", "/tariffs"),
        ("POST", "/cdrs"),
    ]
    assert fresh(rows[0]).delivered == {"digest": "d", "location": f"{peer.url}/cdrs/kept/7"}
    assert fresh(rows[1]).delivered == {"digest": GONE}


def test_a_partner_that_stores_its_registration_late_gets_all_within_seconds(partner: Partner) -> None:
    """It knows our token only once it has kept our answer to its POST; what comes before it refuses with 401."""
    for number in range(12):
        wanted(partner, "booking_location", number)
    unknown_token = Refused(401, 2000, "unknown token")
    for lease in (*claimed(), *claimed()):
        deliveries.failed(lease, unknown_token, now=NOW)
    assert claimed() == [], "it is left alone for a moment"

    stored = NOW + 6 * SECOND
    (probe,) = claimed(now=stored)
    deliveries.all_succeeded([Delivered(probe)], now=stored)
    while leases := claimed(now=stored):
        deliveries.all_succeeded([Delivered(lease) for lease in leases], now=stored)

    assert not partner.deliveries.filter(next_try_at__isnull=False).exists()
