"""A charger made of the published `ocpp` package's client, in its three versions: commissioned, told whom to let in, booked,
reserved, limited in power, charged, completed.

Neither our gateway nor our simulator uses its ChargePoint, so it reads what we send by its own understanding.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from ocpp.routing import on
from websockets.asyncio.client import connect

from bookings import scheduler
from bookings.models import Booking
from depots.models import Charger, ChargerCommand
from tests.factories import NOW, book_slot, make_charger, make_depot, make_evse, make_vehicle, option_of, slot
from tests.scenarios.bed import PASSWORD, Bed, eventually

MODULES = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
AT = "2030-01-15T08:50:00.000Z"
TX = "TxProfile"
LATER = "2030-01-15T09:40:00.000Z"


@dataclass
class Client:
    """A ChargePoint of the package. `settings` are what it has, `local_list` the numbers it lets in when offline, and `limits_w`
    what each charging profile allows, by purpose."""

    package: Any
    is_16: bool
    settings: dict[str, str]
    point: Any = None
    reserved: list[dict[str, Any]] = field(default_factory=list)
    local_list: list[str] = field(default_factory=list)
    limits_w: dict[str, float] = field(default_factory=dict)

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

    async def charge(
        self, uid: str, reservation_id: int, meanwhile: Callable[[], Awaitable[None]]
    ) -> tuple[str, str]:
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
            await meanwhile()
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
        await meanwhile()
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


SETTINGS_16 = {
    "SupportedFeatureProfiles": "Core,Reservation,LocalAuthListManagement,SmartCharging",
    "ChargingScheduleAllowedChargingRateUnit": "Power",
    "AuthorizationCacheEnabled": "true",
    "LocalAuthListEnabled": "true",
}
SETTINGS_2X = {
    "ReservationCtrlr.Available": "true",
    "SmartChargingCtrlr.Enabled": "true",
    "SmartChargingCtrlr.RateUnit": "W",
    "LocalAuthListCtrlr.Enabled": "true",
    "AuthCacheCtrlr.Enabled": "true",
}
Handler = Callable[..., Any]
CACHE = {True: "AuthorizationCacheEnabled", False: "AuthCacheCtrlr.Enabled"}


def client_of(protocol: str, identity: str, socket: Any) -> Client:
    is_16 = protocol == "ocpp1.6"
    package = importlib.import_module(f"ocpp.{MODULES[protocol]}")
    client = Client(package, is_16, dict(SETTINGS_16 if is_16 else SETTINGS_2X))
    handlers = _in_every_version(client) | (_settings_of_16(client) if is_16 else _settings_of_2x(client))
    # The package finds them by the names of their functions.
    named = {handler.__name__: on(action)(handler) for action, handler in handlers.items()}
    point = type("Point", (package.ChargePoint,), named)
    client.point = point(identity, socket)
    return client


def _in_every_version(client: Client) -> dict[str, Handler]:
    """Without a handler the package's 2.1 says nothing at all, and whoever asks waits for its time-out."""
    result, is_16 = client.package.call_result, client.is_16

    def reserve(self: Any, **asked: Any) -> Any:
        client.reserved.append(asked)
        return result.ReserveNow(status="Accepted")

    def send_local_list(self: Any, local_authorization_list: list[dict[str, Any]], **_: Any) -> Any:
        client.local_list = [
            entry["id_tag"] if is_16 else entry["id_token"]["id_token"] for entry in local_authorization_list
        ]
        return result.SendLocalList(status="Accepted")

    def set_charging_profile(self: Any, **asked: Any) -> Any:
        profile = asked["cs_charging_profiles"] if is_16 else asked["charging_profile"]
        schedule = profile["charging_schedule"] if is_16 else profile["charging_schedule"][0]
        limit_w = schedule["charging_schedule_period"][0]["limit"]
        client.limits_w[profile["charging_profile_purpose"]] = limit_w
        return result.SetChargingProfile(status="Accepted")

    return {
        "ReserveNow": reserve,
        "SendLocalList": send_local_list,
        "SetChargingProfile": set_charging_profile,
        "ClearChargingProfile": _always(result.ClearChargingProfile, "Accepted"),
        "GetCompositeSchedule": _always(result.GetCompositeSchedule, "Rejected"),
        "ClearCache": _always(result.ClearCache, "Accepted"),
    }


def _always(result: Any, status: str) -> Handler:
    def answer(self: Any, **_: Any) -> Any:
        return result(status=status)

    answer.__name__ = f"answer_{result.__name__}"
    return answer


