"""`python -m benchmarks.bare_csms [--answers-only]`: the least a CSMS can do on the `ocpp` library, to compare the gateway with.

It checks the password as ours is kept and writes the rows that ours writes (lease, boot, status of an EVSE, meter values
of a running session), each with plain statements of its own on an asynchronous pool, before it answers; with
`--answers-only` it writes nothing once a charger is there. It knows no bookings, keeps no log, takes no care of clocks,
older sockets, or messages that are not as they should be. Messages are checked by the compiled validators that the gateway
uses, and keys are converted once, as anybody does who has profiled that library.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jsonschema_rs
import ocpp.charge_point
import ocpp.messages
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call_result as results16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call_result as results201
from psycopg_pool import AsyncConnectionPool
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

FIND = "SELECT id, password_salt, password_hash FROM depots_charger WHERE upper(identity) = upper(%s)"
LEASE = """UPDATE depots_charger SET lease_holder = %s, lease_until = %s, spoken_protocol = %s, connected_at = %s,
           last_seen_at = %s WHERE id = %s"""
BOOT = """UPDATE depots_charger SET vendor = %s, model = %s, serial_number = %s, firmware_version = %s, booted_at = %s,
          measured = '{}' WHERE id = %s"""
STATUS = """UPDATE depots_evse SET status = %s, told_status = %s, error_code = '', status_at = %s,
            status_received_at = %s, updated_at = %s WHERE charger_id = %s AND number = %s"""
# One statement to the reading and the session's figures, as somebody writes it who counts round trips.
SAMPLE = """WITH session AS (
               UPDATE depots_chargingsession SET meter_last_wh = %s, power_w = %s, soc_percent = %s
               WHERE charger_id = %s AND transaction = %s RETURNING id
            )
            INSERT INTO depots_meterreading (session_id, at, energy_wh, power_w, soc_percent)
            SELECT id, %s, %s, %s, %s FROM session ON CONFLICT DO NOTHING"""


class BareServer:
    def __init__(self, pool: AsyncConnectionPool, key: bytes, *, stores: bool = True) -> None:
        self.pool = pool
        self.stores = stores
        self._key = key
        self._admitted: dict[ServerConnection, int] = {}

    async def admit(self, websocket: ServerConnection, request: Request) -> Response | None:
        identity = request.path.rpartition("/")[2]
        user, _, password = (
            base64.b64decode(request.headers["Authorization"].split()[1]).decode().partition(":")
        )
        async with self.pool.connection() as connection:
            row = await (await connection.execute(FIND, [identity])).fetchone()
        if row is not None and user == identity:
            charger_id, salt, hashed = row
            made = hmac.new(self._key, f"{salt}:{password}".encode(), hashlib.sha256).hexdigest()
            if hmac.compare_digest(made, hashed):
                self._admitted[websocket] = charger_id
                return None
        return websocket.respond(401, "")

    async def serve(self, websocket: ServerConnection) -> None:
        protocol, charger_id = str(websocket.subprotocol), self._admitted.pop(websocket)
        now = datetime.now(UTC)
        await self.write(
            LEASE, [str(id(websocket)), now + timedelta(seconds=45), protocol, now, now, charger_id]
        )
        kind = Bare201 if protocol == "ocpp2.0.1" else Bare16
        with suppress(ConnectionClosed):
            await kind(str(charger_id), websocket, charger_id, self).start()

    async def write(self, statement: str, values: Sequence[Any]) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(statement.encode(), values)

    async def boot(self, charger_id: int, *told: str) -> str:
        now = datetime.now(UTC)
        await self.write(BOOT, [*told, now, charger_id])
        return now.isoformat()

    async def status(self, charger_id: int, evse: int, status: str, told_at: str) -> None:
        if not self.stores:
            return
        now = datetime.now(UTC)
        await self.write(
            STATUS,
            [status.lower(), status.lower(), datetime.fromisoformat(told_at), now, now, charger_id, evse],
        )

    async def samples(self, charger_id: int, transaction: str, meter_values: list[dict[str, Any]]) -> None:
        if not self.stores:
            return
        for told in meter_values:
            values = {
                each.get("measurand", "Energy.Active.Import.Register"): each["value"]
                for each in told["sampled_value"]
            }
            figures = [
                int(values["Energy.Active.Import.Register"]),
                int(values["Power.Active.Import"]),
                float(values["SoC"]),
            ]
            at = datetime.fromisoformat(told["timestamp"])
            await self.write(SAMPLE, [*figures, charger_id, transaction, at, *figures])


class Bare16(ChargePoint16):
    def __init__(self, identity: str, websocket: Any, charger_id: int, server: BareServer) -> None:
        super().__init__(identity, websocket)
        self._charger_id, self._server = charger_id, server

    @on("BootNotification")
    async def on_boot(
        self,
        charge_point_vendor: str,
        charge_point_model: str,
        charge_point_serial_number: str = "",
        firmware_version: str = "",
        **_: Any,
    ) -> Any:
        told = charge_point_vendor, charge_point_model, charge_point_serial_number, firmware_version
        now = await self._server.boot(self._charger_id, *told)
        return results16.BootNotification(current_time=now, interval=60, status="Accepted")  # type: ignore[arg-type]

    @on("StatusNotification")
    async def on_status(self, connector_id: int, status: str, timestamp: str = "", **_: Any) -> Any:
        await self._server.status(self._charger_id, connector_id, status, timestamp)
        return results16.StatusNotification()

    @on("MeterValues")
    async def on_meter_values(
        self,
        connector_id: int,
        meter_value: list[dict[str, Any]],
        transaction_id: int | None = None,
        **_: Any,
    ) -> Any:
        if transaction_id is not None:
            await self._server.samples(self._charger_id, str(transaction_id), meter_value)
        return results16.MeterValues()

    @on("Heartbeat")
    async def on_heartbeat(self) -> Any:
        return results16.Heartbeat(current_time=datetime.now(UTC).isoformat())


class Bare201(ChargePoint201):
    def __init__(self, identity: str, websocket: Any, charger_id: int, server: BareServer) -> None:
        super().__init__(identity, websocket)
        self._charger_id, self._server = charger_id, server

    @on("BootNotification")
    async def on_boot(self, charging_station: dict[str, Any], reason: str, **_: Any) -> Any:
        told = (
            charging_station.get(name, "")
            for name in ("vendor_name", "model", "serial_number", "firmware_version")
        )
        now = await self._server.boot(self._charger_id, *told)
        return results201.BootNotification(current_time=now, interval=60, status="Accepted")  # type: ignore[arg-type]

    @on("StatusNotification")
    async def on_status(self, timestamp: str, connector_status: str, evse_id: int, **_: Any) -> Any:
        await self._server.status(self._charger_id, evse_id, connector_status, timestamp)
        return results201.StatusNotification()

    @on("MeterValues")
    async def on_meter_values(self, evse_id: int, meter_value: list[dict[str, Any]], **_: Any) -> Any:
        return results201.MeterValues()

    @on("TransactionEvent")
    async def on_transaction_event(
        self, transaction_info: dict[str, Any], meter_value: Sequence[dict[str, Any]] = (), **_: Any
    ) -> Any:
        await self._server.samples(self._charger_id, transaction_info["transaction_id"], list(meter_value))
        return results201.TransactionEvent()

    @on("Heartbeat")
    async def on_heartbeat(self) -> Any:
        return results201.Heartbeat(current_time=datetime.now(UTC).isoformat())


def _select(websocket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol:
    return offered[0]


class FastValidator:
    """Says yes at once, and no with the package's own words."""

    def __init__(self, explaining: Any) -> None:
        self._explaining = explaining
        self._compiled = jsonschema_rs.Draft4Validator(explaining.schema, validate_formats=False)

    def validate(self, payload: Any) -> None:
        if not self._compiled.is_valid(payload):
            self._explaining.validate(payload)


