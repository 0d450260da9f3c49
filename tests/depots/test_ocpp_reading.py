"""Every message a charger may send is read as far as it goes and answered; what is missing is flagged, never made up."""

import asyncio
import gc
import threading
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from websockets.exceptions import ConnectionClosedError

from depots.gate import Authorization
from depots.ocpp import command_words, sampled_values, schemas, v16
from depots.ocpp.connection import ChargerConnection
from depots.ocpp.meter_values import IdleEvses
from depots.ocpp.times import Moment
from depots.ocpp.v2x import messages, v21, v201
from depots.ocpp.wire import ConnectionEnded, Wire
from depots.operations.certificate_requests import SigningAnswer
from depots.operations.transaction_reports import FLAGS, ReportResult
from tests.scenarios.schema_messages import smallest

NOW = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)
AT = "2030-01-15T08:00:00Z"
CARD = "04AABBCCDD10"


class Told:
    """A connection that carries nothing out and remembers what was to be done."""

    def __init__(
        self, dialect: Any, answer: Authorization | None = None, offset: timedelta | None = None
    ) -> None:
        self.done: list[tuple[str, dict]] = []
        self.identity, self.timings = "CP", SimpleNamespace(heartbeat_s=60)
        self.connectors: dict = {}
        self.idle_evses = IdleEvses()
        self.offset = offset
        self._answer = answer or Authorization(allowed=True)
        answers = {action: self._bound(answer) for action, answer in dialect.ANSWERS.items()}
        self.wire = Wire(SimpleNamespace(), dialect.VERSION, answers, is_tolerant=True)  # type: ignore[arg-type]

    def _bound(self, answer: Any) -> Any:
        return lambda message: answer(self, message)

    def ask(self, action: str, payload: dict) -> dict:
        """The answer, which keeps to its own schema. Raises what would be a CALLERROR."""
        answer = asyncio.run(self.wire._answer(action, deepcopy(payload), ""))
        if action != "NotifyPeriodicEventStream":
            schemas.check(self.wire.version, action, answer, is_answer=True)
        return answer

    @property
    def facts(self) -> dict:
        """Of the one operation: what it was told."""
        [(_, facts)] = self.done
        return facts

    async def do(self, operation: Any, **facts: Any) -> Any:
        self.done.append((operation.__name__, facts))
        if operation.__name__ == "authorize":
            return self._answer
        if operation.__name__ == "sign_request":
            return SigningAnswer(True)
        token = getattr(facts.get("report") or facts.get("stop"), "token_uid", CARD)
        session = SimpleNamespace(transaction="17")
        return ReportResult(session, self._answer if token else None)  # type: ignore[arg-type]

    def now(self) -> datetime:
        return NOW

    def moment(self, text: str | None) -> Any:
        return ChargerConnection.moment(self, text)  # type: ignore[arg-type]

    zone = ZoneInfo("Europe/Berlin")

    def by_its_clock(self, moment: datetime) -> datetime:
        return moment + (self.offset or timedelta())

    def on_boot(self) -> None: ...

    def on_transaction_message(self) -> None: ...

    def follow_meter(self, session: Any) -> None: ...

    async def check_clock(self, moment: Any) -> None: ...

    async def check_clock_by_status(self, moment: Any, *, is_news: bool) -> None: ...


def typical(version: str, action: str) -> dict:
    schema = schemas.load(version, action)
    return smallest(schema, schema.get("definitions", {}))


def broken(payload: Any) -> list[tuple[str, Any]]:
    """The payload with each field, at any depth, missing, null, of other types, too long, and with one too many."""
    found: list[tuple[str, Any]] = [("nothing", {}), ("more", {**payload, "extra": {"a": [1]}})]

    def vary(holder: dict, place: str) -> None:
        for name, told in list(holder.items()):
            for odd in (None, "x" * 300, "", -1, 10**30, 1.5, True, {}, [], [None], "nan"):
                holder[name] = odd
                found.append((f"{place}{name}={odd!r:.20}", deepcopy(payload)))
            del holder[name]
            found.append((f"no {place}{name}", deepcopy(payload)))
            holder[name] = told
            inner = told[0] if isinstance(told, list) and told else told
            if isinstance(inner, dict):
                vary(inner, f"{place}{name}.")

    vary(payload, "")
    return found


