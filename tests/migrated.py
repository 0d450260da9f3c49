"""A database as `migrate` leaves it, kept with the test runs' own server: each process of a run begins with a copy of it, and
so do installations that tests share.

Migrating an empty database takes a core half a minute, a copy a second. `python -m tests.migrated` makes it beforehand, as
`make test` does while the checks run. A server that DATABASE_URL names is left as it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from config.embedded import postgres
from config.embedded.cluster import DATABASE, OWNER

PREFIX = "migrated_"
UNFINISHED = f"{PREFIX}unfinished"
DUMPED = f"{PREFIX}dumped"
# Modules of ours that a migration takes something from: it changes with them.
_IMPORTED = re.compile(r"^\s*(?:from|import) ((?:config|roaming|bookings|depots)\.[\w.]+)", re.MULTILINE)


def migrated_database() -> str:
    """The name of the database to copy, made where there is none of these migrations yet."""
    postgres.use(settings.BERTH_VAR, durable=False)
    name = f"{PREFIX}{_digest_of_migrations()}"
    with (settings.BERTH_VAR / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = _kept()
        if name not in kept:
            _make(name, instead_of=kept)
    return name


def fill_with_migrated(var: Path) -> None:
    """Make the embedded database of an installation that has none yet as `migrate` leaves it."""
    if "DATABASE_URL" in os.environ:
        return
    source, target = postgres.use(settings.BERTH_VAR, durable=False), postgres.EmbeddedServer(var)
    migrated = migrated_database()
    target.join()
    target.start()
    dump = target.sockets / "migrated.sql"
    with (settings.BERTH_VAR / "migrated.lock").open("w") as lock, connection._nodb_cursor() as cursor:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cursor.execute(f"DROP DATABASE IF EXISTS {DUMPED} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {DUMPED} TEMPLATE {migrated}")
        source.programs.run("pg_dump", *_at(source, DUMPED), "--file", dump)
        cursor.execute(f"DROP DATABASE {DUMPED}")
    target.programs.run("psql", *_at(target, DATABASE), "-v", "ON_ERROR_STOP=1", "--quiet", "--file", dump)
    target.leave()


def _at(server: postgres.EmbeddedServer, database: str) -> tuple[str | Path, ...]:
    return "-h", server.sockets, "-U", OWNER, "-d", database


def _digest_of_migrations() -> str:
    files = {file for app in apps.get_app_configs() for file in Path(app.path).glob("migrations/*.py")}
    imported = {module for file in files for module in _IMPORTED.findall(file.read_text())}
    files |= {
        file
        for module in imported
        for file in (_path(module).with_suffix(".py"), _path(module) / "__init__.py")
        if file.exists()
    }
    digest = hashlib.sha256(django.__version__.encode())
    for file in sorted(files):
        digest.update(f"\0{file}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _path(module: str) -> Path:
    return Path(settings.BASE_DIR, *module.split("."))


def _kept() -> set[str]:
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
        return {name for (name,) in cursor.fetchall()}


def _make(name: str, *, instead_of: set[str]) -> None:
    with connection._nodb_cursor() as cursor:
        for old in instead_of:
            cursor.execute(f"DROP DATABASE {old} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {UNFINISHED}")
    with _connected_to(UNFINISHED):
        call_command("migrate", verbosity=0, interactive=False)
    with connection._nodb_cursor() as cursor:
        # Whoever is connected keeps it from being copied.
        cursor.execute(f"ALTER DATABASE {UNFINISHED} WITH ALLOW_CONNECTIONS false")
        cursor.execute(f"ALTER DATABASE {UNFINISHED} RENAME TO {name}")


@contextmanager
def _connected_to(database: str) -> Iterator[None]:
    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()
        connection.settings_dict["NAME"] = usual


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    if "DATABASE_URL" not in os.environ:
        settings.BERTH_VAR = settings.BERTH_VAR / "test"
        migrated_database()


if __name__ == "__main__":
    main()