def _settings_of_16(client: Client) -> dict[str, Handler]:
    result, settings = client.package.call_result, client.settings

    def get(self: Any, key: list[str]) -> Any:
        has = [{"key": k, "value": settings[k], "readonly": False} for k in key if k in settings]
        return result.GetConfiguration(has, unknown_key=[k for k in key if k not in settings])

    def change(self: Any, key: str, value: str) -> Any:
        settings[key] = value
        return result.ChangeConfiguration(status="Accepted")

    return {"GetConfiguration": get, "ChangeConfiguration": change}


def _settings_of_2x(client: Client) -> dict[str, Handler]:
    result, settings = client.package.call_result, client.settings

    def get(self: Any, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        told = []
        for wanted in get_variable_data:
            value = settings.get(_name(wanted))
            has = {"attribute_value": value} if value is not None else {}
            told.append({**wanted, "attribute_status": "Accepted" if has else "UnknownVariable", **has})
        return result.GetVariables(get_variable_result=told)

    def change(self: Any, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        done = []
        for wanted in set_variable_data:
            settings[_name(wanted)] = wanted.pop("attribute_value")
            done.append({**wanted, "attribute_status": "Accepted"})
        return result.SetVariables(set_variable_result=done)

    return {"GetVariables": get, "SetVariables": change}


async def _with_database(function: Callable[..., Any], *args: Any) -> Any:
    """In a thread, whose connection goes back into the pool: the gateway draws from the same."""

    def run() -> Any:
        try:
            return function(*args)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def _name(wanted: dict[str, Any]) -> str:
    return f"{wanted['component']['name']}.{wanted['variable']['name']}"


@pytest.mark.parametrize("protocol", MODULES)
def test_a_client_that_is_not_ours_is_reserved_for_a_booking_and_charges_it(bed: Bed, protocol: str):
    terms = {"early_start_min": 15, "arm_lead_min": 15}
    row = make_charger(make_depot(terms=terms, grid_limit_w=200_000, fallbacks=["local_list"]))
    evse = make_evse(charger=row, max_power_w=400_000)
    bed.charger(row)  # which gives it a password
    vehicle = make_vehicle()
    booking = book_slot(vehicle=vehicle, fleet=vehicle.fleet, option=option_of(evse), period=slot(9, 10))
    uid = booking.tokens.get().uid
    bed.clock.now = NOW + timedelta(minutes=49, seconds=55)
    gateway = bed.start_gateway(lease_s=86_400)  # leases are renewed by real time, and ticks are milliseconds

    async def live_until(holds: Callable[[], Any]) -> None:
        """Tick by tick, each command settled."""
        for _ in range(20):
            if await _with_database(holds):
                return
            bed.clock.advance(seconds=5)
            await _with_database(scheduler.run_tick, bed.clock.now)
            await _with_database(eventually, lambda: not _waiting(bed))
        raise AssertionError(f"it did not come about: {inspect.getsource(holds)}")

    async def visit() -> tuple[tuple[str, str], Client]:
        socket = await _connect(row, gateway.url, protocol)
        client = client_of(protocol, row.identity, socket)
        listening = asyncio.create_task(client.point.start())
        await client.come()
        await _with_database(eventually, lambda: Charger.objects.get().told.get("local_list"))
        await live_until(lambda: Booking.objects.get().enforcement == "armed" and client.local_list)
        await live_until(lambda: client.settings[CACHE[client.is_16]] == "false" and client.limits_w)
        answers = await client.charge(
            uid, booking.reservation_id, lambda: live_until(lambda: TX in client.limits_w)
        )
        await client.tell_status("Available")
        listening.cancel()
        await socket.close()
        return answers, client

    answers, client = bed.loop.run(visit(), timeout_s=60)
    bed.stop_gateway(gateway)

    asked = client.reserved[0]
    assert asked.get("reservation_id", asked.get("id")) == booking.reservation_id
    assert client.local_list == [uid]
    assert max(client.limits_w.values()) <= 200_000
    assert answers == ("Accepted", "Accepted")
    booking.refresh_from_db()
    assert (booking.status, booking.session.energy_wh) == ("completed", 100_000)


def _waiting(bed: Bed) -> bool:
    queue = ChargerCommand.objects.filter(state__in=["queued", "sent"])
    return queue.exclude(not_before__gt=bed.clock.now).exists()


async def _connect(row: Charger, url: str, protocol: str) -> Any:
    credentials = base64.b64encode(f"{row.identity}:{PASSWORD}".encode()).decode()
    return await connect(
        f"{url}/{row.identity}",
        subprotocols=[protocol],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Basic {credentials}"},
    )
