"""A gateway that stops: nobody new, what is under way comes to its end, chargers go in waves, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management.base import CommandError

from config.management.commands import ocpp_gateway
from depots.models import Charger, ChargerCommand, ConnectionChange
from depots.ocpp import server
from depots.ocpp.connection import Timings
from depots.ocpp.server import Gateway
from depots.operations import queue_command
from simulators.charger import Mute
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import Bed, ScriptedCharger, eventually
from tests.scenarios.test_ocpp_processes import running, with_password

pytestmark = pytest.mark.usefixtures("gate")


def unlock(row: Charger) -> ChargerCommand:
    return queue_command(charger=row, action="unlock", payload={"evse": 1}, now=NOW)


def asked(charger: ScriptedCharger) -> str:
    """The id of the UnlockConnector that it has read; empty before."""
    frames = [json.loads(frame) for frame in charger.sim.frames if '"UnlockConnector"' in frame]
    return frames[-1][1] if frames else ""


def begin_to_stop(bed: Bed, gateway: Gateway) -> Future[None]:
    return asyncio.run_coroutine_threadsafe(gateway.__aexit__(None, None, None), bed.loop.loop)


def test_a_command_under_way_is_answered_before_its_gateway_stops_and_the_next_one_waits_for_another(
    bed: Bed,
):
    row = make_charger()
    make_evse(charger=row)
    leaving = bed.start_gateway(finish_s=10)
    charger = bed.charger(row, gateway=leaving)
    charger.come_online()
    charger.will_answer("UnlockConnector", Mute())
    first = unlock(row)
    eventually(lambda: asked(charger))

    stopping = begin_to_stop(bed, leaving)
    eventually(lambda: leaving._is_draining)
    second = unlock(row)
    charger.send(json.dumps([3, asked(charger), {"status": "Unlocked"}]))
    stopping.result(90)

    states = dict(ChargerCommand.objects.filter(action="unlock").values_list("pk", "state"))
    assert states == {first.pk: "answered", second.pk: "queued"}
    assert Charger.objects.get(pk=row.pk).lease_holder == ""
    assert charger.sim.connection.socket.close_code == 1001
    assert ConnectionChange.objects.latest("id").is_by_gateway

    charger.sim.url = bed.gateway.url
    charger.come_online()
    eventually(lambda: ChargerCommand.objects.get(pk=second.pk).state == "answered")
    assert charger.count("UnlockConnector") == 2


def test_a_charger_that_never_answers_keeps_no_gateway_from_stopping(bed: Bed):
    row = make_charger()
    make_evse(charger=row)
    leaving = bed.start_gateway(finish_s=0.1)
    charger = bed.charger(row, gateway=leaving)
    charger.come_online()
    charger.will_answer("UnlockConnector", Mute())
    command = unlock(row)
    eventually(lambda: asked(charger))

    bed.stop_gateway(leaving)

    assert ChargerCommand.objects.get(pk=command.pk).state == "unclear"


def test_chargers_are_sent_away_in_waves(monkeypatch):
    told: list[list[int]] = [[]]

    async def next_wave(seconds: float) -> None:
        told.append([])

    async def stop() -> None:
        gateway = Gateway(timings=Timings(waves_s=10))
        gateway._servers = [SimpleNamespace(connections=range(175))]  # type: ignore[list-item]
        gateway._closing = SimpleNamespace(begin=lambda one, reason, code: told[-1].append(one))  # type: ignore[assignment]
        monkeypatch.setattr(server.asyncio, "sleep", next_wave)
        await gateway._send_away()

    asyncio.run(stop())

    assert [len(wave) for wave in told] == [59, 58, 58]
    assert sorted(one for wave in told for one in wave) == list(range(175))


@pytest.mark.parametrize(("chargers", "most"), [(4000, 4096), (1, 100)])
def test_a_limit_of_open_files_that_is_too_low_for_all_chargers_is_refused_in_a_sentence(
    monkeypatch, chargers, most
):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, most))

    with pytest.raises(
        CommandError, match=f"{chargers} chargers are known, and a process may open no more than {most} files"
    ):
        ocpp_gateway._allow_many_sockets(chargers)


@pytest.mark.parametrize(("most", "wanted"), [(4096, 4096), (resource.RLIM_INFINITY, 65_536)])
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(monkeypatch, most, wanted):
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, most))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))

    ocpp_gateway._allow_many_sockets(3000)

    assert raised == [(wanted, most)]


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_gateways_on_one_port_take_over_from_one_another(bed: Bed, tmp_path: Path):
    """A rolling restart as an operator does it: the next gateway listens before the one there is told to stop."""
    row = with_password(make_charger())
    make_evse(charger=row)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{free.getsockname()[1]}"
    command = ("ocpp_gateway", "--share-port")

    with running(*command, var=tmp_path, says="Listening on ", BERTH_OCPP=here) as (first, address):
        charger = bed.charger(row)
        charger.sim.url = address.removesuffix("/<identity>")
        charger.come_online()
        with running(*command, var=tmp_path, says="Listening on ", BERTH_OCPP=here) as (second, _):
            first.send_signal(signal.SIGTERM)
            assert first.wait(90) == 0
            unlocked = unlock(row)
            charger.come_online()
            eventually(lambda: ChargerCommand.objects.get(pk=unlocked.pk).state == "answered")
            assert str(second.pid) in Charger.objects.get(pk=row.pk).lease_holder
