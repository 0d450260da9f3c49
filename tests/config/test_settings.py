"""Values that suit a checkout are refused by an installation, each by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLATION = {
    "BERTH_DEBUG": "0",
    "BERTH_BASE_URL": "https://berth.example",
    "BERTH_SECRET_KEY": "k9" * 30,
    "BERTH_ALLOWED_HOSTS": "berth.example",
    "BERTH_EMAIL_URL": "smtp+tls://berth:secret@mail.example:587",
}


def check(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DATABASE_"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installation_that_says_everything_starts() -> None:
    done = check(INSTALLATION)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BERTH_SECRET_KEY", None),
        ("BERTH_SECRET_KEY", "short"),
        ("BERTH_ALLOWED_HOSTS", None),
        ("BERTH_ALLOWED_HOSTS", "*"),
        ("BERTH_EMAIL_URL", None),
        ("BERTH_DEBUG", "1"),
    ],
)
def test_a_development_value_is_refused_by_an_installation(name: str, value: str | None) -> None:
    environment = {key: text for key, text in {**INSTALLATION, name: value}.items() if text is not None}

    done = check(environment)

    assert done.returncode == 1
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_turned_off_by_name_is_an_installation_too() -> None:
    done = check({"BERTH_DEBUG": "0"})

    assert done.returncode == 1
    assert "BERTH_SECRET_KEY" in done.stderr


@pytest.mark.parametrize(
    ("sign", "installation", "may"), [(True, {}, True), (False, {}, False), (True, INSTALLATION, False)]
)
def test_beside_the_demo_partners_may_live_on_this_machine(
    tmp_path: Path, sign: bool, installation: dict[str, str], may: bool
) -> None:
    if sign:
        (tmp_path / "demo").touch()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DATABASE_"))
    }

    done = subprocess.run(
        [sys.executable, "-c", "from config import settings; print(settings.BERTH_ALLOW_PRIVATE_PARTNERS)"],
        cwd=ROOT,
        env={**clean, **installation, "BERTH_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == str(may)


@pytest.mark.parametrize(
    "environment",
    [{"BERTH_BASE_URL": "berth"}, {"DATABASE_URL": "sqlite:///x"}, {"BERTH_BROKER_URL": "carrier://pigeon"}],
)
def test_a_value_that_cannot_work_is_refused_in_a_sentence(environment: dict[str, str]) -> None:
    done = check(environment)

    assert done.returncode == 1
    assert next(iter(environment)) in done.stderr
    assert "Traceback" not in done.stderr
