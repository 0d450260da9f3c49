"""Gateways write down at once who tried to connect, and forget the same strangers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from depots.models import FailedHandshake, RefusedConnection
from depots.operations.failed_handshakes import MOST_ADDRESSES, note_failed_handshakes
from depots.operations.refused_connections import MOST_STRANGERS, Refusal, note_refusals
from tests.factories import NOW
from tests.races.processes import at_once

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 8


def handshakes(number: int) -> None:
    for turn in range(ROUNDS):
        told = {f"10.{number}.{turn}.{host}": ("unknown ca", 1) for host in range(120)}
        again = {
            f"10.{other}.{turn - 1}.{host}": ("unknown ca", 1) for other in range(4) for host in range(30)
        }
        note_failed_handshakes(
            failures={**told, **again}, now=NOW + timedelta(seconds=turn, milliseconds=number)
        )


def refusals(number: int) -> None:
    for turn in range(ROUNDS):
        at = NOW + timedelta(seconds=turn, milliseconds=number)
        names = [f"NEW-{number}-{turn}-{each}" for each in range(200)]
        names += [f"NEW-{other}-{turn - 1}-{each}" for other in range(4) for each in range(30)]
        address = f"198.51.100.{number}"
        note_refusals([Refusal(name, address, "", "unknown", b"", 1, at, at) for name in names])


@pytest.mark.parametrize(
    ("note", "model", "most"),
    [(handshakes, FailedHandshake, MOST_ADDRESSES), (refusals, RefusedConnection, MOST_STRANGERS)],
)
def test_gateways_that_note_strangers_at_once_do_not_deadlock(note, model, most):
    assert at_once(note, times=4) == [None] * 4

    note(0)
    assert model.objects.count() == most