# Of certificates that it does not name nothing can be said.
NEEDS_ALL = {"GetCertificateChainStatus"}
ALL = [
    (dialect, action) for dialect in (v16, v201, v21) for action in dialect.ANSWERS if action not in NEEDS_ALL
]


@pytest.mark.parametrize(("dialect", "action"), ALL, ids=[f"{d.VERSION} {action}" for d, action in ALL])
def test_whatever_is_wrong_with_a_message_it_is_answered(dialect, action):
    connection = Told(dialect)

    for what, payload in broken(typical(dialect.VERSION, action)):
        try:
            connection.ask(action, payload)
        except Exception as error:
            pytest.fail(f"{what}: {error!r}")


@pytest.mark.parametrize(
    "more",
    [
        {"chargePointSerialNumber": "3" * 26},
        {"chargeBoxSerialNumber": "E" * 33},
        {"chargePointModel": "A model name that is longer than 20"},
        {"chargePointVendor": None},
        {"meterSerialNumber": None},
        {"iccid": "89" * 11, "imsi": 7},
        {"unheardOf": {"x": 1}},
    ],
)
def test_a_charger_that_boots_is_accepted_whatever_it_calls_itself(more):
    told = {"chargePointVendor": "Field", "chargePointModel": "Smart box", **more}

    assert Told(v16).ask("BootNotification", told)["status"] == "Accepted"


@pytest.mark.parametrize("dialect", [v201, v21])
@pytest.mark.parametrize("station", [{"vendorName": "F", "model": "M", "serialNumber": "3" * 26}, {}, None])
@pytest.mark.parametrize("reason", ["PowerUp", "Boredom", None])
def test_so_is_one_of_2x(dialect, station, reason):
    assert (
        Told(dialect).ask("BootNotification", {"reason": reason, "chargingStation": station})["status"]
        == "Accepted"
    )


@pytest.mark.parametrize(
    ("dialect", "payload", "uid"),
    [
        (v16, {"idTag": CARD, "connectorId": 1}, CARD),
        (v16, {"idTag": f" {CARD} "}, CARD),
        (v16, {"idTag": 4711}, "4711"),
        (v16, {"idTag": "X16WG99J2QIEGCC0MCJ5-"}, "X16WG99J2QIEGCC0MCJ5-"),
        (v201, {"idToken": {"idToken": CARD, "type": "ISO14443"}, "evseId": [1]}, CARD),
        (v201, {"idToken": {"idToken": f" {CARD}", "type": "Cheese"}}, CARD),
        (v201, {"idToken": {"idToken": CARD}}, CARD),
        (v201, {"idToken": {"idToken": "Y" * 40, "type": "Central"}}, "Y" * 40),
    ],
)
def test_a_card_is_never_cut_and_never_another(dialect, payload, uid):
    connection = Told(dialect)
    connection.ask("Authorize", payload)

    assert connection.facts["token_uid"] == uid


@pytest.mark.parametrize(
    ("dialect", "payload"),
    [
        (v16, {}),
        (v16, {"idTag": ""}),
        (v16, {"idTag": "  "}),
        (v16, {"idTag": None}),
        (v16, {"idTag": ["04"]}),
        (v16, {"idTag": "X" * 300}),
        (v201, {}),
        (v201, {"idToken": None}),
        (v201, {"idToken": {"type": "ISO14443"}}),
        (v201, {"idToken": {"idToken": "", "type": "ISO14443"}}),
        (v21, {"idToken": {"idToken": " ", "type": "Cheese"}}),
    ],
)
def test_nobody_is_not_let_in(dialect, payload):
    connection = Told(dialect)
    answer = connection.ask("Authorize", payload)

    assert next(iter(answer.values()))["status"] == "Invalid"
    assert connection.done == []


