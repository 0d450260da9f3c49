"""One demo for the whole test run, however many processes run it, and the three chargers of one's own in it."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from tests.migrated import fill_with_migrated
from tests.scenarios.outside.berth import Berth, free_port
from tests.scenarios.outside.charger import Charger, Charger16, Charger21, Charger201
from tests.scenarios.outside.partner import Network

KINDS: dict[str, tuple[type[Charger], str, str]] = {
    "1.6": (Charger16, "DEMO-1", "demo-1-secret"),
    "2.0.1": (Charger201, "DEMO-2", "demo-2-secret0123"),
    "2.1": (Charger21, "DEMO-3", "demo-3-secret0123"),
}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "outside"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def outside(shared_folder: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Berth]:
    """A running demo without simulators. The first process that needs it starts it, and waits in the end for the rest."""
    if "OUTSIDE_VAR" in os.environ:  # one that runs already, while a test is being written
        yield Berth(Path(os.environ["OUTSIDE_VAR"]), os.environ["OUTSIDE_HTTP"], os.environ["OUTSIDE_OCPP"])
        return
    told = shared_folder / "berth.json"
    with _locked(shared_folder / "start"):
        is_first = not told.exists()
        if is_first:
            berth = Berth(shared_folder / "var", f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
            try:
                with django_db_blocker.unblock():
                    fill_with_migrated(berth.var)
                berth.start()
            except BaseException:
                berth.stop()
                raise
            told.write_text(json.dumps([str(berth.var), berth.http, berth.ocpp]))
        else:
            var, http, ocpp = json.loads(told.read_text())
            berth = Berth(Path(var), http, ocpp)
        users = _locked(shared_folder / "users", fcntl.LOCK_SH)
        users.__enter__()
    yield berth
    berth.close_commands()
    users.__exit__(None, None, None)
    if is_first:
        with _locked(shared_folder / "start"), _locked(shared_folder / "users"):
            told.unlink()
            berth.stop()
            berth.forget()


@pytest.fixture
def berth(outside: Berth, shared_folder: Path) -> Iterator[Berth]:
    """Berth, which nobody kills meanwhile."""
    with _locked(shared_folder / "whole", fcntl.LOCK_SH):
        yield outside


@pytest.fixture
def mortal(outside: Berth, shared_folder: Path) -> Iterator[Berth]:
    """Berth for a test that kills parts of it: no other test runs on it at the time."""
    with _locked(shared_folder / "whole"):
        yield outside


@pytest.fixture
def charger_of(outside: Berth, shared_folder: Path) -> Iterator[Callable[[str], Charger]]:
    """DEMO-1, DEMO-2 or DEMO-3, by its version; nobody else's meanwhile, and not connected yet."""
    held, made = [], []

    def take(version: str) -> Charger:
        kind, identity, password = KINDS[version]
        lock = _locked(shared_folder / identity)
        lock.__enter__()
        held.append(lock)
        charger = kind(outside.ocpp, identity, password)
        made.append(charger)
        return charger

    yield take
    for charger in made:
        charger.leave()
    for lock in held:
        lock.__exit__(None, None, None)


@pytest.fixture
def book(outside: Berth, charger_of: Callable[[str], Charger]) -> Iterator[Callable[..., dict[str, Any]]]:
    """A dispatcher's booking by command; what is left of it in the end is cancelled."""
    made: list[dict[str, Any]] = []

    def one(*words: Any, **more: Any) -> dict[str, Any]:
        made.append(outside.book(*words, **more))
        return made[-1]

    yield one
    for booking in made:
        outside.run("cancel_booking", booking["id"], "--reason", "UNKNOWN", "--by", "depot")


@pytest.fixture
def network(outside: Berth, shared_folder: Path) -> Iterator[Callable[..., Network]]:
    """Partner networks with a party id of their own, listening."""
    made: list[Network] = []

    def one(*roles: str) -> Network:
        made.append(Network("SE", next_party(shared_folder), *roles).open())
        return made[-1]

    yield one
    for each in made:
        each.__exit__()


def next_party(folder: Path) -> str:
    """X00, X01, …: a running Berth may know some already."""
    with _locked(folder / "parties") as file:
        file.seek(0)
        number = int(file.read() or os.environ.get("OUTSIDE_PARTY", "0"))
        file.seek(0)
        file.truncate()
        file.write(str(number + 1))
        file.flush()
    return f"X{number:02d}"


@contextmanager
def _locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[Any]:
    with path.with_suffix(".lock").open("a+") as file:
        fcntl.flock(file, kind)
        yield file
