"""Whatever a charger sends of the actions it may send, it gets an answer and never a CALLERROR."""

import json
from typing import Any

import pytest

from depots.ocpp import schemas, v16
from depots.ocpp.v2x import v21, v201
from tests.factories import make_charger, make_evse
from tests.scenarios.bed import Bed, eventually

pytestmark = pytest.mark.usefixtures("gate")

DIALECTS = {"ocpp1.6": v16, "ocpp2.0.1": v201, "ocpp2.1": v21}
# Sent without an answer; and one whose answer repeats what was asked, and may not be empty.
UNANSWERED, ECHO = "NotifyPeriodicEventStream", "GetCertificateChainStatus"


def filled(schema: dict[str, Any], definitions: dict[str, Any], leaf: Any) -> Any:
    """A message with all fields of its schema, lists of two, and the same in place of every single value."""
    if reference := schema.get("$ref"):
        return filled(definitions[reference.rpartition("/")[2]], definitions, leaf)
    if schema.get("type") == "object":
        return {
            name: filled(field, definitions, leaf) for name, field in schema.get("properties", {}).items()
        }
    if schema.get("type") == "array":
        return [filled(schema["items"], definitions, leaf)] * 2
    return leaf


def say_all(bed: Bed, protocol: str, leaf: Any) -> dict[str, list]:
    """The answers to a message of each action, all of whose values are `leaf`; {} where it is None."""
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row, protocol)
    charger.connect()
    dialect = DIALECTS[protocol]
    asked = [action for action in dialect.ANSWERS if action != UNANSWERED]
    for action in asked:
        schema = schemas.load(dialect.VERSION, action)
        payload = {} if leaf is None else filled(schema, schema.get("definitions", {}), leaf)
        charger.send(json.dumps([2, action, action, payload]))

    def answers() -> dict[str, list]:
        told = [json.loads(frame) for frame in list(charger.sim.frames)]
        return {message[1]: message for message in told if message[0] in {3, 4} and message[1] in asked}

    eventually(lambda: len(answers()) == len(asked))
    return answers()


@pytest.mark.parametrize("protocol", DIALECTS)
@pytest.mark.parametrize("leaf", [None, "x" * 300, 10**80], ids=["empty", "text", "number"])
def test_every_message_is_answered_whatever_it_says(bed: Bed, protocol: str, leaf: Any):
    refused = {action: told for action, told in say_all(bed, protocol, leaf).items() if told[0] == 4}

    assert refused.keys() <= {ECHO}


@pytest.mark.long
@pytest.mark.parametrize("protocol", DIALECTS)
@pytest.mark.parametrize(
    "leaf",
    ["", "1", "-1", -1, 1.5, True, [], {}, "\x00\ud800", "2030-01-15T08:00:00Z", [[]], {"a": None}],
    ids=str,
)
def test_every_message_is_answered_whatever_else_it_says(bed: Bed, protocol: str, leaf: Any):
    refused = {action: told for action, told in say_all(bed, protocol, leaf).items() if told[0] == 4}

    assert refused.keys() <= {ECHO}
