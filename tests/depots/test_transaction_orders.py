"""Whatever order a transaction's messages come in, how often, how late and by which clock: the bill is the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from depots.models import ChargingSession, Evse
from depots.operations import Reading
from tests.depots.charging import CARD, MINUTE, event, meter, start, stop
from tests.factories import NOW, make_charger, make_evse

pytestmark = pytest.mark.django_db
FEW = settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
BEGINS, ENDS = NOW, NOW + timedelta(hours=1)
# Sent at these minutes, with what the register showed.
EVENTS = [("started", 0, 1_000), ("updated", 10, 20_000), ("updated", 30, 60_000), ("ended", 60, 101_000)]


@pytest.fixture
def evse() -> Evse:
    return make_evse(charger=make_charger())


def tell(evse: Evse, seq_no: int, *, received_at: datetime, **fields: Any) -> ChargingSession:
    """The event of this number, as told at its time and received at another."""
    kind, minute, wh = EVENTS[seq_no]
    at = BEGINS + minute * MINUTE
    token = {"token_uid": CARD} if kind == "started" else {}
    return event(evse, kind, seq_no, received_at, Reading(at=at, energy_wh=wh), at=at, **token, **fields)


def undone(body: Callable[[], None]) -> None:
    """Each example on a clean database."""
    with transaction.atomic():
        body()
        transaction.set_rollback(True)


def bill() -> list[tuple[Any, ...]]:
    return [
        (s.started_at, s.ended_at, s.energy_wh, s.token_uid) for s in ChargingSession.objects.order_by("pk")
    ]


orders = st.permutations(range(4)).flatmap(
    lambda order: st.lists(st.integers(0, 3), max_size=4).map(lambda again: (list(order), again))
)


@FEW
@given(told=orders, late_min=st.integers(0, 600), offline=st.booleans())
def test_events_of_2x_in_any_order_and_repeated_make_one_bill(
    evse: Evse, told: tuple[list[int], list[int]], late_min: int, offline: bool
):
    order, again = told

    def body() -> None:
        received = ENDS + late_min * MINUTE
        flags = ["offline"] if offline else []
        for seq_no in [*order, *again]:
            tell(evse, seq_no, received_at=received, flags=flags)

        assert bill() == [(BEGINS, ENDS, 100_000, CARD)]

    undone(body)


@FEW
@given(missing=st.sets(st.integers(1, 2)), order=st.permutations(range(4)))
def test_events_of_2x_that_are_lost_in_between_leave_the_bill_as_it_is(
    evse: Evse, missing: set[int], order: list[int]
):
    def body() -> None:
        for seq_no in order:
            if seq_no not in missing:
                tell(evse, seq_no, received_at=ENDS)

        assert bill() == [(BEGINS, ENDS, 100_000, CARD)]

    undone(body)


# What follows a start of 1.6, in any order: its repetition, samples, the stop and its repetition.
LATER = st.lists(
    st.sampled_from(["start again", "sample 10", "sample 30", "sample without id", "stop"]),
    min_size=1,
    max_size=5,
)


@FEW
@given(later=LATER, late_min=st.integers(0, 600))
def test_messages_of_1_6_in_any_order_and_repeated_make_one_bill(evse: Evse, later: list[str], late_min: int):
    def body() -> None:
        received = ENDS + late_min * MINUTE
        begun = {"key": "the start", "at": BEGINS, "meter_wh": 1_000}
        session = start(evse, received, **begun)
        tell_16: dict[str, Callable[[], Any]] = {
            "start again": lambda: start(evse, received, **begun),
            "sample 10": lambda: sample(10, 20_000, session.transaction),
            "sample 30": lambda: sample(30, 60_000, session.transaction),
            "sample without id": lambda: sample(40, 70_000, ""),
            "stop": lambda: stop(session, received, at=ENDS, meter_wh=101_000, key="the stop"),
        }

        def sample(minute: int, wh: int, of: str) -> None:
            meter(evse, Reading(at=BEGINS + minute * MINUTE, energy_wh=wh), now=received, transaction=of)

        for what in [*later, "stop", later[0]]:
            tell_16[what]()

        assert bill() == [(BEGINS, ENDS, 100_000, CARD)]

    undone(body)


@FEW
@given(skew_s=st.integers(-86_400, 86_400), order=st.permutations(range(4)))
def test_a_wrong_clock_changes_no_energy(evse: Evse, skew_s: int, order: list[int]):
    def body() -> None:
        skew = timedelta(seconds=skew_s)
        for seq_no in order:
            kind, minute, wh = EVENTS[seq_no]
            at = BEGINS + minute * MINUTE + skew
            token = {"token_uid": CARD} if kind == "started" else {}
            event(evse, kind, seq_no, ENDS, Reading(at=at, energy_wh=wh), at=at, **token)

        session = ChargingSession.objects.get()
        assert session.energy_wh == 100_000
        # What lies ahead of us is now (OCPP has no future); what lies behind stays as told.
        assert (
            ENDS - BEGINS - max(skew, timedelta()) <= session.ended_at - session.started_at <= ENDS - BEGINS
        )

    undone(body)
