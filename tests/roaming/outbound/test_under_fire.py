"""A partner that is away for a day, in every way one can be: when it is back it has what we have, nothing twice, nothing out of
order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from bookings.core.calendars import raise_marked
from bookings.models import Booking, Tariff, Token
from bookings.operations import cancel_booking
from bookings.operations.request_log import ReceivedMessage
from depots.models import Depot, Evse
from roaming.models import Delivery, Partner
from roaming.ocpi import client
from roaming.outbound import deliveries, shown_changes, token_changes
from tests.factories import (
    DISPATCHER,
    PARTNER,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import add_version, make_bound, per_kwh
from tests.roaming.outbound.storing_network import Network
from tests.roaming.partners import Caller, make_partner
from tests.roaming.peers import Reply, envelope
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)
HOURS = 24
NEVER = threading.Event()
FAULTS: list[Callable[[], Reply]] = [
    lambda: Reply(status=500, body={"oops": True}),
    lambda: Reply(cut=True),
    lambda: envelope(wait_for=NEVER),
    lambda: envelope(status_code=2000, message="no"),
    lambda: envelope(status_code=3000, message="not now"),
    lambda: Reply(body=b'{"status_code": 1000, "times'),
    lambda: Reply(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"}),
    lambda: Reply(status=429, body={}, headers={"Retry-After": "3600"}),
]


@pytest.fixture
def network(platform: str) -> Iterator[Network]:
    running = Network()
    with running.server:
        yield running


@pytest.fixture
def partner(network: Network) -> Partner:
    url = network.server.url
    party = {"country_code": "SE", "party_id": "AWY", "name": "Network"}
    roles = [{"role": role, **party} for role in ("EMSP", "CPO")]
    return make_partner("AWY", versions_url=f"{url}/versions", endpoints=network.endpoints, roles=roles)


@pytest.fixture
def depot() -> Depot:
    found = make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))
    for number in range(3):
        make_evse(found, uid=f"E-{number}")
    return found


@pytest.fixture
def impatience() -> Iterator[pytest.MonkeyPatch]:
    """Who never answers is given up on after a moment, until `undo`: what is given up on too early is sent twice."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "CONNECT_TIMEOUT_S", 0.2)
        patched.setitem(client.Http.call.__kwdefaults__, "time_limit_s", 0.1)
        yield patched


def book(partner: Partner, depot: Depot, evse: int, hour: int) -> Booking:
    role = partner.roles[0]
    return book_slot(
        fleet=partner.organisation, option=option_of(depot.evses.get(uid=f"E-{evse}")), period=slot(hour, hour + 1, day=2),
        party=(role["country_code"], role["party_id"]), actor=PARTNER, now=timezone.now(), message=ReceivedMessage({}),
    )  # fmt: skip


def renew(code: str, hour: int) -> None:
    tariff, now = Tariff.objects.get(code=code), timezone.now()
    add_version(tariff, per_kwh(f"0.{50 + hour}"), number=2 + hour // 6, starts_at=now, made_at=now)


def change_card(card: Token, hour: int) -> None:
    """Blocked, or let in again: whoever was away is to know which of both holds."""
    Token.objects.filter(pk=card.pk).update(
        is_blocked=hour % 2 == 0, version=F("version") + 1, updated_at=timezone.now()
    )
    with transaction.atomic():
        token_changes.want([card.pk], now=timezone.now())


def compare() -> None:
    raise_marked(timezone.now)
    shown_changes.want_changed(now=timezone.now())


def nothing_can_be_sent() -> bool:
    """Nothing is under way, and a worker that looked now would take nothing."""
    if Delivery.objects.filter(leased_until__gt=timezone.now()).exists():
        return False
    with transaction.atomic():
        taken = deliveries.claim(room=1, now=timezone.now())
        transaction.set_rollback(True)
    return not taken


def test_a_partner_that_was_away_for_a_day_has_in_the_end_what_we_have(
    network: Network, partner: Partner, depot: Depot, clock: Any, impatience: pytest.MonkeyPatch
) -> None:
    """Checklist 29: after an outage, pushes resume with the current state only."""
    held = make_bound(per_kwh("0.40"), depot=depot)
    bookings = [book(partner, depot, evse, 8) for evse in range(3)]
    [card] = make_vehicle(make_fleet(country_code="DE", emsp_party_id="NFE")).tokens.all()
    change_card(card, 1)
    compare()
    with RunningSender():
        eventually(lambda: not Delivery.objects.filter(next_try_at__isnull=False).exists(), "all is told")
        before = {path: len(bodies) for path, bodies in network.stored.items()}

        for hour in range(HOURS):
            network.fault = FAULTS[hour % len(FAULTS)]
            Evse.objects.filter(uid=f"E-{hour % 3}").update(
                status=[Evse.Status.CHARGING, Evse.Status.AVAILABLE][hour % 2],
                status_received_at=timezone.now(),
            )
            Depot.objects.filter(pk=depot.pk).update(name=f"Depot at {hour}", updated_at=timezone.now())
            if hour % 6 == 0:
                renew(held.code, hour)
            change_card(card, hour + 1)
            moved = bookings[hour % 3]
            change_slot(
                booking_id=moved.pk, period=slot(10 + hour % 6, 11 + hour % 6, day=2), by="depot", actor=DISPATCHER,
                now=timezone.now(),
            )  # fmt: skip
            clock.shift(timedelta(seconds=5))
            compare()
            eventually(nothing_can_be_sent, f"hour {hour} is over")
            clock.shift(timedelta(hours=1))
        bookings.append(book(partner, depot, 0, 20))
        cancel_booking(
            booking_id=bookings[1].pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now()
        )
        compare()
        eventually(nothing_can_be_sent)
        assert {path: len(bodies) for path, bodies in network.stored.items()} == before, (
            "it stored nothing meanwhile"
        )

        impatience.undo()
        network.fault = None
        clock.shift(timedelta(minutes=16))
        compare()
        eventually(nothing_can_be_sent, "what the first answer made due is told")
        clock.shift(timedelta(minutes=16))  # what it had said no to waits for its own time
        eventually(
            lambda: not Delivery.objects.filter(next_try_at__isnull=False).exists(),
            "all is told",
            deadline_s=120,
        )

    network.check_equal(Caller(partner))
    for path, bodies in network.stored.items():
        assert len(bodies) <= before.get(path, 0) + 1, f"{path} was told more than once after the outage"
        stamps = [body["last_updated"] for body in bodies]
        assert stamps == sorted(stamps), path
    assert fresh(partner).failures == 0
