"""Every further action a 2.x charger can send gets an answer that its own schema allows."""

import pytest

from depots.ocpp import v21, v201
from depots.ocpp.schemas import _schema
from tests.factories import make_charger
from tests.scenarios.bed import Bed
from tests.scenarios.smallest_messages import smallest

pytestmark = pytest.mark.usefixtures("gate")

TESTED_ELSEWHERE = {
    "Authorize", "BootNotification", "Heartbeat", "TransactionEvent", "StatusNotification", "MeterValues", "NotifyEvent",
}  # fmt: skip


@pytest.mark.parametrize("dialect", [v201, v21], ids=["2.0.1", "2.1"])
def test_all_are_answered_according_to_their_schema(bed: Bed, dialect):
    charger = bed.charger(make_charger(), f"ocpp{dialect.VERSION}")
    charger.connect()

    for action in sorted(set(dialect.ANSWERS) - TESTED_ELSEWHERE - {"NotifyPeriodicEventStream"}):
        schema = _schema(dialect.VERSION, f"{action}Request")

        # An answer outside its schema would come back as an error, which raises here.
        charger.ask(action, smallest(schema, schema.get("definitions", {})))

    assert charger.heartbeat()


def test_what_is_sent_without_expecting_an_answer_gets_none(bed: Bed):
    charger = bed.charger(make_charger(), "ocpp2.1")
    charger.connect()
    before = len(charger.sim.frames)

    data = {"id": 1, "pending": 0, "basetime": "2030-01-15T08:00:00Z", "data": [{"t": 0, "v": "1"}]}
    charger.send(f'[6,"s1","NotifyPeriodicEventStream",{str(data).replace(chr(39), chr(34))}]')
    charger.send('[6,"s2","MakeCoffee",{}]')
    charger.heartbeat()

    assert not [frame for frame in charger.sim.frames[before:] if '"s1"' in frame or '"s2"' in frame]
