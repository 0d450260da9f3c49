"""A charger of nobody's make: a WebSocket that speaks OCPP frames, with answers as a test wants them."""

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.scenarios.outside.waiting import eventually

ANSWER_S = 30.0
CALL, RESULT, ERROR = 2, 3, 4
SILENCE: Any = object()

T = TypeVar("T")
Frame = list[Any]
Payload = dict[str, Any]


class Refused(Exception):
    """A CALLERROR: its code and description."""


def call_error(code: str, description: str = "") -> Frame:
    """What `Charger.answers` may name instead of a payload."""
    return [ERROR, code, description, {}]


class Charger:
    """Connects on `come`; answers what Berth asks by `answers[action]`: a payload, a function of the asked payload,
    `call_error(…)` or SILENCE. What was asked is in `asked`, as (action, payload), in order."""

    protocol = ""

    def __init__(self, gateway: str, identity: str, password: str) -> None:
        self._url = f"ws://{gateway}/ocpp/{quote(identity, safe='')}"
        self.identity, self._password = identity, password
        self.asked: list[tuple[str, Payload]] = []
        self.answers: dict[str, Any] = {}
        self._socket: ClientConnection | None = None
        self._ids = itertools.count(1)
        self._results: dict[str, Frame] = {}
        self._news = threading.Condition()

    # The line

    def come(self) -> "Charger":
        """Connect. Raises websockets' InvalidStatus where the door stays shut."""
        known = base64.b64encode(f"{self.identity}:{self._password}".encode()).decode()
        # As a context, which closes the line when it is left: `leave` does, and `drop` does not.
        self._line = connect(
            self._url,
            subprotocols=[Subprotocol(self.protocol)],
            additional_headers={"Authorization": f"Basic {known}"},
            compression=None,
            open_timeout=ANSWER_S,
            proxy=None,
        )
        self._socket = self._line.__enter__()
        assert self._socket.subprotocol == self.protocol
        threading.Thread(target=self._listen, args=(self._socket,), daemon=True).start()
        return self

    def come_back(self) -> "Charger":
        """Connect as soon as the door opens again."""

        def tries() -> bool:
            try:
                self.come()
            except (OSError, ConnectionClosed, EOFError):
                return False
            return True

        eventually(tries, of=f"a connection of {self.identity}")
        return self

    def drop(self) -> None:
        """Gone without a word, as when the power fails."""
        if self._socket:
            self._socket.socket.close()
            self._socket = None

    def leave(self) -> None:
        if self._socket:
            self._line.__exit__(None, None, None)
            self._socket = None

    def __enter__(self) -> "Charger":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def is_closed_by_berth(self) -> bool:
        return self._socket is not None and self._socket.protocol.state.name == "CLOSED"

    def _listen(self, line: ClientConnection) -> None:
        try:
            for text in line:
                self._take(json.loads(text), line)
        except (ConnectionClosed, OSError):
            pass
        with self._news:
            self._news.notify_all()

    def _take(self, frame: Frame, line: ClientConnection) -> None:
        if frame[0] == CALL:
            self._answer(frame, line)
        with self._news:
            if frame[0] == CALL:
                self.asked.append((frame[2], frame[3]))
            else:
                self._results[frame[1]] = frame
            self._news.notify_all()

    def _answer(self, frame: Frame, line: ClientConnection) -> None:
        _, call_id, action, payload = frame
        answer = self.answers.get(action, self.usually(action, payload))
        if callable(answer) and answer is not SILENCE:
            answer = answer(payload)
        if answer is SILENCE:
            return
        if isinstance(answer, list):
            line.send(json.dumps([ERROR, call_id, *answer[1:]]))
        else:
            line.send(json.dumps([RESULT, call_id, answer]))

    def usually(self, action: str, payload: Payload) -> Any:
        return {"status": "Accepted"}

    # Asking Berth

    def call(
        self, action: str, payload: Payload, *, call_id: str = "", within_s: float = ANSWER_S
    ) -> Payload:
        """Berth's answer. Raises Refused with the words of a CALLERROR."""
        assert self._socket, f"{self.identity} is not connected"
        call_id = call_id or f"{self.identity}-{next(self._ids)}-{time.monotonic_ns()}"
        self._socket.send(json.dumps([CALL, call_id, action, payload]))
        frame = self._wait(lambda: self._results.pop(call_id, None), f"answer to {action}", within_s)
        if frame[0] == ERROR:
            raise Refused(f"{frame[2]}: {frame[3]}")
        answer: Payload = frame[2]
        return answer

    def insist(self, action: str, payload: Payload, *, within_s: float = 60) -> Payload:
        """As a charger does with what must not be lost: the same message again until it is answered, on a new line if
        need be."""

        def tries() -> list[Payload] | None:
            try:
                return [self.call(action, payload, within_s=5)]
            except (Refused, AssertionError):
                return None
            except (OSError, ConnectionClosed):
                self.come_back()
                return None

        return eventually(tries, of=f"an answer to {action}", within_s=within_s)[0]

    def say(self, text: str) -> None:
        """Any words at all."""
        assert self._socket
        self._socket.send(text)

    # What Berth asked

    def asked_for(
        self,
        action: str,
        *,
        within_s: float = ANSWER_S,
        after: int = 0,
        where: Callable[[Payload], bool] = bool,
    ) -> Payload:
        """The payload of the first such CALL at or after place `after` of `asked`."""

        def find() -> Payload | None:
            found = (said for name, said in self.asked[after:] if name == action and where(said))
            return next(found, None)

        return self._wait(
            find, f"{action} at {self.identity}, which was asked {self.asked[after:]}", within_s
        )

    def all_asked(self, action: str) -> list[Payload]:
        return [payload for name, payload in self.asked if name == action]

    def mark(self) -> int:
        """The place in `asked` of what comes next."""
        return len(self.asked)

    def _wait(self, find: Callable[[], T | None], of: str, within_s: float = ANSWER_S) -> T:
        give_up_at = time.monotonic() + within_s
        with self._news:
            while (found := find()) is None:
                left = give_up_at - time.monotonic()
                assert left > 0, f"no {of} within {within_s} s"
                self._news.wait(left)
        return found


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Charger16(Charger):
    """A two-plug charger of OCPP 1.6."""

    protocol = "ocpp1.6"

    def usually(self, action: str, payload: Payload) -> Any:
        if action == "GetConfiguration":
            return {
                "configurationKey": [
                    {
                        "key": "SupportedFeatureProfiles",
                        "readonly": True,
                        "value": "Core,Reservation,SmartCharging,RemoteTrigger",
                    },
                    {"key": "NumberOfConnectors", "readonly": True, "value": "2"},
                ],
                "unknownKey": [],
            }
        return super().usually(action, payload)

    def boot(self) -> Payload:
        return self.call("BootNotification", {"chargePointVendor": "Outside", "chargePointModel": "One"})

    def all_free(self) -> None:
        for evse in (1, 2):
            self.status(evse, "Available")

    def status(self, evse: int, status: str, error: str = "NoError") -> None:
        told = {"connectorId": evse, "status": status, "errorCode": error, "timestamp": now()}
        self.call("StatusNotification", told)

    def may(self, token: str) -> bool:
        """Is this token let in at the reader?"""
        return self.authorize(token)["idTagInfo"]["status"] == "Accepted"

    def authorize(self, token: str) -> Payload:
        return self.call("Authorize", {"idTag": token})

    def start(self, evse: int, token: str, *, reservation: int | None = None, at: str = "") -> Payload:
        told = {"connectorId": evse, "idTag": token, "meterStart": 1000, "timestamp": at or now()}
        if reservation is not None:
            told["reservationId"] = reservation
        return self.call("StartTransaction", told)

    def stop(self, transaction: int, token: str, *, meter: int = 6000) -> Payload:
        told = {"transactionId": transaction, "idTag": token, "meterStop": meter, "timestamp": now()}
        return self.call("StopTransaction", told)

    # The whole of it, the same for every version

    def charge(self, evse: int, token: str, *, reservation: int | None = None) -> Callable[[], None]:
        """Start a transaction with this token; what is given back ends it."""
        self.status(evse, "Preparing")
        begun = self.start(evse, token, reservation=reservation)
        assert begun["idTagInfo"]["status"] == "Accepted", begun
        self.status(evse, "Charging")

        def end() -> None:
            self.stop(begun["transactionId"], token)
            self.status(evse, "Available")

        return end

    @staticmethod
    def reservation_of(asked: Payload) -> int:
        number: int = asked["reservationId"]
        return number


