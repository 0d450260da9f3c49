"""Partner networks are asked whether a token of theirs may charge, while a driver stands at the charger (decision 116).

It runs in the event loop of whoever has the charger; the database in two threads of its own. A network that stays silent is left
alone for a while, and never has more than a few questions open, so that it delays nobody but its own drivers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connections
from django.db.models import OuterRef, Q
from django.utils import timezone

from bookings.models import OwnerAnswer, Token
from bookings.operations import OwnerWord, record_owner_answer
from depots.gate import OwnerQuestion
from depots.models import Agreement, Charger, Depot, Evse, Organisation
from depots.token_numbers import TokenKind, is_same, spellings
from roaming import deviations, message_log, registration
from roaming.mirror import network_tokens
from roaming.mirror.values import ToldAuthorization
from roaming.models import Partner
from roaming.ocpi.auth import speaks_for
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Exchange, Http, Party, Peer
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import Read, UnreadableError
from roaming.outbound.pushes import party_of
from roaming.published import owner_of
from roaming.published_tokens import TokenPlace
from roaming.switches import switch

logger = structlog.get_logger(__name__)
T = TypeVar("T")
Outcome = OwnerAnswer.Outcome

# All of it, connecting too; a charger's own limit is more (depots.ocpp.owner_asking).
ANSWERS_WITHIN_S = 8.0
# Of those that may know an unknown card.
MOST_ASKED = 5
OPEN_AT_ONCE = 20
THREADS = 2
# The line in the log is written when the charger has its answer, with those that came meanwhile.
LOGGED_AFTER_S = 0.5
# A network that was silent so often in a row is not waited for, for a while that doubles.
SILENT_IN_A_ROW = 3
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
# Kinds that are known by their network's word alone, in the moment it starts a session: nobody is asked about them.
NEVER_ASKED = frozenset({TokenKind.APP_USER, TokenKind.AD_HOC_USER})
UNKNOWN_TOKEN = 2004


@dataclass(frozen=True)
class _Call:
    """One network to ask: where, as whom, and which token it is there. `told` is the token as it told it before."""

    partner: Partner
    peer: Peer
    url: str
    body: dict[str, Any]
    told: Any


@dataclass(frozen=True)
class _Heard:
    """What one network said; `read` with the raw message where it said something about the token. `is_news`: it names the token,
    and otherwise than before."""

    partner: Partner
    outcome: str
    read: Read[ToldAuthorization] | None = None
    raw: Any = None
    is_news: bool = False


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

    async def ask(self, question: OwnerQuestion, *, now: datetime) -> bool:
        """Write down what was heard, the first yes or else the first word; silence where nobody answered. Whether the token
        itself is another than before."""
        calls = await self._in_thread(partial(_calls_about, question, now))
        if not calls:
            if question.owner_ids:
                await self._in_thread(partial(_record, question, None, Outcome.SILENT, now))
            return False
        heard = await self._first_word(calls)
        outcome = heard.outcome if heard is not None else Outcome.SILENT
        await self._in_thread(partial(_record, question, heard, outcome, now))
        self._write_log_soon()
        return heard is not None and heard.is_news

    async def _first_word(self, calls: Sequence[_Call]) -> _Heard | None:
        words: list[_Heard] = []
        tasks = [asyncio.create_task(self._one(call)) for call in calls]
        try:
            for next_one in asyncio.as_completed(tasks):
                heard = await next_one
                if heard is not None and heard.outcome == Outcome.ALLOWED:
                    return heard
                words += [heard] if heard is not None else []
        finally:
            for task in tasks:
                task.cancel()
        known = [heard for heard in words if heard.outcome != Outcome.UNKNOWN]
        return next(iter([*known, *words]), None)

    async def _one(self, call: _Call) -> _Heard | None:
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
            is_unknown = refusal.status_code == UNKNOWN_TOKEN or refusal.http_status == 404
            return _Heard(call.partner, Outcome.UNKNOWN) if is_unknown else None
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
        is_news = read.value.token is not None and answer.data["token"] != call.told
        return _Heard(call.partner, read.value.outcome, read, answer.data, is_news)

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


def _calls_about(question: OwnerQuestion, now: datetime) -> list[_Call]:
    charger, place = _where(question)
    if question.owner_ids:
        found = _owners(question, now)
    else:
        token = _as_read(question)
        found = [(p, token) for p in _may_know(charger.depot, now)] if token.type not in NEVER_ASKED else []
    calls = [_call(partner, token, place, charger.depot) for partner, token in found]
    return [call for call in calls if call.url]


def _where(question: OwnerQuestion) -> tuple[Charger, TokenPlace]:
    """One query."""
    evses = Evse.objects.filter(charger=OuterRef("pk")).order_by("number")
    if question.evse_id is not None:
        evses = evses.filter(pk=question.evse_id)
    rows = Charger.objects.select_related("depot__operator").annotate(uids=ArraySubquery(evses.values("uid")))
    charger = rows.get(pk=question.charger_id)
    return charger, TokenPlace(charger.depot.location_id, tuple(charger.uids))


def _owners(question: OwnerQuestion, now: datetime) -> list[tuple[Partner, Token]]:
    """Those of its owners that can be asked, with the token as each names it: of several copies one that works. One query."""
    uid, kind = question.token_uid, question.token_type
    rows = Token.objects.filter(
        Q(fleet__partner__closed_until__isnull=True) | Q(fleet__partner__closed_until__lte=now),
        fleet__in=question.owner_ids,
        fleet__partner__state=Partner.State.REGISTERED,
        uid__card__in=spellings(uid, kind),
        told__isnull=False,
    ).select_related("fleet__partner")
    same = [token for token in rows if is_same(token.uid, token.type, uid, kind)]
    same.sort(key=lambda token: (not token.is_blocked, -token.pk))
    found: dict[int, tuple[Partner, Token]] = {}
    for token in same:
        found[token.fleet_id] = (token.fleet.partner, token)
    return [found[owner] for owner in sorted(found, key=lambda owner: found[owner][0].pk)]


def _reachable(now: datetime) -> Any:
    rows = Partner.objects.filter(state=Partner.State.REGISTERED).select_related("organisation")
    return rows.filter(Q(closed_until__isnull=True) | Q(closed_until__lte=now)).order_by("pk")


def _may_know(depot: Depot, now: datetime) -> list[Partner]:
    """Networks that the depot is open to and that keep their tokens to themselves, or want to be asked about others."""
    guests = Agreement.objects.in_force(now).filter(depot=depot).values_list("guest", flat=True)
    rows = _reachable(now).filter(roles__contains=[{"role": "EMSP"}])
    if None not in (admitted := set(guests)):
        rows = rows.filter(organisation__in=admitted)
    wanted = [
        p
        for p in rows
        if p.endpoint("tokens", "SENDER") and switch(p, "asked_about_unknown_tokens") != "never"
    ]
    telling = set(
        Token.objects.filter(fleet__in=[p.organisation_id for p in wanted], told__isnull=False)
        .values_list("fleet", flat=True)
        .distinct()
    )
    asked = [
        p
        for p in wanted
        if switch(p, "asked_about_unknown_tokens") == "always" or p.organisation_id not in telling
    ]
    return asked[:MOST_ASKED]


def _as_read(question: OwnerQuestion) -> Token:
    kind = question.token_type if question.token_type in set(TokenKind) else TokenKind.RFID
    return Token(uid=question.number, type=kind)


def _call(partner: Partner, token: Token, place: TokenPlace, depot: Depot) -> _Call:
    dialect = dialect_of(partner)
    to_party: Party = (token.country_code, token.party_id) if token.party_id else party_of(partner, "EMSP")
    peer = registration.peer_of(partner, owner_of(depot), to_party if all(to_party) else None)
    url = dialect.tokens.authorize_url(partner, token.uid, token.type)
    return _Call(partner, peer, url, dialect.tokens.write_place(place), token.told)


def _record(question: OwnerQuestion, heard: _Heard | None, outcome: str, now: datetime) -> None:
    """The answer, and the token it names where nobody here knew it."""
    told = heard.read.value if heard is not None and heard.read is not None else None
    if heard is not None and heard.read is not None:
        deviations.count(heard.partner, heard.read.deviations)
        if heard.is_news:
            _learn(heard, question, now)
    word = (
        OwnerWord(outcome) if told is None else OwnerWord(outcome, told.reference, told.evse_uids, told.info)
    )
    owner: Organisation | None = (
        heard.partner.organisation if told is not None and heard is not None else None
    )
    record_owner_answer(question=question, word=word, owner=owner, now=now)


def _learn(heard: _Heard, question: OwnerQuestion, now: datetime) -> None:
    told = heard.read.value.token if heard.read is not None else None
    if told is None or not speaks_for(heard.partner, told.country_code, told.party_id, "EMSP"):
        return
    if is_same(told.uid, told.type, question.token_uid, question.token_type):
        network_tokens.keep_all(heard.partner, [(told, heard.raw["token"])], now=now)
