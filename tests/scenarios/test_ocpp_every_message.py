"""Every action a charger can send, in every version: as small and as full as its schema allows, with each of its words, and
as one looks in the field. Each gets an answer that the answer's own schema allows."""

import json
from pathlib import Path
from typing import Any

import pytest

from depots.ocpp import schemas, v16
from depots.ocpp.v2x import v21, v201
from tests.factories import make_charger, make_evse
from tests.scenarios.bed import Bed
from tests.scenarios.schema_messages import fullest, most_words, smallest

pytestmark = pytest.mark.usefixtures("gate")

DIALECTS = {"ocpp1.6": v16, "ocpp2.0.1": v201, "ocpp2.1": v21}
SAMPLES = json.loads((Path(__file__).parents[1] / "samples" / "ocpp" / "messages.json").read_text())
# Sent without an answer.
UNANSWERED = {"NotifyPeriodicEventStream"}
# In `make test`; all of them are sent under long.
WORDS_AT_ONCE = 2


def samples(version: str) -> dict[str, dict[str, Any]]:
    """One of each action, as chargers in the field send it."""
    if version == "1.6":
        return SAMPLES["1.6"]
    return {**SAMPLES["2.x"], **(SAMPLES["2.1"] if version == "2.1" else {})}


def messages(version: str, action: str, words: int) -> list[Any]:
    schema = schemas.load(version, action)
    definitions = schema.get("definitions", {})
    full = [fullest(schema, definitions, word) for word in range(min(words, most_words(schema)))]
    return [samples(version)[action], smallest(schema, definitions), *full]


def send_all(bed: Bed, protocol: str, words: int) -> None:
    dialect = DIALECTS[protocol]
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row, protocol)
    charger.connect()

    for action in sorted(set(dialect.ANSWERS) - UNANSWERED):
        for message in messages(dialect.VERSION, action, words):
            # What breaks its schema is not sent, and an answer that does comes back as an error: both raise here.
            answer = charger.ask(action, message)

            schemas.check(dialect.VERSION, action, answer, is_answer=True)

    assert charger.heartbeat()


@pytest.mark.parametrize("protocol", DIALECTS)
def test_all_are_answered_according_to_their_schema(bed: Bed, protocol: str):
    send_all(bed, protocol, WORDS_AT_ONCE)


@pytest.mark.long
@pytest.mark.parametrize("protocol", DIALECTS)
def test_all_are_answered_with_every_word_they_may_hold(bed: Bed, protocol: str):
    send_all(bed, protocol, 1000)


@pytest.mark.parametrize("protocol", DIALECTS)
def test_there_is_a_sample_of_every_message_and_of_no_other(protocol: str):
    assert set(samples(DIALECTS[protocol].VERSION)) == set(DIALECTS[protocol].ANSWERS)


def test_what_is_sent_without_expecting_an_answer_gets_none(bed: Bed):
    charger = bed.charger(make_charger(), "ocpp2.1")
    charger.connect()
    before = len(charger.sim.frames)

    charger.send(
        json.dumps([6, "s1", "NotifyPeriodicEventStream", samples("2.1")["NotifyPeriodicEventStream"]])
    )
    charger.send('[6,"s2","MakeCoffee",{}]')
    charger.heartbeat()

    assert not [frame for frame in charger.sim.frames[before + 2 :] if '"s1"' in frame or '"s2"' in frame]
