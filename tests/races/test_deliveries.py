"""Fan-out, settling, failing and registering at once, over the same rows: partners, then deliveries, in one order."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from bookings.models import BookingOption
from roaming import registration
from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import Unreachable
from roaming.outbound import deliveries, fan_out
from roaming.outbound.deliveries import Delivered, Lease
from tests.factories import NOW, make_depot, make_evse, make_operator, option_of
from tests.races.processes import all_at_once
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db(transaction=True)
PARTNERS, OFFERS, ROUNDS = 36, 6, 12


@pytest.fixture
def offers() -> list[int]:
    depot = make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))
    found = [option_of(make_evse(depot)).pk for _ in range(OFFERS)]
    partners = [make_partner() for _ in range(PARTNERS)]
    # Keys in another order than partners and offers have.
    rows = [
        Delivery(partner=p, kind="booking_location", object_id=o, wanted_version=1)
        for p in partners
        for o in found
    ]
    rows += [
        Delivery(partner=p, kind="booking", object_id=n, wanted_version=1) for n, p in enumerate(partners)
    ]
    random.Random(5).shuffle(rows)
    Delivery.objects.bulk_create(rows)
    return found


def again_and_again(work: Callable[[random.Random, int], object], seed: int) -> Callable[[], int]:
    """How many of the rounds ended in a deadlock."""

    def run() -> int:
        dice, deadlocks = random.Random(seed), 0
        for number in range(ROUNDS):
            try:
                work(dice, number)
            except OperationalError as error:
                if "deadlock" not in str(error):
                    raise
                deadlocks += 1
        return deadlocks

    return run


def some_leases(dice: random.Random, most: int) -> list[Lease]:
    """Of rows that are free, taken as a worker takes them, in any order."""
    until = NOW + timedelta(seconds=dice.random() * 1e6)
    taken = []
    keys = list(Delivery.objects.filter(leased_until=None).values_list("pk", flat=True))
    for key in dice.sample(keys, min(most, len(keys))):
        if Delivery.objects.filter(pk=key, leased_until=None).update(leased_until=until):
            row = Delivery.objects.get(pk=key)
            taken.append(Lease(row.pk, row.partner_id, row.kind, row.object_id, row.wanted_version, until))
    return taken


def test_fan_out_settling_failing_and_registering_at_once_never_deadlock(offers: list[int]) -> None:
    partners = list(Partner.objects.values_list("pk", flat=True))

    def tell_of_offers(dice: random.Random, number: int) -> None:
        BookingOption.objects.filter(pk__in=offers).update(calendar_version=number + 2)
        fan_out.want(dice.sample(offers, len(offers)), now=NOW)

    def settle(dice: random.Random, number: int) -> None:
        now = NOW + timedelta(minutes=number)  # so that the partners' rows are written each time
        deliveries.all_succeeded([Delivered(lease, "d") for lease in some_leases(dice, 40)], now=now)

    def fail(dice: random.Random, number: int) -> None:
        for lease in some_leases(dice, 3):
            deliveries.failed(lease, Unreachable("gone"), now=NOW)

    def register(dice: random.Random, number: int) -> None:
        with transaction.atomic():
            partner = Partner.objects.select_for_update(no_key=True).get(pk=dice.choice(partners))
            registration.start_exchange(partner, now=NOW)

    def come_back(dice: random.Random, number: int) -> None:
        now = NOW + timedelta(minutes=number)
        deliveries.record_success(*dice.sample(partners, 12), now=now)
        fan_out.refresh(now=now + timedelta(days=2))

    found = all_at_once(
        [
            again_and_again(work, seed)
            for seed, work in enumerate(
                (tell_of_offers, tell_of_offers, settle, settle, fail, register, come_back)
            )
        ]
    )

    assert found == [0] * 7


@pytest.mark.parametrize("how", ["settle", "fan out", "register"])
def test_who_wants_many_rows_waits_at_the_first_and_holds_none_of_the_later(
    offers: list[int], how: str
) -> None:
    """The rows are stored, and given, in another order than they are locked in."""
    in_order = Delivery.objects.filter(kind="booking_location").order_by("partner_id", "kind", "object_id")
    if how == "register":
        in_order = in_order.filter(partner=Partner.objects.order_by("pk")[3])
    keys = list(in_order.values_list("pk", flat=True))
    leases = _leased(keys[::-1])

    def work() -> None:
        if how == "settle":
            deliveries.all_succeeded([Delivered(lease, "d") for lease in leases], now=NOW)
        elif how == "fan out":
            BookingOption.objects.filter(pk__in=offers).update(calendar_version=2)
            fan_out.want(offers[::-1], now=NOW)
        else:
            with transaction.atomic():
                registration.start_exchange(Partner.objects.get(pk=leases[0].partner_id), now=NOW)

    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        Delivery.objects.select_for_update(no_key=True).get(pk=keys[0])
        waiting = threads.submit(_closing, work)
        _until_somebody_waits()
        later = list(Delivery.objects.filter(pk__in=keys[1:]).select_for_update(no_key=True, nowait=True))
        assert len(later) == len(keys) - 1
        transaction.set_rollback(True)
    waiting.result(timeout=20)


def _leased(keys: list[int]) -> list[Lease]:
    until = NOW + timedelta(seconds=30)
    Delivery.objects.filter(pk__in=keys).update(leased_until=until)
    rows = Delivery.objects.in_bulk(keys)
    return [Lease(k, rows[k].partner_id, rows[k].kind, rows[k].object_id, 1, until) for k in keys]


def _closing(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()


def _until_somebody_waits() -> None:
    never = threading.Event()
    for _ in range(500):
        if _number_waiting():
            return
        never.wait(0.02)
    raise AssertionError("nobody waits for a lock")


def _number_waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        row = cursor.fetchone()
    return int(row[0]) if row else 0
