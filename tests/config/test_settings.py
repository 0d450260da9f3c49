"""Values that suit a checkout are refused by an installation, each by name."""

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from config import broker
from config.embedded.postgres import EmbeddedServer

ROOT = Path(__file__).parents[2]
INSTALLATION = {
    "BERTH_DEBUG": "0",
    "BERTH_BASE_URL": "https://berth.example",
    "BERTH_SECRET_KEY": "k9" * 30,
    "BERTH_ALLOWED_HOSTS": "berth.example",
    "BERTH_EMAIL_URL": "smtp+tls://berth:secret@mail.example:587",
}


def clean(environment: dict[str, str]) -> dict[str, str]:
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("BERTH_", "DATABASE_"))}
    return {**ours, **environment}


def manage(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=clean(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def settings_under(environment: dict[str, str]) -> dict[str, Any]:
    """All settings, read anew. Raises ImproperlyConfigured, whose sentence is what a command says before it ends."""
    with patch.dict(os.environ, clean(environment), clear=True):
        return runpy.run_path(str(ROOT / "config" / "settings.py"))


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        settings_under(environment)
    return str(refused.value)


def test_an_installation_that_says_everything_starts() -> None:
    done = manage(["check"], INSTALLATION)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BERTH_SECRET_KEY", None),
        ("BERTH_SECRET_KEY", "short"),
        ("BERTH_SECRET_KEY", "insecure-development-key-of-one-machine-never-of-an-installation"),
        ("BERTH_STORAGE_KEYS", "short"),
        ("BERTH_STORAGE_KEYS", f"{'n3' * 30},short"),
        ("BERTH_ALLOWED_HOSTS", None),
        ("BERTH_ALLOWED_HOSTS", "*"),
        ("BERTH_EMAIL_URL", None),
        ("BERTH_DEBUG", "1"),
    ],
)
def test_a_development_value_is_refused_by_an_installation(name: str, value: str | None) -> None:
    environment = {key: text for key, text in {**INSTALLATION, name: value}.items() if text is not None}

    assert name in refusal(environment)


def test_debug_turned_off_by_name_is_an_installation_too_and_is_refused_in_a_sentence() -> None:
    done = manage(["check"], {"BERTH_DEBUG": "0"})

    assert done.returncode == 1
    assert "BERTH_SECRET_KEY" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("sign", "installation", "may"), [(True, {}, True), (False, {}, False), (True, INSTALLATION, False)]
)
def test_beside_the_demo_partners_may_live_on_this_machine(
    tmp_path: Path, sign: bool, installation: dict[str, str], may: bool
) -> None:
    if sign:
        (tmp_path / "demo").touch()
    told = settings_under({**installation, "BERTH_VAR": str(tmp_path)})

    assert told["BERTH_ALLOW_PRIVATE_PARTNERS"] is may


@pytest.fixture
def checkouts(tmp_path: Path) -> Iterator[list[Path]]:
    """Two folders of data that no command has used yet."""
    folders = [tmp_path / "a", tmp_path / "b"]
    yield folders
    for folder in folders:
        shutil.rmtree(EmbeddedServer(folder).home, ignore_errors=True)


def test_a_checkout_makes_a_key_of_its_own_and_keeps_it_with_its_database(checkouts: list[Path]) -> None:
    one, another = checkouts

    def key_of(folder: Path) -> str:
        key: str = settings_under({"BERTH_VAR": str(folder)})["SECRET_KEY"]
        return key

    seen = [key_of(folder) for folder in (one, another)]

    assert len(set(seen)) == 2
    assert all(len(key) >= 50 for key in seen)
    assert (EmbeddedServer(one).home / "secret_key").stat().st_mode & 0o777 == 0o600
    assert key_of(one) == seen[0]


@pytest.mark.parametrize(("keys", "warned"), [({}, True), ({"BERTH_STORAGE_KEYS": "n3" * 30}, False)])
def test_an_installation_is_told_to_give_stored_secrets_a_key_of_their_own(
    keys: dict[str, str], warned: bool
) -> None:
    done = manage(["check", "--deploy"], {**INSTALLATION, **keys})

    assert ("berth.W001" in done.stderr) is warned


def test_an_installation_never_makes_up_a_key(tmp_path: Path) -> None:
    said = refusal({**INSTALLATION, "BERTH_SECRET_KEY": "", "BERTH_VAR": str(tmp_path)})

    assert "BERTH_SECRET_KEY" in said
    assert not (tmp_path / "secret_key").exists()


@pytest.mark.parametrize(("chosen", "preload"), [({}, False), ({"BERTH_HSTS_PRELOAD": "1"}, True)])
def test_a_browser_list_is_entered_only_by_choice(chosen: dict[str, str], preload: bool) -> None:
    assert settings_under({**INSTALLATION, **chosen})["SECURE_HSTS_PRELOAD"] is preload


@pytest.mark.parametrize("command", [["demo", "--only", "serve"], ["load_demo"]])
def test_an_installation_loads_no_demo(command: list[str], tmp_path: Path) -> None:
    done = manage(command, {**INSTALLATION, "BERTH_VAR": str(tmp_path)})

    assert done.returncode == 1
    assert "well-known password" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "environment",
    [
        {"BERTH_BASE_URL": "berth"},
        {"DATABASE_URL": "sqlite:///x"},
        {"BERTH_TRUSTED_PROXIES": "127.0.0.1,the-proxy"},
    ],
)
def test_a_value_that_cannot_work_is_refused_in_a_sentence(environment: dict[str, str]) -> None:
    assert next(iter(environment)) in refusal(environment)


def test_a_broker_that_is_not_there_is_refused_in_a_sentence(settings: Settings) -> None:
    settings.BERTH_BROKER_URL = "carrier://pigeon"

    with pytest.raises(ImproperlyConfigured, match="BERTH_BROKER_URL: carrier://"):
        broker.install()
