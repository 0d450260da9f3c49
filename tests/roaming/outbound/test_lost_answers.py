"""What a partner has taken while its answer was lost, and what is for one of many parties behind a hub."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from bookings.billing.cdrs import Issue, credit, lock
from bookings.models import ChargeDetailRecord
from roaming.models import Delivery
from tests.factories import MANAGER, at
from tests.roaming.guests import begin, booked, end
from tests.roaming.outbound.storing_network import Network
from tests.roaming.partners import make_partner
from tests.roaming.peers import Reply
from tests.roaming.running import RunningSender, eventually

pytestmark = pytest.mark.django_db(transaction=True)
LOST = [
    lambda: Reply(cut=True),
    lambda: Reply(status=500, body={"oops": True}),
    lambda: Reply(body=b'{"status_code": 1000, "times'),
]


@pytest.fixture
def network(platform: str) -> Iterator[Network]:
    running = Network()
    with running.server:
        yield running


def test_a_record_whose_answer_was_lost_stays_one_record_and_its_credit_waits_for_it(
    network: Network, clock: Any
) -> None:
    """Checklist 86, from the sender's side: what is sent again is the same to the letter, so that its id tells."""
    partner = make_partner("AWY", endpoints=network.endpoints)
    guest = booked(partner)
    clock.move_to(at(10))
    session = begin(guest)
    network.is_meant = lambda asked: asked.method == "POST"
    with RunningSender():
        clock.move_to(at(10, 30))
        network.loses = LOST[0]
        end(session)
        with transaction.atomic():
            credit(lock(ChargeDetailRecord.objects.get()), Issue(MANAGER, timezone.now(), "let off"))
        for attempt, lost in enumerate(LOST, start=1):
            network.loses = lost
            eventually(lambda attempt=attempt: failed(attempt) or pass_time(clock), f"attempt {attempt}")
        network.loses = None
        clock.shift(timedelta(minutes=20))
        eventually(lambda: len(network.now("/cdrs/")) == 2 or pass_time(clock))
        eventually(lambda: not Delivery.objects.filter(kind="cdr", next_try_at__isnull=False).exists())

    first, credited = (bodies for path, bodies in network.stored.items() if path.startswith("/cdrs/"))
    assert len(first) > len(LOST)
    assert all(body == first[0] for body in first)
    assert credited[0]["credit_reference_id"] == first[0]["id"]
    posts = [asked.body["id"] for asked in network.server.asked if asked.method == "POST"]
    assert posts.index(credited[0]["id"]) >= len(first), "a credit comes when what it is about is there"


def failed(times: int) -> bool:
    return Delivery.objects.filter(kind="cdr", attempts__gte=times, leased_until=None).exists()


def pass_time(clock: Any) -> None:
    """While nothing is under way."""
    if not Delivery.objects.filter(leased_until__gt=timezone.now()).exists():
        clock.shift(timedelta(seconds=1))