START = {"connectorId": 1, "idTag": CARD, "meterStart": 1000, "timestamp": AT}
STOP = {"transactionId": 17, "meterStop": 5000, "timestamp": AT, "idTag": CARD}


def without(payload: dict, *names: str) -> dict:
    return {name: told for name, told in payload.items() if name not in names}


@pytest.mark.parametrize(
    ("payload", "seen", "flags"),
    [
        (START, (1, CARD, 1000, NOW), []),
        (without(START, "timestamp"), (1, CARD, 1000, NOW), ["malformed", "no_time"]),
        (START | {"timestamp": ""}, (1, CARD, 1000, NOW), ["no_time"]),
        (START | {"timestamp": "1970-01-01T00:00:00Z"}, (1, CARD, 1000, NOW), ["bad_clock"]),
        (START | {"timestamp": 1}, (1, CARD, 1000, NOW), ["bad_clock", "malformed"]),
        (without(START, "meterStart"), (1, CARD, None, NOW), ["malformed", "no_meter_start"]),
        (START | {"meterStart": None}, (1, CARD, None, NOW), ["malformed", "no_meter_start"]),
        (START | {"meterStart": "1,5"}, (1, CARD, None, NOW), ["malformed", "no_meter_start"]),
        (START | {"meterStart": "1000"}, (1, CARD, 1000, NOW), ["malformed"]),
        (without(START, "connectorId"), (None, CARD, 1000, NOW), ["malformed"]),
        (without(START, "idTag"), (1, "", 1000, NOW), ["malformed", "no_token"]),
        (START | {"idTag": "X" * 21}, (1, "X" * 21, 1000, NOW), ["malformed"]),
        (START | {"idTag": f"{CARD} "}, (1, CARD, 1000, NOW), []),
        ({}, (None, "", None, NOW), ["malformed", "no_meter_start", "no_time", "no_token"]),
    ],
)
def test_a_start_is_recorded_with_what_it_tells(payload, seen, flags):
    connection = Told(v16)
    answer = connection.ask("StartTransaction", payload)

    start = connection.facts["start"]
    assert (start.evse_number, start.token_uid, start.meter_wh, start.at) == seen
    assert sorted(start.flags) == sorted(flags)
    assert set(flags) <= set(FLAGS)
    assert answer["transactionId"] == 17


def test_starts_that_differ_in_what_is_missing_are_different_starts():
    payloads = [
        START,
        without(START, "meterStart"),
        START | {"meterStart": None},
        without(START, "timestamp"),
        START | {"meterStart": 1001},
        START | {"idTag": "Y" * 200},
        START | {"idTag": "Y" * 201},
    ]

    def key(payload: dict) -> str:
        connection = Told(v16)
        connection.ask("StartTransaction", payload)
        return str(connection.facts["start"].key)

    keys = [key(payload) for payload in payloads]
    assert len(set(keys)) == len(keys)
    assert keys == [key(payload) for payload in payloads]
    assert max(map(len, keys)) <= 128


@pytest.mark.parametrize(
    ("payload", "seen", "flags"),
    [
        (STOP, ("17", CARD, 5000, "Local"), []),
        (without(STOP, "meterStop"), ("17", CARD, None, "Local"), ["malformed"]),
        (without(STOP, "timestamp"), ("17", CARD, 5000, "Local"), ["malformed", "no_time"]),
        (without(STOP, "transactionId"), ("", CARD, 5000, "Local"), ["malformed"]),
        (STOP | {"transactionId": "17"}, ("17", CARD, 5000, "Local"), ["malformed"]),
        (STOP | {"transactionId": None, "reason": "Boredom"}, ("", CARD, 5000, ""), ["malformed"]),
        (STOP | {"reason": "evdisconnected"}, ("17", CARD, 5000, "EVDisconnected"), ["malformed"]),
        (STOP | {"idTag": None}, ("17", "", 5000, "Local"), ["malformed"]),
        (STOP | {"transactionData": []}, ("17", CARD, 5000, "Local"), []),
        (STOP | {"transactionData": [{"timestamp": AT}]}, ("17", CARD, 5000, "Local"), ["malformed"]),
    ],
)
def test_a_stop_is_recorded_with_what_it_tells(payload, seen, flags):
    connection = Told(v16)
    connection.ask("StopTransaction", payload)

    stop = connection.facts["stop"]
    assert (stop.transaction, stop.token_uid, stop.meter_wh, stop.reason) == seen
    assert sorted(stop.flags) == sorted(flags)


