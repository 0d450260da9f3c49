"""Frames nobody would send, thousands of them: the gateway lives, answers what must be answered, and serves the others."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import random
import resource
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from _pytest.logging import LogCaptureHandler
from ocpp.exceptions import OCPPError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from depots.models import Charger
from depots.ocpp import schemas
from depots.ocpp.listeners import LARGEST_FRAME
from depots.queries import describe_charger
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import PASSWORD, QUICK, Bed, ScriptedCharger
from tests.scenarios.fuzz_frames import DIALECTS, Burst, FrameMaker, is_call

pytestmark = pytest.mark.usefixtures("gate")

FOUND = Path(__file__).parents[1] / "samples" / "ocpp" / "fuzz.json"
BURST = 40
LONGEST_WAIT_S = 120
# What the gateway says when it lets go of a charger that has left two of its calls unanswered, each for as long as it waits.
UNANSWERED, UNANSWERED_AFTER_S = "calls are not answered", 2 * QUICK.call_timeout_s
# Codes of OCPP-J 1.6 §4.2.3 and of OCPP 2.0.1 part 4 §4.3; what stands here could be read, so it is none of the frame's.
CODES = {
    "FormationViolation", "FormatViolation", "GenericError", "InternalError", "NotImplemented", "NotSupported",
    "OccurenceConstraintViolation", "PropertyConstraintViolation", "ProtocolError", "TypeConstraintViolation",
    "RpcFrameworkError", "MessageTypeNotSupported", "OccurrenceConstraintViolation", "SecurityError",
}  # fmt: skip
# What a failed answer of ours would be: a fault of the gateway's own.
OURS = "InternalError"


class LetGo(Exception):
    """The gateway has closed the connection, as it must."""


class Fuzzer:
    """One charger's connection that sends bursts and checks what comes back."""

    def __init__(self, socket: ClientConnection, protocol: str, answer: Any) -> None:
        self.socket, self.protocol, self._answer = socket, protocol, answer
        self.sent, self._came_at = 0, asyncio.get_running_loop().time()

    async def send(self, burst: Burst, name: str) -> None:
        """Raises AssertionError, which names the burst and the frame, or LetGo."""
        due = Counter(filter(None, map(is_call, burst.frames)))
        frames: dict[str, list[str | bytes]] = defaultdict(
            list
        )  # cut into a message, one may have another's id
        for frame in burst.frames:
            frames[is_call(frame)].append(frame)
        reader = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                for frame in burst.frames:
                    await self.socket.send(frame)
                await self.socket.send('[2,"the-end","Heartbeat",{}]')
                answers = await reader
        except Exception as fault:
            if self._is_let_go(fault, burst):
                raise LetGo from fault
            raise AssertionError(f"{name}: {fault!r} after {burst.frames!r:.5000}") from fault
        got = Counter(message[1] for message in answers if message[1] in due)
        # A frame that is no CALL any more may have kept its id; it is answered by that, and another one may have it, too.
        spare = Counter(
            id_ for id_ in due for frame in burst.frames if not is_call(frame) and _names(frame, id_)
        )
        assert not due - got, f"{name}: {due - got} of {[frames[id_] for id_ in due - got]!r}"
        assert not got - due - spare, f"{name}: {got - due - spare} too many"
        for message in answers:
            if message[1] in due:
                asked = frames[message[1]]
                actions = {json.loads(frame)[2] for frame in asked}
                self._check(message, actions, f"{name}: {asked!r:.3000} -> {message!r:.300}")
        self.sent += len(burst.frames)

    def _is_let_go(self, fault: Exception, burst: Burst) -> bool:
        """Some of the gateway's calls are answered to another id, which is no answer; and a frame may have grown too large."""
        closed = fault.rcvd if isinstance(fault, ConnectionClosed) else None
        if closed is not None and closed.code == CloseCode.MESSAGE_TOO_BIG:
            return any(_size(frame) > LARGEST_FRAME for frame in burst.frames)
        stayed_s = asyncio.get_running_loop().time() - self._came_at
        return closed is not None and closed.reason == UNANSWERED and stayed_s >= UNANSWERED_AFTER_S

    def _check(self, message: list[Any], actions: set[str], told: str) -> None:
        if message[0] == 4:
            assert message[2] in CODES - {OURS}, told
            return
        known = actions & set(DIALECTS[self.protocol].ANSWERS)
        faults = [fault for action in known if (fault := self._fault_of(action, message[2]))]
        assert len(faults) < len(known), f"{told}: {faults}"

    def _fault_of(self, action: str, answer: Any) -> OCPPError | None:
        try:
            schemas.check(DIALECTS[self.protocol].VERSION, action, answer, is_answer=True)
        except OCPPError as fault:
            return fault
        return None

    async def _read(self) -> list[list[Any]]:
        """The answers up to the one that must come last; what the gateway asks is answered in between."""
        answers = []
        while True:
            message = json.loads(await self.socket.recv())
            if message[0] == 2:
                await self.socket.send(self._answer(message))
            elif message[1] == "the-end":
                return answers
            else:
                answers.append(message)


def _names(frame: str | bytes, id_: str) -> bool:
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    return f'"{id_}"' in text


def _size(frame: str | bytes) -> int:
    return len(frame if isinstance(frame, bytes) else frame.encode(errors="surrogatepass"))


