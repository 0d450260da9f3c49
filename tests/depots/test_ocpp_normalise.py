"""A message that breaks its schema: what is plain is converted, what is not is set aside, and nothing changes its meaning."""

import json
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depots.ocpp import schemas, v16
from depots.ocpp.normalise import Message, MissingField, normalise
from depots.ocpp.v2x import v21, v201

NOON = "2030-01-15T12:00:00Z"
START = {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": NOON}


def samples_16(*samples: dict) -> list:
    """What is kept of sampled values in 1.6."""
    kept, _ = normalise("1.6", "MeterValues", {"connectorId": 1, "meterValue": _at_noon(*samples)})
    return kept["meterValue"][0]["sampledValue"]


def samples_2x(*samples: dict) -> list:
    kept, _ = normalise("2.0.1", "MeterValues", {"evseId": 1, "meterValue": _at_noon(*samples)})
    return kept["meterValue"][0]["sampledValue"]


def _at_noon(*samples: dict) -> list:
    return [{"timestamp": NOON, "sampledValue": list(samples)}]


@pytest.mark.parametrize(
    ("told", "kept", "places"),
    [
        ({**START, "meterStart": "5"}, START, ["meterStart"]),
        ({**START, "meterStart": 5.4}, START, ["meterStart"]),
        ({**START, "idTag": 1234}, {**START, "idTag": "1234"}, ["idTag"]),
        ({**START, "idTag": "X" * 21}, {**START, "idTag": "X" * 21}, ["idTag"]),
        ({**START, "extra": {"a": [1]}}, START, ["extra"]),
        ({**START, "reservationId": None}, START, ["reservationId"]),
        ({**START, "reservationId": "seven"}, START, ["reservationId"]),
        ({**START, "reservationId": True}, START, ["reservationId"]),
        ({**START, "connectorId": "1,5", "reservationId": 7}, None, ["connectorId"]),
        ({**START, "meterStart": float("inf")}, None, ["meterStart"]),
        ({**START, "meterStart": "1e999"}, None, ["meterStart"]),
        ({**START, "idTag": "X" * 256}, None, ["idTag"]),
        ({**START, "timestamp": ["2030"]}, None, ["timestamp"]),
    ],
)
def test_what_is_plain_is_converted_and_the_rest_set_aside(told: dict, kept: dict | None, places: list[str]):
    message, odd = normalise("1.6", "StartTransaction", told)

    assert message == (kept or {name: value for name, value in told.items() if name not in places})
    assert odd == places


def test_texts_are_cut_and_null_is_not_there():
    told = {"chargePointVendor": "V" * 21, "chargePointModel": None, "iccid": 8, "meterType": ""}

    message, odd = normalise("1.6", "BootNotification", told)

    assert message == {"chargePointVendor": "V" * 20, "iccid": "8", "meterType": ""}
    assert odd == ["chargePointVendor", "chargePointModel", "iccid"]


@pytest.mark.parametrize(
    ("told", "kept"),
    [("powerup", "PowerUp"), ("Power Up", "PowerUp"), ("POWER_UP", "PowerUp"), ("Boredom", None), (7, None)],
)
def test_a_word_is_found_without_regard_to_case_and_separators(told, kept):
    message, odd = normalise("2.1", "BootNotification", {"reason": told})

    assert (message.get("reason"), odd) == (kept, ["reason"])


@pytest.mark.parametrize(
    "odd",
    [
        {"value": "300", "measurand": "Energy.Wanted"},
        {"value": "300", "unit": "Bananas"},
        {"value": "300", "phase": "L7"},
        {"value": "300", "location": "Moon"},
        {"value": "300", "format": "Roman"},
        {"value": None},
        {"value": ["300"]},
        {"measurand": "SoC"},
        "300",
    ],
)
def test_a_sample_that_would_mean_something_else_without_a_part_is_set_aside_whole(odd):
    assert samples_16(odd, {"value": "1", "unit": "Wh"}) == [{"value": "1", "unit": "Wh"}]


@pytest.mark.parametrize(
    "odd",
    [
        {"value": 3, "measurand": "Energy.Wanted"},
        {"value": 3, "unitOfMeasure": "kWh"},
        {"value": 3, "unitOfMeasure": {"unit": "Wh", "multiplier": "many"}},
        {"value": "3,5"},
    ],
)
def test_the_same_holds_in_2x(odd):
    assert samples_2x(odd, {"value": 1}) == [{"value": 1}]


def test_other_parts_of_a_sample_may_go_alone():
    assert samples_16({"value": 12.5, "unit": "KWH", "context": "Yesterday", "colour": 1}) == [
        {"value": "12.5", "unit": "kWh"}
    ]
    assert samples_2x({"value": "12.5", "unitOfMeasure": {"multiplier": "3", "x": 1}}) == [
        {"value": 12.5, "unitOfMeasure": {"multiplier": 3}}
    ]


def test_lists_may_be_empty_and_one_object_is_a_list_of_one():
    assert samples_16() == []
    message, _ = normalise("1.6", "MeterValues", {"connectorId": 1, "meterValue": _at_noon()[0]})
    assert message["meterValue"] == _at_noon()


def test_a_required_field_may_be_missing_until_it_is_asked_for():
    message, odd = normalise("2.0.1", "BootNotification", {"chargingStation": {"model": "M"}})

    assert (message, odd) == ({"chargingStation": {"model": "M"}}, [])
    assert message.get("reason") is None
    with pytest.raises(MissingField, match="vendorName"):
        message["chargingStation"]["vendorName"]


def test_places_are_told_in_full_only_for_the_first():
    _, odd = normalise("1.6", "StartTransaction", {f"{'x' * 900}{n}": n for n in range(1000)})

    assert len(odd) == 21
    assert max(map(len, odd)) <= 50
    assert odd[-1] == "and 980 more"


def test_thousands_of_odd_samples_are_one_pass():
    """26 of them lost a transaction once, and some thousand took minutes: each was another pass over all."""
    looked_at = 0

    class Sample(dict):
        def items(self):
            nonlocal looked_at
            looked_at += 1
            return super().items()

    stop = {"transactionId": 1, "meterStop": 9, "timestamp": NOON}
    samples = [Sample(value="1", unit="Bananas") for _ in range(3000)]
    data = [{"timestamp": NOON, "sampledValue": samples}]

    message, _ = normalise("1.6", "StopTransaction", {**stop, "transactionData": data})

    assert message == {**stop, "transactionData": [{"timestamp": NOON, "sampledValue": []}]}
    assert looked_at == len(samples)


ACTIONS = [(dialect.VERSION, action) for dialect in (v16, v201, v21) for action in dialect.ANSWERS]
NAMES = sorted(
    set(
        chain.from_iterable(
            schemas.load(version, action).get("properties", {}) for version, action in ACTIONS
        )
    )
    | {"timestamp", "sampledValue", "value", "unit", "id", "evse", "name", "component", "actualValue"}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ACTIONS), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_whatever_comes_what_is_kept_conforms(action: tuple[str, str], payload: dict):
    """But for what is missing, lists of unusual length, and ids that are longer than the protocol has them."""
    message, _ = normalise(*action, payload)

    assert isinstance(message, Message)
    json.dumps(message)
    found = schemas._explaining(action[0], schemas._name(*action, False)).iter_errors(message)
    assert {error.validator for error in found} <= {"required", "minItems", "maxItems"}


def test_no_two_words_of_an_enumeration_look_alike():
    def enums(schema):
        if isinstance(schema, dict):
            if isinstance(schema.get("enum"), list):
                yield schema["enum"]
            for inner in schema.values():
                yield from enums(inner)

    for version, action in ACTIONS:
        for words in enums(schemas.load(version, action)):
            plain = {word.replace("-", "").replace("_", "").replace(".", "").casefold() for word in words}
            assert len(plain) == len(words), words