@pytest.mark.parametrize(
    ("dialect", "payload"),
    [
        (v16, {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": []}]}),
        (v16, {"connectorId": 1, "meterValue": []}),
        (v16, {"connectorId": 1}),
        (v16, {}),
        (v201, {"evseId": 1, "meterValue": []}),
        (v21, {"evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": []}]}),
    ],
)
def test_an_idle_charger_may_tell_of_nothing(dialect, payload):
    connection = Told(dialect)

    assert connection.ask("MeterValues", payload) == {}
    assert connection.facts["readings"] == []


@pytest.mark.parametrize(
    ("dialect", "payload"),
    [
        (v16, {"connectorId": 1, "errorCode": "NoError", "status": "Happy"}),
        (v16, {"errorCode": "NoError", "status": "Available"}),
        (v16, {"connectorId": "one", "errorCode": "NoError", "status": "Available"}),
        (v201, {"timestamp": AT, "evseId": 1, "connectorId": 1, "connectorStatus": "Charging"}),
        (v201, {"timestamp": AT, "connectorId": 1, "connectorStatus": "Available"}),
        (v21, {}),
    ],
)
def test_a_status_that_cannot_be_read_changes_nothing(dialect, payload):
    connection = Told(dialect)

    assert connection.ask("StatusNotification", payload) == {}
    assert connection.done == []


@pytest.mark.parametrize(
    ("dialect", "payload", "seen"),
    [
        (v16, {"connectorId": "1", "errorCode": "NoError", "status": "available"}, (1, "available", "")),
        (v16, {"connectorId": 1, "status": "Faulted"}, (1, "faulted", "")),
        (v16, {"connectorId": 1, "errorCode": "Fire", "status": "Faulted"}, (1, "faulted", "")),
        (
            v16,
            {"connectorId": 0, "errorCode": "NoError", "status": "Available", "x": 1},
            (0, "available", ""),
        ),
        (v201, {"evseId": 1, "connectorStatus": "occupied"}, (1, "occupied", "")),
    ],
)
def test_one_that_can_is_told_on(dialect, payload, seen):
    connection = Told(dialect)
    connection.ask("StatusNotification", payload)

    facts = connection.facts
    assert (facts["evse_number"], facts["status"], facts.get("error_code", "")) == seen


EVENT = {
    "eventType": "Started",
    "timestamp": AT,
    "triggerReason": "Authorized",
    "seqNo": 3,
    "transactionInfo": {"transactionId": "T1", "chargingState": "Charging"},
    "evse": {"id": 1},
    "idToken": {"idToken": CARD, "type": "ISO14443"},
}


@pytest.mark.parametrize(
    ("change", "seen", "flags"),
    [
        ({}, ("T1", 3, "started", 1, CARD, True), []),
        ({"eventType": "STARTED"}, ("T1", 3, "started", 1, CARD, True), ["malformed"]),
        ({"eventType": "Exploded"}, ("T1", 3, "updated", 1, CARD, True), ["malformed"]),
        ({"seqNo": "3"}, ("T1", 3, "started", 1, CARD, True), ["malformed"]),
        ({"evse": None}, ("T1", 3, "started", None, CARD, True), ["malformed"]),
        ({"idToken": {"idToken": CARD}}, ("T1", 3, "started", 1, CARD, True), ["malformed"]),
        ({"idToken": {"type": "ISO14443"}}, ("T1", 3, "started", 1, None, True), ["malformed"]),
        (
            {"idToken": {"idToken": "", "type": "NoAuthorization"}},
            ("T1", 3, "started", 1, "", True),
            [],
        ),
        ({"idToken": None}, ("T1", 3, "started", 1, None, True), ["malformed"]),
        (
            {"transactionInfo": {"transactionId": 77, "chargingState": "Sleeping"}},
            ("77", 3, "started", 1, CARD, False),
            ["malformed"],
        ),
        ({"transactionInfo": None}, ("", 3, "started", 1, CARD, False), ["malformed"]),
        ({"timestamp": None}, ("T1", 3, "started", 1, CARD, True), ["malformed", "no_time"]),
        ({"triggerReason": "Boredom", "extra": 1}, ("T1", 3, "started", 1, CARD, True), ["malformed"]),
        ({"offline": True}, ("T1", 3, "started", 1, CARD, True), ["offline"]),
    ],
)
@pytest.mark.parametrize("dialect", [v201, v21])
def test_a_transaction_event_is_recorded_with_what_it_tells(dialect, change, seen, flags):
    connection = Told(dialect)
    connection.ask("TransactionEvent", EVENT | change)

    report = connection.facts["report"]
    assert (
        report.transaction,
        report.seq_no,
        report.kind,
        report.evse_number,
        report.token_uid,
        report.is_charging,
    ) == seen
    assert sorted(report.flags) == sorted(flags)


