"""LISTEN: hearing what other processes tell, on a connection of one's own that is made again whenever it is lost.

Who listens also relays: it turns committed notices (depots.notices) into notifications, those of other channels too, so
that none lies there while any process listens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NoReturn

import psycopg
from django.db import DatabaseError, connections
from psycopg import sql

from depots.notices import WAKE_CHANNEL, Relay

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
# A connection that died without a word is found out by the operating system.
_KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}


async def listen(
    channel: str,
    *,
    on_notice: Callable[[str], None],
    on_listening: Callable[[], None] = lambda: None,
    on_lost: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Call `on_notice` with the payload of each notification on `channel`, until cancelled.

    `on_listening` is called when listening has begun, each time anew: what was notified before then was not heard, so
    this is the moment to look for it. `on_lost` is called when nothing is heard any more. The connection is outside
    Django's pool, in autocommit, since a listener in a transaction hears nothing.
    """
    # Not stamina: it counts attempts up to a success, and here success is what lasts and may be lost at any time.
    pause_s = FIRST_PAUSE_S
    while True:
        is_listening = False
        try:
            async with await _connect(f"berth listening to {channel}") as connection:
                for name in (channel, WAKE_CHANNEL):
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)))
                is_listening, pause_s = True, FIRST_PAUSE_S
                on_listening()
                await _pass_on(connection, on_notice)
        except (psycopg.Error, DatabaseError, OSError) as lost:
            logger.warning("Nothing is heard on %s, listening again", channel, extra={"error": str(lost)})
        except Exception:
            logger.exception("A notification on %s could not be taken, listening again", channel)
        if is_listening:
            on_lost()
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def _pass_on(connection: psycopg.AsyncConnection[Any], on_notice: Callable[[str], None]) -> NoReturn:
    relay = Relay(connection)
    while True:
        async for notice in connection.notifies(timeout=relay.due_in_s, stop_after=1):
            if notice.channel == WAKE_CHANNEL:
                relay.wake()
            else:
                on_notice(notice.payload)
        if not relay.due_in_s:
            await relay.look()


async def _connect(name: str) -> psycopg.AsyncConnection[Any]:
    # In a thread: asking starts an embedded server that was killed.
    parameters = await asyncio.to_thread(_connection_parameters)
    return await psycopg.AsyncConnection.connect(**parameters, application_name=name, autocommit=True)


def _connection_parameters() -> dict[str, Any]:
    """Where Django's default database is, without what only Django's own connections use."""
    parameters = connections["default"].get_connection_params()
    of_django = {"cursor_factory", "context", "prepare_threshold", "pool", "application_name"}
    return {**_KEEPALIVES, **{name: value for name, value in parameters.items() if name not in of_django}}
