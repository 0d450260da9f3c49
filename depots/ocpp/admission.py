"""Who comes in: asked of every connection before it is upgraded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from weakref import WeakKeyDictionary

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from depots.ocpp import credentials
from depots.ocpp.credentials import KnownCharger
from depots.ocpp.database import Database

logger = logging.getLogger(__name__)


class Admission:
    """`admit` answers what is refused; `charger_of` is whose connection an admitted one is."""

    def __init__(self, clock: Callable[[], datetime], after_commit: Callable[[str], None]) -> None:
        # Passwords of strangers are checked as often as they try: they wait for each other.
        self._database = Database(after_commit, threads=1, batch_threads=1)
        self._throttle = credentials.Throttle(clock)
        self._admitted: WeakKeyDictionary[ServerConnection, KnownCharger] = WeakKeyDictionary()

    async def admit(self, websocket: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return websocket.respond(200, "ok\n")
        identity = credentials.identity_in(request.path)
        if identity is None:
            return credentials.no_charger(websocket)
        charger = await self._find_known(identity)
        if credentials.has_password(request, identity, charger) and charger is not None:
            if credentials.is_under_older_key(charger):
                await self._database.run(credentials.rotate_password, request, charger)
            self._admitted[websocket] = charger
            return None
        address = credentials.address_of(websocket, request)
        if self._throttle.is_exceeded(identity.casefold(), address):
            return credentials.too_many_failures(websocket)
        self._throttle.note_failure(identity.casefold(), address)
        fault = "Wrong password for" if charger else "There is no"
        logger.warning("%s charger %r, tried from %s", fault, identity, address)
        return credentials.wrong_password(websocket)

    def charger_of(self, websocket: ServerConnection) -> KnownCharger:
        return self._admitted[websocket]

    def close(self) -> None:
        self._database.close()

    async def _find_known(self, identity: str) -> KnownCharger | None:
        is_done, charger = await self._database.run_together(credentials.find_known, identity=identity)
        return charger if is_done else await self._database.run(credentials.find_known, identity)