def test_events_without_a_number_have_one_that_a_repetition_has_again():
    def number(**change: Any) -> int:
        connection = Told(v201)
        connection.ask("TransactionEvent", without(EVENT, "seqNo") | change)
        return int(connection.facts["report"].seq_no)

    assert number() == number() < 0
    assert number() != number(timestamp="2030-01-15T08:00:01Z")


def test_an_id_that_no_column_holds_is_still_its_own():
    def kept(told: str) -> str:
        connection = Told(v21)
        connection.ask("TransactionEvent", EVENT | {"transactionInfo": {"transactionId": told}})
        return str(connection.facts["report"].transaction)

    assert kept("T" * 64) == "T" * 64
    assert len({kept("T" * 65), kept("T" * 66), kept("T" * 64)}) == 3
    assert max(len(kept("T" * n)) for n in (65, 200)) <= 64


HELD = Authorization(allowed=True, holds_until=NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("dialect", "action", "payload", "where", "name"),
    [
        (v16, "Authorize", {"idTag": CARD}, "idTagInfo", "expiryDate"),
        (v16, "StartTransaction", START, "idTagInfo", "expiryDate"),
        (v16, "StopTransaction", STOP, "idTagInfo", "expiryDate"),
        (v201, "Authorize", {"idToken": EVENT["idToken"]}, "idTokenInfo", "cacheExpiryDateTime"),
        (v21, "TransactionEvent", EVENT, "idTokenInfo", "cacheExpiryDateTime"),
    ],
)
def test_no_cache_may_let_a_card_in_for_longer_than_the_answer_holds(dialect, action, payload, where, name):
    assert Told(dialect, HELD).ask(action, payload)[where][name] == "2030-01-15T08:01:00.000Z"
    # By the clock of the charger, which is what it compares with.
    ahead = Told(dialect, HELD, timedelta(hours=1)).ask(action, payload)
    assert ahead[where][name] == "2030-01-15T09:01:00.000Z"
    assert name not in Told(dialect).ask(action, payload)[where]


def _event(connector: int, second: int, told: str = "Available") -> dict:
    return {
        "eventId": second,
        "timestamp": f"2030-01-15T07:00:{second:02}Z",
        "trigger": "Delta",
        "actualValue": told,
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": connector}},
        "variable": {"name": "AvailabilityState"},
    }


def test_of_thousands_of_events_only_each_connector_s_newest_is_reported():
    connection = Told(v201)
    events = [_event(connector, second) for second in range(59) for connector in (1, 2)] * 10
    events.insert(5, _event(2, 59, "Faulted"))

    connection.ask("NotifyEvent", {"generatedAt": AT, "seqNo": 0, "eventData": events})

    assert [(facts["at"].second, facts["status"]) for _, facts in connection.done] == [
        (58, "available"),
        (59, "available"),
    ]
    assert connection.connectors == {(1, 1): "available", (1, 2): "faulted"}