_explaining = ocpp.messages.get_validator
_snake = ocpp.charge_point.camel_to_snake_case


@lru_cache
def _fast(kind: int, action: str, version: str) -> FastValidator:
    return FastValidator(_explaining(kind, action, version))


def _get_validator(kind: int, action: str, version: str, parse_float: Any = float) -> Any:
    if parse_float is not float:
        return _explaining(kind, action, version, parse_float)
    return _fast(kind, action, version)


@lru_cache
def _snake_key(key: str) -> str:
    return next(iter(_snake({key: None})))


def _to_snake(told: Any) -> Any:
    if isinstance(told, dict):
        return {_snake_key(key): _to_snake(value) for key, value in told.items()}
    return [_to_snake(value) for value in told] if isinstance(told, list) else told


def _make_fast() -> None:
    """What makes the `ocpp` package some four times as fast."""
    ocpp.messages.ASYNC_VALIDATION = False
    ocpp.messages.get_validator = _get_validator  # type: ignore[assignment]
    ocpp.charge_point.camel_to_snake_case = _to_snake
    logging.getLogger("ocpp").setLevel(logging.WARNING)


async def main() -> None:
    _make_fast()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = AsyncConnectionPool(
        os.environ["BARE_DATABASE"],
        min_size=12,
        max_size=12,
        timeout=120,
        kwargs={"autocommit": True},
        open=False,
    )
    async with pool:
        server = BareServer(
            pool, bytes.fromhex(os.environ["BARE_KEY"]), stores="--answers-only" not in sys.argv
        )
        async with serve(
            server.serve,
            "127.0.0.1",
            0,
            process_request=server.admit,
            select_subprotocol=_select,
            compression=None,
            open_timeout=None,
            ping_interval=None,
            backlog=2048,
        ) as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            print(f"Listening on ws://127.0.0.1:{port}/ocpp/<identity>", flush=True)
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