async def come(row: Charger, url: str, protocol: str) -> ClientConnection:
    credentials = base64.b64encode(f"{row.identity}:{PASSWORD}".encode()).decode()
    return await connect(
        f"{url}/{row.identity}",
        subprotocols=[protocol],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Basic {credentials}"},
        compression=None,
        max_size=None,
        ping_interval=None,  # a busy machine would have it hang up
    )


async def fuzz(row: Charger, url: str, protocol: str, seed: int, until: float) -> int:
    """How many frames were sent."""
    loop, number, sent = asyncio.get_running_loop(), 0, 0
    while loop.time() < until:
        name = f"{seed}:{protocol}:{number}"
        maker = FrameMaker(name, protocol)
        socket = await come(row, url, protocol)
        fuzzer = Fuzzer(socket, protocol, maker.answer)
        with suppress(LetGo):
            for _ in range(10):
                if loop.time() >= until:
                    break
                await fuzzer.send(maker.burst(BURST), name)
        await socket.close()
        number, sent = number + 1, sent + fuzzer.sent
    return sent


async def fuzz_all(
    rows: dict[str, Charger], bed: Bed, beside: ScriptedCharger, seed: int, seconds: float
) -> dict:
    """Three at once, one a version, while another charger is served all the time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    tasks = [
        asyncio.create_task(fuzz(row, bed.gateway.url, protocol, seed, until))
        for protocol, row in rows.items()
    ]
    slowest, busiest, beats, warm = 0.0, 0.0, 0, None
    faults: list[str] = []
    while not all(task.done() for task in tasks):
        began, began_busy = loop.time(), time.process_time()
        await beside.sim.heartbeat()
        slowest = max(slowest, loop.time() - began)
        busiest, beats = max(busiest, time.process_time() - began_busy), beats + 1
        await asyncio.wait(tasks, timeout=0.2, return_when=asyncio.FIRST_EXCEPTION)
        faults += _faults_logged()
        if warm is None and loop.time() > until - seconds * 0.6:
            warm = _memory_kb()
        if any(task.done() and task.exception() for task in tasks):
            break
    sent = await asyncio.gather(*tasks)
    return {
        "sent": sum(sent),
        "slowest_s": slowest,
        "busiest_s": busiest,
        "beats": beats,
        "grown_kb": _memory_kb() - (warm or 0),
        "faults": faults,
    }


def _faults_logged() -> list[str]:
    """What nobody caught. The test runner would keep all that is logged, as records with the frames of what was raised and once
    more as text, for as long as the test takes: more than the gateway could ever hold back."""
    keepers = [one for one in logging.getLogger().handlers if isinstance(one, LogCaptureHandler)]
    found = {
        record.getMessage()
        for keeper in keepers
        for record in keeper.records
        if record.levelno >= logging.ERROR
    }
    for keeper in keepers:
        keeper.clear()
    return [*found]


def _memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run_fuzz(bed: Bed, seconds: float) -> None:
    seed = int(os.environ.get("BERTH_FUZZ_SEED") or random.SystemRandom().randrange(10**9))
    print(f"BERTH_FUZZ_SEED={seed}")
    rows = {protocol: _row(bed) for protocol in DIALECTS}
    beside = bed.charger(make_charger(), "ocpp1.6")
    beside.come_online()
    tasks_before = bed.loop.run(_count_tasks())

    told = bed.loop.run(fuzz_all(rows, bed, beside, seed, seconds), timeout_s=seconds + 120)

    print(told)
    assert told["sent"] > 20 * min(seconds, 20)
    assert not told["faults"]
    assert told["busiest_s"] < 5, "others were kept waiting"
    assert told["slowest_s"] < 30, "others were kept waiting, even by a machine that does other things"
    assert told["grown_kb"] < 40_000, "it takes ever more memory"
    assert bed.loop.run(_count_tasks()) <= tasks_before + 15
    assert beside.is_connected
    for row in rows.values():
        row.refresh_from_db()
        assert describe_charger(row, now=NOW)


async def _count_tasks() -> int:
    await asyncio.sleep(0.2)  # connections that were closed come to their end
    return len(asyncio.all_tasks())


def _row(bed: Bed) -> Charger:
    row = make_charger()
    make_evse(charger=row)
    make_evse(charger=row)
    bed.charger(row)  # which gives it a password
    return row


def test_twenty_seconds_of_frames_nobody_would_send(bed: Bed):
    run_fuzz(bed, 20)


@pytest.mark.long
def test_half_an_hour_of_frames_nobody_would_send(bed: Bed):
    run_fuzz(bed, 30 * 60)


@pytest.mark.parametrize("case", json.loads(FOUND.read_text()), ids=lambda case: case["about"])
def test_what_was_found_before_is_answered_now(bed: Bed, case: dict[str, Any]):
    """`case`: {"about", "protocol", "frames": what was sent in one go}."""
    row = _row(bed)

    async def replay() -> None:
        socket = await come(row, bed.gateway.url, case["protocol"])
        fuzzer = Fuzzer(
            socket, case["protocol"], lambda asked: json.dumps([3, asked[1], {"status": "Accepted"}])
        )
        await fuzzer.send(Burst(case["frames"]), case["about"])
        with suppress(Exception):
            await socket.close()

    bed.loop.run(replay(), timeout_s=60)
