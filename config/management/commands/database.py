"""Run one of PostgreSQL's own programs on Berth's database: psql, pg_dump, pg_restore."""

import os
import shutil
import subprocess
from argparse import REMAINDER, ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from config.embedded import postgres

PROGRAMS = ("psql", "pg_dump", "pg_restore", "pg_isready")
# What Django calls a connection's parts, and what PostgreSQL's programs read from the environment.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}


class Command(BaseCommand):
    help = "Run psql, pg_dump or pg_restore on Berth's database, wherever it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("program", choices=PROGRAMS)
        parser.add_argument("arguments", nargs=REMAINDER, help="given to the program as they are")

    def handle(self, *args: Any, program: str, arguments: list[str], **options: Any) -> None:
        parameters = connection.get_connection_params()  # starts the embedded server
        environment = {VARIABLES[name]: str(parameters[name]) for name in VARIABLES if parameters.get(name)}
        done = subprocess.run([_path(program), *arguments], env={**os.environ, **environment}, check=False)
        if done.returncode:
            raise CommandError(f"{program} ended with {done.returncode}.", returncode=done.returncode)


def _path(program: str) -> Path:
    if settings.DATABASES["default"]["ENGINE"] == "config.embedded":
        return postgres.EmbeddedServer(settings.BERTH_VAR).programs.path(program)
    found = shutil.which(program)
    if found is None:
        raise CommandError(f"{program} is missing. This mends it:  sudo apt-get install postgresql-client")
    return Path(found)
