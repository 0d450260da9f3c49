"""A fresh, migrated, durable database for one benchmark, in a server of the benchmarks' own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import django
import psycopg

CHECKOUT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("BERTH_VAR", "") or CHECKOUT / "var").absolute() / "bench"
MIGRATED = "bench_migrated"


@contextmanager
def fresh(name: str) -> Iterator[str]:
    """Django set up on an empty copy of a migrated database; gives its address. Commits wait for the disk, as they do in use.

    The copy is dropped at the end, and so is a migrated database whose migrations have changed since.
    """
    from config.embedded import postgres  # before Django knows its settings

    server = postgres.use(VAR)
    admin = f"host={server.sockets} port={postgres.PORT} user={postgres.OWNER}"
    os.environ.update(environment(server.sockets, MIGRATED))
    with psycopg.connect(f"{admin} dbname=postgres", autocommit=True) as connection:
        _migrate(connection)
        copy = f"bench_{name}_{os.getpid()}"
        connection.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{MIGRATED}" STRATEGY FILE_COPY')
        os.environ.update(environment(server.sockets, copy))
        try:
            django.setup()
            yield os.environ["DATABASE_URL"]
        finally:
            _disconnect()
            connection.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')


def environment(sockets: Path, database: str) -> dict[str, str]:
    """What a process of Berth needs to use this database: processes started by a benchmark inherit it."""
    from config.embedded import postgres  # before Django knows its settings

    address = f"postgres://{postgres.OWNER}@/{database}?host={quote(str(sockets))}&port={postgres.PORT}"
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": address,
        "BERTH_VAR": str(VAR),
        "BERTH_HTTP": "127.0.0.1:0",
        "BERTH_OCPP": "127.0.0.1:0",
        "BERTH_ALLOW_PRIVATE_PARTNERS": "1",
    }


def _migrate(connection: psycopg.Connection) -> None:
    """The migrated database to copy from, made anew when a migration was added; in a process of its own, so that this one
    sets Django up on the copy."""
    state = _migrations()
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [MIGRATED]
    ).fetchone()
    if row is not None and row[0] == state:
        return
    connection.execute(f'DROP DATABASE IF EXISTS "{MIGRATED}" WITH (FORCE)')
    connection.execute(f'CREATE DATABASE "{MIGRATED}"')
    command = [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--verbosity", "0"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    connection.execute(f"COMMENT ON DATABASE \"{MIGRATED}\" IS '{state}'")


def _migrations() -> str:
    """A fingerprint of all migrations of ours."""
    digest = hashlib.sha256()
    for path in sorted(CHECKOUT.glob("*/migrations/*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()
    for connection in connections.all():
        if getattr(connection, "pool", None):
            connection.close_pool()  # type: ignore[attr-defined]