class Charger201(Charger):
    """A charging station of OCPP 2.0.1 with two EVSEs of one connector each."""

    protocol = "ocpp2.0.1"
    token_type = "ISO14443"

    def usually(self, action: str, payload: Payload) -> Any:
        if action == "GetVariables":
            return {
                "getVariableResult": [
                    {**asked, "attributeStatus": "Accepted", "attributeValue": self._variable(asked)}
                    for asked in payload["getVariableData"]
                ]
            }
        if action == "SetVariables":
            return {
                "setVariableResult": [
                    {
                        "attributeStatus": "Accepted",
                        "component": asked["component"],
                        "variable": asked["variable"],
                    }
                    for asked in payload["setVariableData"]
                ]
            }
        return super().usually(action, payload)

    @staticmethod
    def _variable(asked: Payload) -> str:
        known = {("ReservationCtrlr", "Available"): "true", ("ReservationCtrlr", "Enabled"): "true"}
        return known.get((asked["component"]["name"], asked["variable"]["name"]), "false")

    def boot(self) -> Payload:
        return self.call(
            "BootNotification",
            {"reason": "PowerUp", "chargingStation": {"vendorName": "Outside", "model": "Two"}},
        )

    def all_free(self) -> None:
        for evse in (1, 2):
            self.status(evse, "Available")

    def status(self, evse: int, status: str) -> None:
        self.call(
            "StatusNotification",
            {"timestamp": now(), "connectorStatus": status, "evseId": evse, "connectorId": 1},
        )

    def may(self, token: str) -> bool:
        return self.authorize(token)["idTokenInfo"]["status"] == "Accepted"

    def authorize(self, token: str) -> Payload:
        return self.call("Authorize", {"idToken": self._token(token)})

    def event(
        self, kind: str, transaction: str, number: int, evse: int, token: str = "", **more: Any
    ) -> Payload:
        told: Payload = {
            "eventType": kind,
            "timestamp": now(),
            "triggerReason": {
                "Started": "Authorized",
                "Updated": "MeterValuePeriodic",
                "Ended": "StopAuthorized",
            }[kind],
            "seqNo": number,
            "transactionInfo": {"transactionId": transaction},
            "evse": {"id": evse, "connectorId": 1},
            "meterValue": [
                {
                    "timestamp": now(),
                    "sampledValue": [
                        {"value": 1000.0 + 2500 * number, "measurand": "Energy.Active.Import.Register"}
                    ],
                }
            ],
            **more,
        }
        if token:
            told["idToken"] = self._token(token)
        return self.call("TransactionEvent", told)

    def charge(self, evse: int, token: str, *, reservation: int | None = None) -> Callable[[], None]:
        self.status(evse, "Occupied")
        transaction = f"T{time.monotonic_ns()}"
        more = {} if reservation is None else {"reservationId": reservation}
        begun = self.event("Started", transaction, 0, evse, token, **more)
        assert begun["idTokenInfo"]["status"] == "Accepted", begun

        def end() -> None:
            self.event("Updated", transaction, 1, evse)
            self.event("Ended", transaction, 2, evse, token)
            self.status(evse, "Available")

        return end

    def _token(self, token: str) -> Payload:
        return {"idToken": token, "type": self.token_type}

    @staticmethod
    def reservation_of(asked: Payload) -> int:
        number: int = asked["id"]
        return number


class Charger21(Charger201):
    """The same of OCPP 2.1."""

    protocol = "ocpp2.1"
