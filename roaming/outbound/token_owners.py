"""Partner networks are asked whether a token of theirs may charge, while a driver stands at the charger (decision 116).

It runs in the event loop of whoever has the charger; the database in two threads of its own. A network that stays silent is left
alone for a while, and never has more than a few questions open, so that it delays nobody but its own drivers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from django.db import connections
from django.utils import timezone

from bookings.models import OwnerAnswer
from bookings.operations import record_owner_answer
from bookings.rules.owner_checks import OwnerWord
from depots.gate import OwnerHeard, OwnerQuestion
from depots.token_numbers import is_same
from roaming import deviations, message_log
from roaming.mirror import network_tokens
from roaming.mirror.values import ToldAuthorization
from roaming.ocpi.auth import speaks_for
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Exchange, Http
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import Read, UnreadableError
from roaming.outbound.owner_calls import OwnerCall, calls_about, is_of_holder

logger = structlog.get_logger(__name__)
T = TypeVar("T")
Outcome = OwnerAnswer.Outcome

# All of it, connecting too; a charger's own limit is more (depots.ocpp.owner_asking).
ANSWERS_WITHIN_S = 8.0
OPEN_AT_ONCE = 20
THREADS = 2
# The line in the log is written when the charger has its answer, with those that came meanwhile.
LOGGED_AFTER_S = 0.5
# A network that was silent so often in a row is not waited for, for a while that doubles.
SILENT_IN_A_ROW = 3
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
UNKNOWN_TOKEN = 2004


@dataclass(frozen=True)
class _Heard:
    """What one network said to a call; `read` with the raw message where it said something about the token. `is_news`: it names
    the token, and otherwise than before."""

    call: OwnerCall
    outcome: str
    read: Read[ToldAuthorization] | None = None
    raw: Any = None
    is_news: bool = False

    @property
    def word(self) -> OwnerWord:
        if self.read is None:
            return OwnerWord(self.outcome)
        told = self.read.value
        owner_id = self.call.partner.organisation_id
        return OwnerWord(
            self.outcome, told.reference, told.evse_uids, owner_id, *self.call.party, info=told.info
        )


class PartnerNetworks:
    """Fulfils depots.gate.TokenOwners. One for a process."""

    def __init__(self, *, answers_within_s: float = ANSWERS_WITHIN_S) -> None:
        self._answers_within_s = answers_within_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="token owners")
        self._http: Http | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._said: list[Exchange] = []
        self._silence: dict[int, _Silence] = {}
        self._writing: asyncio.Task[None] | None = None

    def whom_to_ask(self, question: OwnerQuestion, *, now: datetime) -> Sequence[OwnerCall]:
        return calls_about(question, now=now)

    async def ask(
        self, question: OwnerQuestion, whom: Sequence[OwnerCall] | None = None, *, now: datetime
    ) -> OwnerHeard:
        """The word that counts (`_counting`); silence where nobody answered."""
        if whom is None:
            whom = await self._in_thread(partial(calls_about, question, now=now))
        heard = _counting(await self._words(whom, question), question)
        self._write_log_soon()
        if heard is None:
            word = OwnerWord(Outcome.SILENT)
            # Whose it is nobody knows, and nobody was asked: the next one may be.
            is_lasting = bool(whom or question.owner_ids or question.holders)
            return OwnerHeard(word, partial(_record_silence, question, word, now) if is_lasting else _nothing)
        word = heard.word
        return OwnerHeard(word, partial(_record, question, heard, word, now), is_more_known=heard.is_news)

    async def _words(self, calls: Sequence[OwnerCall], question: OwnerQuestion) -> list[_Heard]:
        """What they say, until that is enough."""
        words: list[_Heard] = []
        waiting = {asyncio.create_task(self._one(call)): call for call in calls}
        try:
            while waiting and not _is_enough(words, waiting.values(), question):
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in waiting if task.done()]:
                    heard = task.result()
                    words += [heard] if heard is not None else []
                    del waiting[task]
        finally:
            for task in waiting:
                task.cancel()
        return words

    async def _one(self, call: OwnerCall) -> _Heard | None:
        """None for silence."""
        silence = self._silence.setdefault(call.partner.pk, _Silence())
        if not silence.may_be_asked:
            return None
        silence.open += 1
        try:
            async with asyncio.timeout(self._answers_within_s):
                answer = await self._client().call(
                    call.peer, "POST", call.url, body=call.body, time_limit_s=self._answers_within_s
                )
            read = dialect_of(call.partner).tokens.read_authorization(answer.data)
        except Refused as refusal:
            silence.end()
            is_no_such = refusal.http_status == 404 and not refusal.is_behind_hub
            is_unknown = is_no_such or refusal.status_code == UNKNOWN_TOKEN
            return _Heard(call, Outcome.UNKNOWN) if is_unknown else None
        except (CallFailed, TimeoutError, UnreadableError) as failure:
            silence.count()
            logger.warning(
                "a network does not say whether a token may charge",
                partner=call.partner.pk,
                error=str(failure) or "no answer in time",
            )
            return None
        finally:
            silence.open -= 1
        silence.end()
        is_news = read.value.token is not None and answer.data["token"] != call.told_before()
        return _Heard(call, read.value.outcome, read, answer.data, is_news)

    def _client(self) -> Http:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            self._http, self._loop = Http(self._said.append), loop
        return self._http

    def _write_log_soon(self) -> None:
        """After the answer, which it would hold up."""
        if self._writing is not None and not self._writing.done():
            return

        async def write() -> None:
            while self._said:
                await asyncio.sleep(LOGGED_AFTER_S)
                said, self._said[:] = list(self._said), []
                with suppress(Exception):  # the log is for people
                    await self._in_thread(partial(message_log.record, said, now=timezone.now()))
            self._writing = None

        self._writing = asyncio.create_task(write())

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def run() -> T:
            try:
                return work()
            finally:
                connections.close_all()

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


class _Silence:
    """How a network has answered lately, in this process."""

    def __init__(self) -> None:
        self.open = 0
        self._in_a_row = 0
        self._until = 0.0

    @property
    def may_be_asked(self) -> bool:
        return self.open < OPEN_AT_ONCE and asyncio.get_running_loop().time() >= self._until

    def count(self) -> None:
        self._in_a_row += 1
        over = self._in_a_row - SILENT_IN_A_ROW
        if over >= 0:
            pause_s = min(FIRST_PAUSE_S * 2 ** min(over, 10), LONGEST_PAUSE_S)
            self._until = asyncio.get_running_loop().time() + pause_s

    def end(self) -> None:
        self._in_a_row, self._until = 0, 0.0


def _is_enough(words: Sequence[_Heard], waiting: Collection[OwnerCall], question: OwnerQuestion) -> bool:
    """A yes, but for one that opens no booking while its holder may still say one that does."""
    if any(heard.word.opens(question.references) for heard in words):
        return True
    is_yes = any(heard.outcome == Outcome.ALLOWED for heard in words)
    return is_yes and not any(is_of_holder(call, question) for call in waiting)


def _counting(words: Sequence[_Heard], question: OwnerQuestion) -> _Heard | None:
    """A yes that opens a booking, else the first yes, else the first word of who knows it. None for silence, and that is as well
    where a booking's holder said nothing and nobody else knows it."""
    ranked = sorted(words, key=lambda heard: _rank(heard, question))
    if not ranked or ranked[0].outcome != Outcome.UNKNOWN:
        return next(iter(ranked), None)
    spoken = {holder for heard in words for holder in heard.call.holders}
    return ranked[0] if spoken.issuperset(question.holders) else None


def _rank(heard: _Heard, question: OwnerQuestion) -> int:
    if heard.word.opens(question.references):
        return 0
    return {Outcome.ALLOWED: 1, Outcome.UNKNOWN: 3}.get(Outcome(heard.outcome), 2)


def _record(question: OwnerQuestion, heard: _Heard, word: OwnerWord, now: datetime) -> None:
    """The answer, and the token it names where that is another than before."""
    if heard.read is not None:
        deviations.count(heard.call.partner, heard.read.deviations)
        if heard.is_news:
            _learn(heard, question, now)
    record_owner_answer(question=question, word=word, now=now)


def _record_silence(question: OwnerQuestion, word: OwnerWord, now: datetime) -> None:
    record_owner_answer(question=question, word=word, now=now)


def _nothing() -> None:
    """Nobody was asked."""


def _learn(heard: _Heard, question: OwnerQuestion, now: datetime) -> None:
    told = heard.read.value.token if heard.read is not None else None
    if told is None or not speaks_for(heard.call.partner, told.country_code, told.party_id, "EMSP"):
        return
    if is_same(told.uid, told.type, question.token_uid, question.token_type):
        network_tokens.keep_all(heard.call.partner, [(told, heard.raw["token"])], now=now)
