"""Who comes in: asked of every connection before it is upgraded.

A stranger learns nothing and stops nobody: who shows that it is the charger is let in however many failed before, and all
others are answered alike, whether there is such a charger or not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from weakref import WeakKeyDictionary

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from depots.client_address import client_network
from depots.models import RefusedConnection
from depots.ocpp import credentials
from depots.ocpp.credentials import KnownCharger, Password
from depots.ocpp.database import Database
from depots.ocpp.limits import Limit
from depots.ocpp.refused_connection_buffer import RefusedConnectionBuffer
from depots.ocpp.security_profiles import Shown, ShownCertificate, refusal
from depots.operations.charger_certificates import accept_certificate
from depots.operations.charger_passwords import promote_password
from depots.operations.refused_connections import Refusal
from depots.operations.security_raise import take_shown_profile

logger = logging.getLogger(__name__)

Reason = RefusedConnection.Reason
LONGEST_PASSWORD = 200
# As many wrong passwords for one identity from one address are answered one by one within a minute.
MOST_FAILURES = 10
# Of an address that failed as often within a minute nobody is looked at while as many ask at once. Behind one address may
# stand thousands of chargers that are right: as long as there is room all of them are let in.
MOST_FAILURES_OF_ADDRESS = 1000
MOST_AT_ONCE = 200
# Connections of one charger. One that comes back more often does not stay for anything.
RETURNS_PER_MINUTE = 30


class Admission:
    """`admit` answers what is refused; `charger_of` is whose connection an admitted one is."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        after_commit: Callable[[str], None],
        *,
        returns_per_minute: int = RETURNS_PER_MINUTE,
    ) -> None:
        self._clock = clock
        # Passwords of strangers are checked as often as they try: they wait for each other.
        self._database = Database(after_commit, threads=1, batch_threads=1)
        self._failures = Limit(clock, MOST_FAILURES)
        self._failures_of_address = Limit(clock, MOST_FAILURES_OF_ADDRESS)
        self._returns = Limit(clock, returns_per_minute)
        self._asking = 0
        self._refusals = RefusedConnectionBuffer(self._database)
        self._admitted: WeakKeyDictionary[ServerConnection, KnownCharger] = WeakKeyDictionary()

    async def admit(self, websocket: ServerConnection, request: Request) -> Response | None:
        self._asking += 1
        try:
            return await self._admit(websocket, request)
        finally:
            self._asking -= 1

    async def _admit(self, websocket: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return websocket.respond(200, "ok\n")
        identity = credentials.identity_in(request.path)
        if identity is None:
            return credentials.no_charger(websocket)
        address = credentials.address_of(websocket, request)
        if self._asking > MOST_AT_ONCE and self._failures_of_address.is_exceeded(client_network(address)):
            return credentials.too_often(websocket)
        charger = await self._find_known(identity)
        shown = await self._shown(websocket, request, identity, charger)
        reason = refusal(shown, charger.security_profile) if charger else Reason.UNKNOWN
        if charger is None or reason:
            return self._refuse(websocket, request, identity, address, shown, Reason(reason))
        if self._returns.is_exceeded(charger.pk):
            self._note(request, identity, address, shown, Reason.TOO_OFTEN)
            return credentials.too_often(websocket, Reason.TOO_OFTEN.label)
        self._returns.note(charger.pk)
        await self._keep_password(request, charger, shown.password)
        if charger.next_security_profile is not None:
            await self._database.run(
                take_shown_profile, charger_id=charger.pk, shown=shown.profile, now=self._clock()
            )
        if not shown.profile:
            logger.warning(
                "CHARGER %s IS LET IN WITHOUT ANY PROOF: its security profile is 0.", charger.identity
            )
        self._admitted[websocket] = charger
        return None

    def charger_of(self, websocket: ServerConnection) -> KnownCharger:
        return self._admitted[websocket]

    async def flush(self) -> None:
        """Write down who was refused."""
        await self._refusals.flush()

    def close(self) -> None:
        self._database.close()

    async def _find_known(self, identity: str) -> KnownCharger | None:
        is_done, charger = await self._database.run_together(credentials.find_known, identity=identity)
        return charger if is_done else await self._database.run(credentials.find_known, identity)

    async def _shown(
        self, websocket: ServerConnection, request: Request, identity: str, charger: KnownCharger | None
    ) -> Shown:
        return Shown(
            password=credentials.shown_password(request, identity, charger),
            is_encrypted=credentials.is_encrypted(websocket, request),
            certificate=await self._judge_certificate(websocket, request, identity, charger),
            protocols=credentials.offered_protocols(request),
        )

    async def _keep_password(self, request: Request, charger: KnownCharger, shown: Password) -> None:
        """Of two that are valid the one it has come with stays; of two storage keys the newer."""
        _, password = credentials.basic_credentials(request)
        if shown == Password.NEXT:
            await self._database.run(
                promote_password,
                charger_id=charger.pk,
                was_next=charger.next_password_hash,
                password=password,
                now=self._clock(),
            )
        elif shown == Password.CURRENT and credentials.is_under_older_key(charger):
            await self._database.run(credentials.rotate_password, request, charger)

    async def _judge_certificate(
        self, websocket: ServerConnection, request: Request, identity: str, charger: KnownCharger | None
    ) -> ShownCertificate | None:
        certificate = credentials.client_certificate(websocket, request)
        if certificate is None:
            return None
        if charger is None or not certificate.names(identity):
            return ShownCertificate(Reason.OTHER_NAME)
        fault: str = await self._database.run(
            accept_certificate, charger_id=charger.pk, certificate=certificate, now=self._clock()
        )
        return ShownCertificate(Reason(fault) if fault else None)

    def _refuse(
        self,
        websocket: ServerConnection,
        request: Request,
        identity: str,
        address: str,
        shown: Shown,
        reason: Reason,
    ) -> Response:
        network = client_network(address)
        key = (identity.casefold(), network)
        if not shown.is_the_charger and self._failures.is_exceeded(key):
            return credentials.too_often(websocket)
        self._note(request, identity, address, shown, reason)
        if shown.is_the_charger:
            return credentials.profile_too_low(websocket, reason.label)
        self._failures.note(key)
        self._failures_of_address.note(network)
        return credentials.wrong_password(websocket)

    def _note(self, request: Request, identity: str, address: str, shown: Shown, reason: Reason) -> None:
        if self._refusals.keep(self._told(request, identity, address, shown, reason)):
            logger.warning("Charger %r is refused, from %s: %s", identity, address, reason.label)

    def _told(self, request: Request, identity: str, address: str, shown: Shown, reason: Reason) -> Refusal:
        """What it tried is kept as a hash: who turns out to be a charger need not be given another password."""
        user, password = credentials.basic_credentials(request)
        is_tried = bool(password) and user.casefold() == identity.casefold() and not shown.has_password
        now, protocols = self._clock(), ",".join(shown.protocols)[:100]
        tried = password[:LONGEST_PASSWORD] if is_tried else b""
        return Refusal(identity, address[:45], protocols, reason, tried, 1, now, now)
