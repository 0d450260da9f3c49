"""Whoever issued a token is asked before it charges: waited for here, in no thread and in nobody's way (decision 116)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from depots.gate import OwnerMustBeAsked, OwnerQuestion, token_owners
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
    await _ask(connection, question)
    return await carry_out(False)


async def _ask(connection: ChargerConnection, question: OwnerQuestion) -> None:
    owners = token_owners()
    if owners is None:
        return
    try:
        async with asyncio.timeout(PATIENCE_S):
            await owners.ask(question, now=connection.now())
    except TimeoutError:
        logger.warning("Nobody answered in time for a token at %s", connection.identity)
    except Exception:
        logger.exception("Whoever issued a token at %s could not be asked", connection.identity)
