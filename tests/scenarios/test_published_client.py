"""A platform made of somebody else's published library registers with Berth and is pushed what it may see."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.scenarios.outside.berth import CHECKOUT, Berth, free_port
from tests.scenarios.outside.fixtures import next_party
from tests.scenarios.outside.waiting import eventually

PYTHON = CHECKOUT / ".venv-outside/bin/python"
TOKEN_A = "token-a-of-the-published-emsp"


@contextmanager
def published_emsp(address: str, party: str, pushed: Path) -> Iterator[None]:
    """The library's server; what it was pushed are the lines of `pushed`."""
    assert PYTHON.exists(), f"{PYTHON} is missing: make install-outside brings it"
    script = Path(__file__).parent / "outside/published_emsp.py"
    with pushed.open("wb") as lines:
        server = subprocess.Popen([PYTHON, script, address, "SE", party, TOKEN_A], stdout=lines)
    try:
        eventually(lambda: _answers(address), of="the published eMSP", within_s=60)
        yield
    finally:
        server.terminate()
        server.wait(timeout=20)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/ocpi/docs", trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


@pytest.mark.long
def test_a_published_library_registers_and_is_pushed_locations_and_tariffs(
    berth: Berth, shared_folder: Path, tmp_path: Path
) -> None:
    address, party, pushed = f"127.0.0.1:{free_port()}", next_party(shared_folder), tmp_path / "pushed.jsonl"
    with published_emsp(address, party, pushed):
        agreed = berth.run(
            "add_partner", "--name", f"Published {party}", "--country-code", "SE", "--party-id", party,
            "--role", "EMSP", "--connect", f"http://{address}/ocpi/versions", "--token", TOKEN_A,
        ).one  # fmt: skip
        assert (agreed["version"], agreed["state"]) == ("2.2.1", "registered")

        def held() -> dict[tuple[str, str], dict[str, Any]]:
            lines = [json.loads(line) for line in pushed.read_text().splitlines()]
            return {(line["module"], line["id"].upper()): line["object"] for line in lines}

        location = eventually(lambda: held().get(("locations", "NF-HAM")), of="a Location", within_s=90)
        tariffs = {number for module, number in held() if module == "tariffs"}
        assert berth.run("show_partners", f"SE*{party}").one["failures"] == 0, "something was refused"

    assert len(location["evses"]) >= 4
    named = {
        number.upper()
        for evse in location["evses"]
        for connector in evse["connectors"]
        for number in connector["tariff_ids"]
    }
    assert named
    assert named <= tariffs, "tariffs come before the locations that name them"
