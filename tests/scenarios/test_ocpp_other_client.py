"""A charger made of the published `ocpp` package's client, in its three versions: booked, reserved, charged, completed.

Neither our gateway nor our simulator uses its ChargePoint, so it reads what we send by its own understanding.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from ocpp.routing import on
from websockets.asyncio.client import connect

from bookings import scheduler
from bookings.models import Booking
from depots.models import Charger
from tests.factories import NOW, book_slot, make_charger, make_depot, make_evse, make_vehicle, option_of, slot
from tests.scenarios.bed import PASSWORD, Bed, eventually

MODULES = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
AT = "2030-01-15T08:50:00.000Z"
LATER = "2030-01-15T09:40:00.000Z"


@dataclass
class Client:
    """A ChargePoint of the package, which accepts reservations and has no settings to tell."""

    package: Any
    point: Any
    reserved: asyncio.Future[dict[str, Any]]
    is_16: bool

    async def ask(self, name: str, **fields: Any) -> Any:
        request = getattr(self.package.call, name)(**fields)
        return await self.point.call(request, suppress=False)

    async def come(self) -> None:
        if self.is_16:
            await self.ask("BootNotification", charge_point_vendor="Other", charge_point_model="Make")
        else:
            station = {"vendor_name": "Other", "model": "Make"}
            await self.ask("BootNotification", charging_station=station, reason="PowerUp")
        await self.tell_status("Available")

    async def tell_status(self, status: str) -> None:
        if self.is_16:
            await self.ask(
                "StatusNotification", connector_id=1, error_code="NoError", status=status, timestamp=AT
            )
        else:
            await self.ask(
                "StatusNotification", timestamp=AT, evse_id=1, connector_id=1, connector_status=status
            )

    async def charge(self, uid: str, reservation_id: int) -> tuple[str, str]:
        """What it is told of the token when it asks, and when it starts; 100 kWh are charged."""
        if self.is_16:
            asked = await self.ask("Authorize", id_tag=uid)
            begun = await self.ask(
                "StartTransaction",
                connector_id=1,
                id_tag=uid,
                meter_start=1000,
                timestamp=AT,
                reservation_id=reservation_id,
            )
            await self.ask(
                "StopTransaction",
                transaction_id=begun.transaction_id,
                meter_stop=101_000,
                timestamp=LATER,
                id_tag=uid,
            )
            return asked.id_tag_info["status"], begun.id_tag_info["status"]
        token = {"id_token": uid, "type": "ISO14443"}
        asked = await self.ask("Authorize", id_token=token)
        begun = await self._event("Started", 0, AT, 1000, id_token=token, reservation_id=reservation_id)
        await self._event("Ended", 1, LATER, 101_000)
        return asked.id_token_info["status"], begun.id_token_info["status"]

    async def _event(self, kind: str, seq_no: int, at: str, wh: int, **fields: Any) -> Any:
        return await self.ask(
            "TransactionEvent",
            event_type=kind,
            timestamp=at,
            trigger_reason="Authorized" if kind == "Started" else "EVDeparted",
            seq_no=seq_no,
            transaction_info={"transaction_id": "other-1", "charging_state": "Charging"},
            evse={"id": 1, "connector_id": 1},
            meter_value=[{"timestamp": at, "sampled_value": [{"value": wh}]}],
            **fields,
        )


def client_of(protocol: str, identity: str, socket: Any) -> Client:
    package = importlib.import_module(f"ocpp.{MODULES[protocol]}")
    reserved: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    class Point(package.ChargePoint):  # type: ignore[misc, name-defined]
        @on("ReserveNow")
        async def on_reserve(self, **asked: Any) -> Any:
            if not reserved.done():
                reserved.set_result(asked)
            return package.call_result.ReserveNow(status="Accepted")

        @on("GetVariables")
        def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
            """Of 2.x. Without it the package's 2.1 says nothing at all, and whoever asks waits for its time-out."""
            told = [{**wanted, "attribute_status": "UnknownVariable"} for wanted in get_variable_data]
            return package.call_result.GetVariables(get_variable_result=told)

    return Client(package, Point(identity, socket), reserved, is_16=protocol == "ocpp1.6")


@pytest.mark.parametrize("protocol", MODULES)
def test_a_client_that_is_not_ours_is_reserved_for_a_booking_and_charges_it(bed: Bed, protocol: str):
    row = make_charger(make_depot(terms={"early_start_min": 15, "arm_lead_min": 15}))
    evse = make_evse(charger=row)
    bed.charger(row)  # which gives it a password
    vehicle = make_vehicle()
    booking = book_slot(vehicle=vehicle, fleet=vehicle.fleet, option=option_of(evse), period=slot(9, 10))
    uid = booking.tokens.get().uid

    async def visit() -> tuple[tuple[str, str], dict[str, Any]]:
        socket = await _connect(row, bed.gateway.url, protocol)
        client = client_of(protocol, row.identity, socket)
        listening = asyncio.create_task(client.point.start())
        await client.come()
        bed.clock.now = NOW + timedelta(minutes=50)
        await asyncio.to_thread(scheduler.run_tick, bed.clock.now)
        async with asyncio.timeout(15):
            asked = await client.reserved
        await asyncio.to_thread(eventually, lambda: Booking.objects.get().enforcement == "armed")
        answers = await client.charge(uid, booking.reservation_id)
        await client.tell_status("Available")
        listening.cancel()
        await socket.close()
        return answers, asked

    answers, asked = bed.loop.run(visit(), timeout_s=60)

    assert answers == ("Accepted", "Accepted")
    assert asked.get("reservation_id", asked.get("id")) == booking.reservation_id
    booking.refresh_from_db()
    assert (booking.status, booking.session.energy_wh) == ("completed", 100_000)


async def _connect(row: Charger, url: str, protocol: str) -> Any:
    credentials = base64.b64encode(f"{row.identity}:{PASSWORD}".encode()).decode()
    return await connect(
        f"{url}/{row.identity}",
        subprotocols=[protocol],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Basic {credentials}"},
    )
