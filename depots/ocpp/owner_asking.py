"""Whoever issued a token is asked before it charges: waited for here, in no thread and in nobody's way (decisions 116, 131)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from depots import operations
from depots.gate import Authorization, OwnerHeard, OwnerMustBeAsked, OwnerQuestion, token_owners
from depots.ocpp.connection import ChargerConnection

logger = logging.getLogger(__name__)
T = TypeVar("T")

# A charger waits 30 s for an answer, and a driver less.
PATIENCE_S = 10


async def with_owner_asked(connection: ChargerConnection, carry_out: Callable[[bool], Awaitable[T]]) -> T:
    """The result of what is carried out, with True where an owner may have to be asked first. What is heard is found by the gate
    the second time, and so is that nothing was."""
    try:
        return await carry_out(True)
    except OwnerMustBeAsked as unheard:
        question = unheard.question
    heard = await _ask(connection, question)
    if heard is not None:
        await connection.do(operations.record_owner_word, heard=heard)
    return await carry_out(False)


async def authorized(connection: ChargerConnection, *, token_uid: str, token_type: str = "") -> Authorization:
    """Whether it may charge at this charger, by its owner's word where that has a say. What was found before the owner was asked
    is not looked up again, and what it said is written down when the charger has its answer."""
    now = connection.now()
    named = {"token_uid": token_uid, "token_type": token_type}
    try:
        found: Authorization = await connection.do(operations.authorize, **named, may_ask=True, now=now)
    except OwnerMustBeAsked as unheard:
        question, answer, whom = unheard.question, unheard.answer, unheard.whom
    else:
        return found
    heard = await _ask(connection, question, whom)
    if heard is None or heard.is_more_known or answer is None or answer.by_word is None:
        if heard is not None:
            await connection.do(operations.record_owner_word, heard=heard)
        found = await connection.do(operations.authorize, **named, now=now)
    else:
        found = answer.by_word(heard.word)
        connection.do_once_answered(operations.follow_authorize, heard=heard, token_uid=token_uid, now=now)
    return found


async def _ask(connection: ChargerConnection, question: OwnerQuestion, whom: Any = None) -> OwnerHeard | None:
    """None where it is not known what was heard, so that all is to be judged anew."""
    owners = token_owners()
    if owners is None:
        return None
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await owners.ask(question, whom, now=connection.now())
    except TimeoutError:
        logger.warning("Nobody answered in time for a token at %s", connection.identity)
    except Exception:
        logger.exception("Whoever issued a token at %s could not be asked", connection.identity)
    return None
