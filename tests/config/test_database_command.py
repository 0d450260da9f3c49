"""PostgreSQL's own programs reach Berth's database without being told where it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config.embedded import postgres
from tests.serving import on_test_database


@pytest.mark.django_db(transaction=True)
def test_a_backup_can_be_taken_and_read(tmp_path: Path) -> None:
    dump = tmp_path / "berth.dump"

    run("pg_dump", "--format=custom", f"--file={dump}", var=tmp_path)
    contents = run("pg_restore", "--list", str(dump), var=tmp_path)

    assert "TABLE DATA public bookings_occupancy" in contents
    assert "occupancy_evse_once" in contents
    assert run("psql", "--tuples-only", "--command", "SELECT 6 * 7", var=tmp_path).strip() == "42"


def run(*command: str, var: Path) -> str:
    done = subprocess.run(
        [sys.executable, settings.BASE_DIR / "manage.py", "database", *command],
        env={**os.environ, **on_test_database(var=var), "PATH": f"{_wheel_programs()}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _wheel_programs() -> Path:
    # The test's database is given by address, so the programs are looked for on the PATH.
    return postgres.EmbeddedServer(settings.BERTH_VAR).programs.path("psql").parent
