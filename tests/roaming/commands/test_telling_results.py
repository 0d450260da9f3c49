"""How a command's result travels: over a real socket, a few times at most, and whatever is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from depots.models import ChargerCommand
from roaming.models import Delivery
from tests.factories import NOW, slot
from tests.roaming.commands.senders import answer, command, online_evse
from tests.roaming.commands.test_received_commands import booked
from tests.roaming.partners import Caller, make_partner
from tests.roaming.peers import Reply, ScriptedPeer
from tests.roaming.running import RunningSender, eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("reply", "times"),
    [(Reply(200, b""), 1), (Reply(204, b""), 1), (Reply(500, b"oops"), 3), (Reply(cut=True), 3)],
)
def test_a_result_is_told_until_it_is_taken_and_three_times_at_most(
    reply: Reply, times: int, settings: Any, clock: time_machine.Traveller
) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    caller, evse = Caller(make_partner()), online_evse()
    booked(caller, evse, slot(8, 9))
    with ScriptedPeer(lambda asked: reply) as peer, RunningSender():
        callback = f"{peer.url}/results/1f2e"
        command(caller, "START_SESSION", evse, authorization_reference="BK-REF", response_url=callback)
        answer(ChargerCommand.Action.REMOTE_START, "accepted")

        def is_settled() -> bool:
            row = Delivery.objects.get(kind=Delivery.Kind.COMMAND_RESULT)
            if row.next_try_at is not None and row.next_try_at > NOW and row.leased_until is None:
                clock.shift(timedelta(seconds=11))
            return row.next_try_at is None

        eventually(is_settled)
        assert [(asked.method, asked.body) for asked in peer.asked] == [
            ("POST", {"result": "ACCEPTED"})
        ] * times
