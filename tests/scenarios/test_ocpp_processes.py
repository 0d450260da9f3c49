"""The two commands as users run them, and a client library of other people's making."""

import asyncio
import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ocpp.v16
import ocpp.v201
import pytest
from ocpp.routing import on
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import call as call201
from websockets.asyncio.client import connect

from depots import secrets
from depots.models import Charger
from depots.operations import queue_command
from depots.queries import armed_reservations, is_online
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import PASSWORD, Bed, eventually
from tests.serving import MANAGE, on_test_database


@contextmanager
def running(
    *command: str, var: Path, says: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A manage.py process and the rest of the line in which it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, MANAGE, *command],
        env={**on_test_database(var=var), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = next(line for line in process.stdout if line.startswith(says))
        yield process, line.removeprefix(says).strip()
    finally:
        process.kill()
        process.communicate()


def with_password(row: Charger) -> Charger:
    row.password_salt, row.password_hash = secrets.hash_charger_password(PASSWORD)
    row.save()
    return row


def credentials(row: Charger) -> dict[str, str]:
    basic = base64.b64encode(f"{row.identity}:{PASSWORD}".encode()).decode()
    return {"Authorization": f"Basic {basic}"}


class OtherCharger(ocpp.v16.ChargePoint):
    """A 1.6 charger on the ocpp package's own client."""

    @on("ReserveNow")
    def reserve(self, **asked):
        return result16.ReserveNow(status="Accepted")

    @on("GetConfiguration")
    def configuration(self, **asked):
        return result16.GetConfiguration(unknown_key=asked.get("key"))


@pytest.mark.django_db(transaction=True)
def test_the_gateway_command_serves_other_peoples_chargers_and_stops_cleanly(tmp_path: Path):
    row = with_password(make_charger())
    make_evse(charger=row)

    async def visit(url: str) -> list:
        headers = credentials(row)
        async with connect(
            f"{url}/{row.identity}", subprotocols=["ocpp1.6"], additional_headers=headers
        ) as socket:
            charger = OtherCharger(row.identity, socket)
            listening = asyncio.create_task(charger.start())
            told = [
                await charger.call(request, suppress=False)
                for request in (
                    call16.BootNotification("Model", "Vendor"),
                    call16.StatusNotification(1, "NoError", "Available"),
                    call16.Authorize("UNKNOWN"),
                    call16.Heartbeat(),
                )
            ]
            listening.cancel()
            return told

    async def visit_201(url: str) -> str:
        headers = credentials(row)
        async with connect(
            f"{url}/{row.identity}", subprotocols=["ocpp2.0.1"], additional_headers=headers
        ) as socket:
            charger = ocpp.v201.ChargePoint(row.identity, socket)
            listening = asyncio.create_task(charger.start())
            station = {"model": "Model", "vendor_name": "Vendor"}
            told = await charger.call(call201.BootNotification(station, "PowerUp"), suppress=False)
            listening.cancel()
            return told.status

    with running("ocpp_gateway", var=tmp_path, says="Listening on ") as (process, address):
        url = address.removesuffix("/<identity>")
        boot, _, authorized, _ = asyncio.run(visit(url))
        assert asyncio.run(visit_201(url)) == "Accepted"
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0

    assert boot.status == "Accepted"
    assert authorized.id_tag_info["status"] == "Invalid"
    row.refresh_from_db()
    assert (row.vendor, row.lease_holder) == ("Vendor", "")


@pytest.mark.usefixtures("gate")
def test_simulated_chargers_of_a_file_connect_and_keep_reservations(bed: Bed, tmp_path: Path):
    rows = [with_password(make_charger()) for _ in range(3)]
    protocols = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
    for row in rows:
        make_evse(charger=row)
    file = tmp_path / "chargers.json"
    chargers = [
        {"identity": row.identity, "password": PASSWORD, "protocol": protocol, "evses": [{"number": 1, "max_power_kw": 400}]}
        for row, protocol in zip(rows, protocols, strict=True)
    ]  # fmt: skip
    file.write_text(json.dumps({"chargers": chargers}))
    command = ("simulate_chargers", "--url", bed.gateway.url, "--file", str(file))

    with running(*command, var=tmp_path, says="Simulating 3 chargers at ") as (process, _):
        for row, protocol in zip(rows, protocols, strict=True):
            eventually(lambda row=row: is_online(Charger.objects.get(pk=row.pk), now=NOW))
            assert Charger.objects.get(pk=row.pk).spoken_protocol == protocol
            payload = {"reservation_id": row.pk, "evse": 1, "token": "04AABBCCDD10", "token_type": "RFID"}
            payload["expires_at"] = "2099-01-01T00:00:00Z"
            queue_command(charger=row, action="reserve", payload=payload, reservation_id=row.pk, now=NOW)
            eventually(lambda row=row: armed_reservations(row, now=NOW))
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist"),
        ("{", "is not a list of chargers"),
        ('{"chargers": [{"password": "x"}]}', "charger 1: KeyError('identity')"),
        ('{"chargers": [{"identity": "A", "protocol": "ocpp1.5"}]}', "protocol is one of"),
    ],
)
def test_a_faulty_file_of_chargers_is_named_in_a_sentence(tmp_path: Path, content, sentence):
    from simulators.charger.charger_file import UnreadableFile, read_chargers

    file = tmp_path / "chargers.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(UnreadableFile, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        read_chargers(file, "ws://127.0.0.1:9/ocpp")