def test_connectors_that_are_made_up_do_not_fill_the_memory():
    connection = Told(v201)

    for number in range(messages.MOST_CONNECTORS * 2):
        connection.ask(
            "StatusNotification",
            {"timestamp": AT, "evseId": number + 1, "connectorId": 1, "connectorStatus": "Faulted"},
        )

    assert len(connection.connectors) <= messages.MOST_CONNECTORS


@pytest.mark.parametrize(
    ("count", "is_beside"), [(sampled_values.MANY // 2, False), (sampled_values.MANY, True)]
)
def test_many_samples_are_read_beside_the_loop(count: int, is_beside: bool):
    threads = set()

    def moment(text: str) -> Moment:
        threads.add(threading.current_thread() is threading.main_thread())
        return Moment(NOW)

    told = [{"timestamp": AT, "sampledValue": [{"value": "1"}]}] * (count // 2 + 1)

    read = asyncio.run(sampled_values.read_all(told, moment))

    assert len(read.readings) == len(told)
    assert threads == {not is_beside}


class Telling:
    """A wire over which a charger tells more of its settings than it was asked for."""

    def __init__(self, answer: dict) -> None:
        self.answer = answer

    async def call(self, action: str, payload: dict) -> dict:
        return self.answer


def test_of_a_charger_s_settings_only_those_that_were_asked_for_are_kept():
    keys = [
        {"key": "supportedfeatureprofiles", "readonly": True, "value": "Core,Reservation"},
        {"key": "AuthorizationKey", "readonly": False, "value": "0123456789abcdef"},
        {"key": "NumberOfConnectors", "readonly": True, "value": "9" * 5000},
        {"key": 7, "value": {}},
    ]

    told = asyncio.run(v16.ask_capabilities(Telling({"configurationKey": keys})))

    assert told["reservation"]
    assert told["configuration"] == {
        "SupportedFeatureProfiles": "Core,Reservation",
        "NumberOfConnectors": "9" * command_words.LONGEST_SETTING,
    }


def test_of_a_charger_s_variables_only_those_that_were_asked_for_are_kept():
    def told(component: str, variable: str, value: str | None) -> dict:
        names = {"component": {"name": component}, "variable": {"name": variable}}
        return {"attributeStatus": "Accepted", "attributeValue": value, **names}

    results = [
        told("ReservationCtrlr", "Available", "true"),
        told("ReservationCtrlr", "Enabled", None),
        told("SecurityCtrlr", "BasicAuthPassword", "secret"),
    ]

    kept = asyncio.run(v201.ask_capabilities(Telling({"getVariableResult": results})))

    assert (kept["reservation"], kept["variables"]) == (
        True,
        {"ReservationCtrlr.Available": "true", "ReservationCtrlr.Enabled": None},
    )


def test_a_password_among_settings_that_were_read_is_withheld():
    keys = [
        {"key": "AuthorizationKey", "value": "0123456789abcdef"},
        {"key": "HeartbeatInterval", "value": "60"},
    ]
    results = [
        {
            "attributeStatus": "Accepted",
            "attributeValue": "0123456789abcdef",
            "component": {"name": "SecurityCtrlr"},
            "variable": {"name": "BasicAuthPassword"},
        }
    ]

    texts = [
        v16.read_answer({"configurationKey": keys}, "get_configuration")[1],
        v201.read_answer({"getVariableResult": results}, "get_configuration")[1],
    ]

    assert "0123456789abcdef" not in "".join(texts)
    assert '"HeartbeatInterval": "60"' in texts[0]


def test_a_connection_that_ends_while_a_question_leaves_it_leaves_no_fault_behind():
    """The question fails by its own sending; that its answer will not come either is nobody's to hear."""
    left_behind: list[dict] = []

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: left_behind.append(context))
        wire = Wire(SimpleNamespace(send=lambda _: end(wire)), "1.6", {})  # type: ignore[arg-type]
        with pytest.raises(ConnectionEnded):
            await wire.call("ClearCache", {})

    async def end(wire: Wire) -> None:
        wire.close()
        raise ConnectionClosedError(None, None)

    asyncio.run(ask())
    gc.collect()

    assert not left_behind
